//! The modules of ModernBERT, in the form of `ModernBertModel`.

use midashi_encoder::EncoderConfig;

use super::module::{Module, activation, layer_norm_with, linear_with, python_float, repeated};

/// The whole encoder. Dropout is shown as transformers would train with it.
pub fn modernbert(config: &EncoderConfig) -> Module {
    let layers = config.num_hidden_layers;
    // The first layer differs: it does not normalise before attention.
    let first = layer(config, "ModernBertEncoderLayer", Module::leaf("Identity()"));
    let mut list = Module::of("ModuleList", [("0", first)]);
    if layers > 1 {
        let (name, class) = repeated(1, layers, "ModernBertEncoderLayer");
        list = list.with(&name, layer(config, &class, norm(config)));
    }
    Module::of(
        "ModernBertModel",
        [
            ("embeddings", embeddings(config)),
            ("layers", list),
            ("final_norm", norm(config)),
            ("rotary_emb", Module::leaf("ModernBertRotaryEmbedding()")),
        ],
    )
}

fn embeddings(config: &EncoderConfig) -> Module {
    let (rows, hidden, padding) = (config.vocab_size, config.hidden_size, config.pad_token_id);
    Module::of(
        "ModernBertEmbeddings",
        [
            ("tok_embeddings", Module::leaf(format!("Embedding({rows}, {hidden}, padding_idx={padding})"))),
            ("norm", norm(config)),
            ("drop", dropout(config, "embedding_dropout")),
        ],
    )
}

fn layer(config: &EncoderConfig, class: &str, attention_norm: Module) -> Module {
    let (hidden, inner) = (config.hidden_size, config.intermediate_size);
    let [attention_bias, mlp_bias] = ["attention_bias", "mlp_bias"].map(|key| flag(config, key));
    let after_attention = match share(config, "attention_dropout") {
        0.0 => Module::leaf("Identity()"),
        _ => dropout(config, "attention_dropout"),
    };
    let attention = [
        ("Wqkv", linear_with(hidden, 3 * hidden, attention_bias)),
        ("Wo", linear_with(hidden, hidden, attention_bias)),
        ("out_drop", after_attention),
    ];
    let mlp = [
        ("Wi", linear_with(hidden, 2 * inner, mlp_bias)),
        ("act", activation(config.hidden_act)),
        ("drop", dropout(config, "mlp_dropout")),
        ("Wo", linear_with(inner, hidden, mlp_bias)),
    ];
    Module::of(
        class,
        [
            ("attn_norm", attention_norm),
            ("attn", Module::of("ModernBertAttention", attention)),
            ("mlp_norm", norm(config)),
            ("mlp", Module::of("ModernBertMLP", mlp)),
        ],
    )
}

fn norm(config: &EncoderConfig) -> Module {
    layer_norm_with(config, flag(config, "norm_bias"))
}

fn dropout(config: &EncoderConfig, key: &str) -> Module {
    Module::leaf(format!("Dropout(p={}, inplace=False)", python_float(share(config, key))))
}

/// A share of dropout; transformers' default is 0.
fn share(config: &EncoderConfig, key: &str) -> f64 {
    config.keys().get(key).and_then(|share| share.as_f64()).unwrap_or(0.0)
}

fn flag(config: &EncoderConfig, key: &str) -> bool {
    config.keys().get(key).and_then(|flag| flag.as_bool()).unwrap_or(false)
}

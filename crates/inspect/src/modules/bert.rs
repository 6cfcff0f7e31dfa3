//! The modules of BERT's family, in the form of `BertModel`.

use midashi_encoder::EncoderConfig;

use super::module::{Module, activation, dropout, layer_norm, linear, repeated};

/// The whole encoder. Dropout is shown as transformers would train with it.
pub fn bert(config: &EncoderConfig, has_pooler: bool) -> Module {
    let (name, class) = repeated(0, config.num_hidden_layers, "BertLayer");
    let layers = Module::of("ModuleList", [(name.as_str(), layer(config, class))]);
    let encoder = Module::of("BertEncoder", [("layer", layers)]);
    let model = Module::of("BertModel", [("embeddings", embeddings(config)), ("encoder", encoder)]);
    if !has_pooler {
        return model;
    }
    let dense = linear(config.hidden_size, config.hidden_size);
    model.with("pooler", Module::of("BertPooler", [("dense", dense), ("activation", Module::leaf("Tanh()"))]))
}

fn embeddings(config: &EncoderConfig) -> Module {
    let hidden = config.hidden_size;
    let table = |rows: usize, more: &str| Module::leaf(format!("Embedding({rows}, {hidden}{more})"));
    let padding = format!(", padding_idx={}", config.pad_token_id);
    let tables = [
        ("word_embeddings", table(config.vocab_size, &padding)),
        ("position_embeddings", table(config.max_tokens, "")),
    ];
    let mut embeddings = Module::of("BertEmbeddings", tables);
    if config.type_vocab_size > 0 {
        embeddings = embeddings.with("token_type_embeddings", table(config.type_vocab_size, ""));
    }
    embeddings.with("LayerNorm", layer_norm(config)).with("dropout", dropout(config, "hidden_dropout_prob"))
}

fn layer(config: &EncoderConfig, class: String) -> Module {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let attention = Module::of(
        "BertSelfAttention",
        [
            ("query", linear(hidden, hidden)),
            ("key", linear(hidden, hidden)),
            ("value", linear(hidden, hidden)),
            ("dropout", dropout(config, "attention_probs_dropout_prob")),
        ],
    );
    let output = |class: &str, input| {
        let parts = [
            ("dense", linear(input, hidden)),
            ("LayerNorm", layer_norm(config)),
            ("dropout", dropout(config, "hidden_dropout_prob")),
        ];
        Module::of(class, parts)
    };
    Module::of(
        class,
        [
            (
                "attention",
                Module::of(
                    "BertAttention",
                    [("self", attention), ("output", output("BertSelfOutput", hidden))],
                ),
            ),
            (
                "intermediate",
                Module::of(
                    "BertIntermediate",
                    [("dense", linear(hidden, wide)), ("intermediate_act_fn", activation(config.hidden_act))],
                ),
            ),
            ("output", output("BertOutput", wide)),
        ],
    )
}

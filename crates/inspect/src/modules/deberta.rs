//! The modules of DeBERTa-v2 and -v3, in the form of `DebertaV2Model`.

use std::collections::HashMap;

use midashi_encoder::EncoderConfig;

use super::module::{Module, activation, dropout, layer_norm, linear, repeated};

/// The whole encoder. Dropout is shown as transformers would train with it.
pub fn deberta(config: &EncoderConfig) -> Module {
    let shapes = Shapes(config.tensors().into_iter().collect());
    let (name, class) = repeated(0, config.num_hidden_layers, "DebertaV2Layer");
    let layers = Module::of("ModuleList", [(name.as_str(), layer(config, &shapes, class))]);
    let mut encoder = Module::of("DebertaV2Encoder", [("layer", layers)]);
    if let Some(table) = shapes.table("encoder.rel_embeddings", "") {
        encoder = encoder.with("rel_embeddings", table);
    }
    if shapes.of("encoder.LayerNorm.weight").is_some() {
        encoder = encoder.with("LayerNorm", layer_norm(config));
    }
    if let Some([output, input, kernel]) = shapes.of("encoder.conv.conv.weight") {
        let class = format!(
            "Conv1d({input}, {output}, kernel_size=({kernel},), stride=(1,), padding=({},))",
            kernel / 2
        );
        let parts = [
            ("conv", Module::leaf(class)),
            ("LayerNorm", layer_norm(config)),
            ("dropout", dropout(config, "hidden_dropout_prob")),
        ];
        encoder = encoder.with("conv", Module::of("ConvLayer", parts));
    }
    Module::of("DebertaV2Model", [("embeddings", embeddings(config, &shapes)), ("encoder", encoder)])
}

/// Shapes of the encoder's tensors by name.
struct Shapes(HashMap<String, Vec<usize>>);

impl Shapes {
    fn of(&self, name: &str) -> Option<&[usize]> {
        self.0.get(&format!("deberta.{name}")).map(Vec::as_slice)
    }

    fn table(&self, name: &str, more: &str) -> Option<Module> {
        match self.of(&format!("{name}.weight"))? {
            [rows, width] => Some(Module::leaf(format!("Embedding({rows}, {width}{more})"))),
            _ => None,
        }
    }
}

fn embeddings(config: &EncoderConfig, shapes: &Shapes) -> Module {
    let padding = format!(", padding_idx={}", config.pad_token_id);
    let tables =
        [("word_embeddings", padding.as_str()), ("position_embeddings", ""), ("token_type_embeddings", "")];
    let tables = tables
        .into_iter()
        .filter_map(|(name, more)| Some((name, shapes.table(&format!("embeddings.{name}"), more)?)));
    tables
        .fold(Module::leaf("DebertaV2Embeddings"), |embeddings, (name, table)| embeddings.with(name, table))
        .with("LayerNorm", layer_norm(config))
        .with("dropout", dropout(config, "hidden_dropout_prob"))
}

fn layer(config: &EncoderConfig, shapes: &Shapes, class: String) -> Module {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let mut attention = Module::leaf("DisentangledSelfAttention");
    for name in ["query_proj", "key_proj", "value_proj"] {
        attention = attention.with(name, linear(hidden, hidden));
    }
    attention = attention.with("pos_dropout", dropout(config, "hidden_dropout_prob"));
    for name in ["pos_key_proj", "pos_query_proj"] {
        if shapes.of(&format!("encoder.layer.0.attention.self.{name}.weight")).is_some() {
            attention = attention.with(name, linear(hidden, hidden));
        }
    }
    attention = attention.with("dropout", dropout(config, "attention_probs_dropout_prob"));
    let output = |class: &str, input| {
        let parts = [
            ("dense", linear(input, hidden)),
            ("LayerNorm", layer_norm(config)),
            ("dropout", dropout(config, "hidden_dropout_prob")),
        ];
        Module::of(class, parts)
    };
    let attention_parts = [("self", attention), ("output", output("DebertaV2SelfOutput", hidden))];
    let intermediate_parts =
        [("dense", linear(hidden, wide)), ("intermediate_act_fn", activation(config.hidden_act))];
    Module::of(
        class,
        [
            ("attention", Module::of("DebertaV2Attention", attention_parts)),
            ("intermediate", Module::of("DebertaV2Intermediate", intermediate_parts)),
            ("output", output("DebertaV2Output", wide)),
        ],
    )
}

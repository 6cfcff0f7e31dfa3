//! ModernBERT's embeddings and layers, under transformers' names.
//!
//! A layer normalises before attention and before the feed-forward layer, and adds what these compute to its input.
//! Layer 0 does not normalise before attention, because the embeddings are normalised already.

use midashi_onnx::Value;

use super::attention::Attention;
use crate::architectures::architecture::Architecture;
use crate::geometry::{Activation, Geometry};
use crate::native_head::NativeHead;
use crate::nodes::{Factor, LayerOutput, Nodes, Rows, Words};

/// `model_type`
pub(in crate::architectures) const MODEL_TYPE: &str = "modernbert";

/// The encoder of ModernBERT.
#[derive(Debug)]
pub struct ModernBert {
    pub(super) norm_bias: bool,
    pub(super) mlp_bias: bool,
    /// Of the linear layer in the head.
    pub(super) classifier_bias: bool,
    /// Of the function in the head.
    pub(super) classifier_activation: Activation,
    /// The attention of each layer.
    pub(super) layers: Vec<Attention>,
}

const EMBEDDINGS: &str = "model.embeddings";
const FINAL_NORM: &str = "model.final_norm";

/// `model.layers.7`
fn layer_name(layer: usize) -> String {
    format!("model.layers.{layer}")
}

impl ModernBert {
    /// `Wo·(act(x₁)·x₂)` with the two halves `x₁` and `x₂` of `Wi·x` (Shazeer 2020, GEGLU).
    fn feed_forward<'g>(&self, nodes: Nodes<'g>, name: &str, x: Value<'g>) -> Value<'g> {
        let Geometry { hidden_size, intermediate_size: inner, hidden_act, .. } = *nodes.geometry;
        let half = |from: usize| {
            let sizes = [hidden_size, 2 * inner];
            nodes.linear_part(
                &format!("{name}.Wi"),
                x,
                sizes,
                from..from + inner,
                self.mlp_bias,
                Factor::Hidden,
            )
        };
        let gated = nodes.drop_hidden(name, hidden_act.of(half(0)) * half(inner));
        nodes.linear(&format!("{name}.Wo"), gated, [inner, hidden_size], self.mlp_bias, Factor::Gated)
    }

    fn norm<'g>(&self, nodes: Nodes<'g>, name: &str, x: Value<'g>) -> Value<'g> {
        nodes.layer_norm_with(name, x, self.norm_bias)
    }
}

impl Architecture for ModernBert {
    fn name(&self) -> &'static str {
        MODEL_TYPE
    }

    fn word_embeddings(&self) -> String {
        format!("{EMBEDDINGS}.tok_embeddings.weight")
    }

    fn tensors(&self, geometry: &Geometry) -> Vec<(String, Vec<usize>)> {
        let Geometry { hidden_size: hidden, intermediate_size: inner, .. } = *geometry;
        let mut tensors = vec![(self.word_embeddings(), vec![geometry.vocab_size, hidden])];
        let mut add = |name: String, weight: &[usize], has_bias: bool| {
            tensors.push((format!("{name}.weight"), weight.to_vec()));
            if has_bias {
                tensors.push((format!("{name}.bias"), weight[..1].to_vec()));
            }
        };
        add(format!("{EMBEDDINGS}.norm"), &[hidden], self.norm_bias);
        for (layer, attention) in self.layers.iter().enumerate() {
            let name = layer_name(layer);
            if layer > 0 {
                add(format!("{name}.attn_norm"), &[hidden], self.norm_bias);
            }
            add(format!("{name}.attn.Wqkv"), &[3 * hidden, hidden], attention.bias);
            add(format!("{name}.attn.Wo"), &[hidden, hidden], attention.bias);
            add(format!("{name}.mlp_norm"), &[hidden], self.norm_bias);
            add(format!("{name}.mlp.Wi"), &[2 * inner, hidden], self.mlp_bias);
            add(format!("{name}.mlp.Wo"), &[hidden, inner], self.mlp_bias);
        }
        add(FINAL_NORM.to_owned(), &[hidden], self.norm_bias);
        tensors
    }

    fn layer_of(&self, name: &str) -> Option<usize> {
        name.strip_prefix("model.layers.")?.split('.').next()?.parse().ok()
    }

    fn is_after_layers(&self, name: &str) -> bool {
        name.strip_prefix(FINAL_NORM).is_some_and(|rest| rest.starts_with('.'))
    }

    fn native_head(&self) -> NativeHead {
        NativeHead {
            class: "ModernBertForSequenceClassification".to_owned(),
            dense: "head.dense".to_owned(),
            has_bias: self.classifier_bias,
            activation: self.classifier_activation,
            norm: Some(("head.norm".to_owned(), self.norm_bias)),
            classifier: "classifier".to_owned(),
            drops_input: false,
            dropout_key: "classifier_dropout",
            pooling_key: Some("classifier_pooling"),
        }
    }

    /// `ModernBertModel` is published without the prefix, models with a head have it.
    fn spellings(&self, name: &str) -> Vec<String> {
        let plain = name.strip_prefix("model.").map(str::to_owned);
        std::iter::once(name.to_owned()).chain(plain).collect()
    }

    fn embeddings<'g>(&self, nodes: Nodes<'g>, words: Words<'g>, _token_type_ids: Value<'g>) -> Value<'g> {
        nodes.graph.scope(EMBEDDINGS, || {
            let words = nodes.word_embeddings(&self.word_embeddings(), words);
            nodes.drop_hidden(EMBEDDINGS, self.norm(nodes, &format!("{EMBEDDINGS}.norm"), words))
        })
    }

    fn layer<'g>(&self, nodes: Nodes<'g>, layer: usize, hidden: Value<'g>, rows: Rows) -> LayerOutput<'g> {
        let name = layer_name(layer);
        let Some(attention) = self.layers.get(layer) else {
            // No graph has more layers than the configuration.
            return LayerOutput { hidden, attention: hidden };
        };
        nodes.graph.scope(&name, || {
            let normalised = match layer {
                0 => hidden,
                _ => self.norm(nodes, &format!("{name}.attn_norm"), hidden),
            };
            let (attended, weights) = attention.of(nodes, &format!("{name}.attn"), normalised, rows);
            let hidden = nodes.select(hidden, rows) + attended;
            let normalised = self.norm(nodes, &format!("{name}.mlp_norm"), hidden);
            let hidden = hidden + self.feed_forward(nodes, &format!("{name}.mlp"), normalised);
            LayerOutput { hidden, attention: weights }
        })
    }

    fn finish<'g>(&self, nodes: Nodes<'g>, hidden: Value<'g>) -> Value<'g> {
        nodes.graph.scope(FINAL_NORM, || self.norm(nodes, FINAL_NORM, hidden))
    }
}

//! DeBERTa's embeddings and layers: BERT's, with disentangled attention and an optional convolution.

use midashi_onnx::Value;

use super::buckets::Buckets;
use crate::architectures::architecture::Architecture;
use crate::geometry::{Activation, Geometry};
use crate::native_head::NativeHead;
use crate::nodes::{Factor, LayerOutput, Nodes, Rows, Words};
use crate::padding::{BATCH, TOKENS};

/// The `model_type` of both versions.
pub(in crate::architectures) const MODEL_TYPE: &str = "deberta-v2";

/// The encoder of DeBERTa-v2 and -v3.
#[derive(Debug)]
pub struct Deberta {
    pub(super) attention: Disentangled,
    /// Whether absolute positions are added to the word embeddings.
    pub(super) has_positions: bool,
    /// The convolution beside the first layer.
    pub(super) convolution: Option<Convolution>,
    /// The function after the linear layer of `ContextPooler`.
    pub(super) pooler_activation: Activation,
    /// Whether the input of that layer has dropout.
    pub(super) drops_pooler_input: bool,
}

/// Attention to contents and relative positions (He et al. 2021, section 3.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Disentangled {
    pub(super) buckets: Buckets,
    /// Whether a token's content attends to positions.
    pub(super) content_to_position: bool,
    /// Whether positions attend to a token's content.
    pub(super) position_to_content: bool,
    /// Whether positions have the projections of contents.
    pub(super) shared: bool,
    /// Whether the relative embeddings are normalised.
    pub(super) normalised: bool,
}

/// A convolution over neighbouring tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    /// How many tokens, an odd number.
    pub(super) kernel: usize,
    pub(super) activation: Activation,
}

const EMBEDDINGS: &str = "deberta.embeddings";
const WORDS: &str = "deberta.embeddings.word_embeddings.weight";
const POSITIONS: &str = "deberta.embeddings.position_embeddings.weight";
const TYPES: &str = "deberta.embeddings.token_type_embeddings.weight";
/// The table of relative embeddings, `[rows, hidden_size]`.
pub(super) const RELATIVE: &str = "deberta.encoder.rel_embeddings.weight";
/// The layer normalisation of the relative embeddings.
pub(super) const RELATIVE_NORM: &str = "deberta.encoder.LayerNorm";
/// The convolution's linear part is `deberta.encoder.conv.conv`.
pub(super) const CONVOLUTION: &str = "deberta.encoder.conv";

fn layer_name(layer: usize) -> String {
    format!("deberta.encoder.layer.{layer}")
}

impl Deberta {
    /// A linear layer, the residual connection and layer normalisation.
    fn add_and_norm<'g>(
        nodes: Nodes<'g>,
        name: &str,
        x: Value<'g>,
        input: usize,
        residual: Value<'g>,
        factor: Factor,
    ) -> Value<'g> {
        let size = [input, nodes.geometry.hidden_size];
        let dense = nodes.linear(&format!("{name}.dense"), x, size, true, factor);
        nodes.layer_norm(&format!("{name}.LayerNorm"), nodes.drop_hidden(name, dense) + residual)
    }
}

impl Architecture for Deberta {
    fn name(&self) -> &'static str {
        MODEL_TYPE
    }

    fn word_embeddings(&self) -> String {
        WORDS.to_owned()
    }

    fn tensors(&self, geometry: &Geometry) -> Vec<(String, Vec<usize>)> {
        let (hidden, wide) = (geometry.hidden_size, geometry.intermediate_size);
        let mut tensors = vec![(WORDS.to_owned(), vec![geometry.vocab_size, hidden])];
        if self.has_positions {
            tensors.push((POSITIONS.to_owned(), vec![geometry.max_tokens, hidden]));
        }
        if geometry.type_vocab_size > 0 {
            tensors.push((TYPES.to_owned(), vec![geometry.type_vocab_size, hidden]));
        }
        let mut pair = |name: &str, weight: Vec<usize>, bias: usize| {
            tensors.push((format!("{name}.weight"), weight));
            tensors.push((format!("{name}.bias"), vec![bias]));
        };
        pair(&format!("{EMBEDDINGS}.LayerNorm"), vec![hidden], hidden);
        if self.attention.normalised {
            pair(RELATIVE_NORM, vec![hidden], hidden);
        }
        for layer in 0..geometry.num_hidden_layers {
            let name = layer_name(layer);
            for part in self.attention.projections() {
                pair(&format!("{name}.attention.self.{part}"), vec![hidden, hidden], hidden);
            }
            pair(&format!("{name}.attention.output.dense"), vec![hidden, hidden], hidden);
            pair(&format!("{name}.attention.output.LayerNorm"), vec![hidden], hidden);
            pair(&format!("{name}.intermediate.dense"), vec![wide, hidden], wide);
            pair(&format!("{name}.output.dense"), vec![hidden, wide], hidden);
            pair(&format!("{name}.output.LayerNorm"), vec![hidden], hidden);
            if let (0, Some(convolution)) = (layer, self.convolution) {
                pair(&format!("{CONVOLUTION}.conv"), vec![hidden, hidden, convolution.kernel], hidden);
                pair(&format!("{CONVOLUTION}.LayerNorm"), vec![hidden], hidden);
            }
        }
        tensors.insert(1, (RELATIVE.to_owned(), vec![self.attention.buckets.rows(), hidden]));
        tensors
    }

    /// The relative embeddings are shared by all layers, so they belong to the embeddings. The convolution is computed
    /// with the first layer.
    fn layer_of(&self, name: &str) -> Option<usize> {
        if name.strip_prefix(CONVOLUTION).is_some_and(|rest| rest.starts_with('.')) {
            return Some(0);
        }
        name.strip_prefix("deberta.encoder.layer.")?.split('.').next()?.parse().ok()
    }

    /// `ContextPooler` and a classifier.
    fn native_head(&self) -> NativeHead {
        NativeHead {
            class: "DebertaV2ForSequenceClassification".to_owned(),
            dense: "pooler.dense".to_owned(),
            has_bias: true,
            activation: self.pooler_activation,
            norm: None,
            classifier: "classifier".to_owned(),
            drops_input: self.drops_pooler_input,
            dropout_key: "cls_dropout",
            pooling_key: None,
        }
    }

    fn spellings(&self, name: &str) -> Vec<String> {
        let plain = name.strip_prefix("deberta.").map(str::to_owned);
        std::iter::once(name.to_owned()).chain(plain).collect()
    }

    /// Sum of word embeddings and, where the model has them, absolute positions and token types; normalised.
    ///
    /// transformers sets padding to zero here. Nothing but the convolution reads padding, and it does the same.
    fn embeddings<'g>(&self, nodes: Nodes<'g>, words: Words<'g>, token_type_ids: Value<'g>) -> Value<'g> {
        let (geometry, padding, width) = (nodes.geometry, nodes.padding, nodes.geometry.hidden_size);
        nodes.graph.scope(EMBEDDINGS, || {
            let word = nodes.word_embeddings(WORDS, words);
            // Padded rows have an axis for the texts, along which positions are repeated.
            let mut sum = match padding.rows {
                None => word.reshape(&[BATCH.into(), TOKENS.into(), width.into()]),
                Some(_) => word,
            };
            if self.has_positions {
                let table = nodes.table(POSITIONS, geometry.max_tokens);
                sum = sum
                    + match padding.rows {
                        None => table.take_as_many(TOKENS),
                        Some(rows) => table.gather(rows.in_padded().modulo_size(TOKENS)),
                    };
            }
            if geometry.type_vocab_size > 0 {
                let table = nodes.table(TYPES, geometry.type_vocab_size);
                sum = sum + table.gather(nodes.rows(token_type_ids, &[]));
            }
            let sum = sum.reshape(&[padding.count(), width.into()]);
            let normalised = nodes.layer_norm(&format!("{EMBEDDINGS}.LayerNorm"), sum);
            nodes.drop_hidden(EMBEDDINGS, normalised)
        })
    }

    fn layer<'g>(&self, nodes: Nodes<'g>, layer: usize, hidden: Value<'g>, rows: Rows) -> LayerOutput<'g> {
        let name = layer_name(layer);
        let (width, inner) = (nodes.geometry.hidden_size, nodes.geometry.intermediate_size);
        let output = nodes.graph.scope(&name, || {
            let own = nodes.select(hidden, rows);
            let (context, attention) =
                self.attention.attend(nodes, &format!("{name}.attention.self"), hidden, own, rows);
            let part = format!("{name}.attention.output");
            let attended = Self::add_and_norm(nodes, &part, context, width, own, Factor::Context);
            let dense = format!("{name}.intermediate.dense");
            let wide = nodes.linear(&dense, attended, [width, inner], true, Factor::Hidden);
            let (active, factor) = (nodes.geometry.hidden_act.of(wide), nodes.geometry.hidden_act.factor());
            let hidden =
                Self::add_and_norm(nodes, &format!("{name}.output"), active, inner, attended, factor);
            LayerOutput { hidden, attention }
        });
        match (layer, self.convolution) {
            (0, Some(convolution)) => {
                let hidden = convolution.add(nodes, hidden, output.hidden, rows);
                LayerOutput { hidden, ..output }
            }
            _ => output,
        }
    }
}

//! What graphs, training and checkpoints need of an encoder.

use std::fmt::Debug;
use std::sync::Arc;

use midashi_onnx::Value;

use crate::geometry::Geometry;
use crate::native_head::NativeHead;
use crate::nodes::{LayerOutput, Nodes, Rows, Words};

/// The keys of a `config.json`.
pub(crate) type Keys = serde_json::Map<String, serde_json::Value>;

/// An encoder: its formulas as graph nodes, and its parameters with their names in published checkpoints.
pub(crate) trait Architecture: Debug + Send + Sync {
    /// Its name, which is the `model_type` or that of a family.
    fn name(&self) -> &'static str;

    /// The name of the table of word embeddings, `[vocab_size, hidden_size]`.
    fn word_embeddings(&self) -> String;

    /// Names and shapes of all parameters: the embeddings', layer by layer, and those after the layers.
    fn tensors(&self, geometry: &Geometry) -> Vec<(String, Vec<usize>)>;

    /// The layer that the parameter `name` belongs to; none for embeddings and what follows the layers.
    fn layer_of(&self, name: &str) -> Option<usize>;

    /// Whether the parameter `name` is used after the last layer.
    fn is_after_layers(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// The head of its class for sequence classification in transformers.
    fn native_head(&self) -> NativeHead;

    /// The linear layer on `[CLS]` that a published encoder may have beside its layers, followed by tanh.
    fn pooler(&self) -> Option<String> {
        None
    }

    /// Names of the parameter `name` in published checkpoints, the usual one first.
    fn spellings(&self, name: &str) -> Vec<String>;

    /// Rows that a published table has before the parameter's own and that no token uses.
    fn rows_before(&self, name: &str, geometry: &Geometry) -> usize {
        let _ = (name, geometry);
        0
    }

    /// The row of a published table with which the parameter begins: usually that after
    /// [`rows_before`](Self::rows_before), so that it has all others.
    fn first_row(&self, name: &str, geometry: &Geometry) -> usize {
        self.rows_before(name, geometry)
    }

    /// Changes keys of the written `config.json`.
    fn write_keys(&self, keys: &mut Keys) {
        let _ = keys;
    }

    /// The hidden states before the first layer, `[rows, hidden_size]`.
    fn embeddings<'g>(&self, nodes: Nodes<'g>, words: Words<'g>, token_type_ids: Value<'g>) -> Value<'g>;

    /// One layer on `[rows, hidden_size]`.
    ///
    /// With [`Rows::Cls`] it is computed for `[CLS]` alone, and only what attention needs of the other tokens for these.
    /// The result for `[CLS]` is the same, because rows depend on each other only through attention.
    fn layer<'g>(&self, nodes: Nodes<'g>, layer: usize, hidden: Value<'g>, rows: Rows) -> LayerOutput<'g>;

    /// What follows the last layer.
    fn finish<'g>(&self, nodes: Nodes<'g>, hidden: Value<'g>) -> Value<'g> {
        let _ = nodes;
        hidden
    }
}

/// What a `config.json` describes.
pub(crate) struct Description {
    pub(crate) geometry: Geometry,
    pub(crate) architecture: Arc<dyn Architecture>,
    /// The keys to be written with a model.
    pub(crate) keys: Keys,
}

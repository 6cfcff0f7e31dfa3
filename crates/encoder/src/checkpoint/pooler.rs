//! The pooler that a checkpoint offers to a head of a pooler and a classifier.

use ndarray::ArrayD;

/// The pooler of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Pooler {
    /// BERT's pooler, or the layer of the same place and function in the architecture's own head.
    Stored {
        /// Its name in the checkpoint.
        name: String,
        /// Weight and bias, with their names in BERT.
        tensors: Vec<(String, ArrayD<f32>)>,
    },
    /// There is none.
    None,
    /// A multiple of the identity, as Midashi writes beside a linear head.
    Identity,
    /// The architecture's own head has a layer in the place of the pooler, but another function than tanh follows.
    Other {
        /// A tensor of the layer.
        tensor: &'static str,
        /// The function.
        function: &'static str,
    },
}

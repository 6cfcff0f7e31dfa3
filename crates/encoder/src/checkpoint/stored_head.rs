//! The layers that a checkpoint offers to the head of its architecture's class for sequence classification.

use ndarray::ArrayD;

/// The layers before the classifier.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredHead {
    /// Those of the architecture's own head, or an encoder's pooler that computes the same.
    Stored {
        /// The name of the linear layer in the checkpoint.
        name: String,
        /// All tensors, with their names in the architecture's own head.
        tensors: Vec<(String, ArrayD<f32>)>,
    },
    /// There are none.
    None,
    /// Layers without function, as Midashi writes beside a linear head.
    Linear,
}

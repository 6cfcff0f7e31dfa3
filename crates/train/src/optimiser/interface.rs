//! The interface of both optimisers.

use std::collections::HashMap;

use anyhow::Result;
use midashi_encoder::Weights;
use midashi_runtime::Tensor;
use ndarray::ArrayD;

use crate::optimiser::state::State;

/// Holds the weights, runs the training graph and updates the trainable tensors.
pub trait Optimiser {
    /// The trainable tensors by name.
    fn trainable(&self) -> Vec<(&str, Tensor<'_>)>;

    /// Number of steps made so far.
    fn steps(&self) -> usize;

    /// Runs the training graph on a micro-batch and accumulates the gradients. The last micro-batch of a
    /// step comes with the `factor` of the learning rates: the step is then made.
    fn run(&mut self, inputs: &[(&str, Tensor<'_>)], factor: Option<f64>) -> Result<MicroBatch>;

    /// Saves the trainable tensors as those of the best epoch.
    fn save_best(&mut self);

    /// Restores the trainable tensors of the best epoch, if any were saved.
    fn restore_best(&mut self);

    /// Everything that steps change.
    fn state(&self) -> Result<State<'_>>;

    /// Restores a [`state`](Self::state) that was reached after `steps` steps.
    ///
    /// # Errors
    /// When the state belongs to another model.
    fn restore(&mut self, state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()>;

    /// All weights, including the frozen ones.
    fn into_weights(self: Box<Self>) -> Result<Weights>;
}

/// The inputs, borrowed for a shorter time so that others can join them.
pub fn views<'a>(inputs: &'a [(&str, Tensor<'_>)]) -> impl Iterator<Item = (&'a str, Tensor<'a>)> {
    inputs.iter().map(|(name, tensor)| (*name, tensor.view()))
}

/// Results of one micro-batch.
pub struct MicroBatch {
    /// The share of the micro-batch in the mean loss of the step.
    pub loss: f32,
    /// `[texts, categories]`
    pub logits: ArrayD<f32>,
    /// Euclidean norm of the step's gradient before clipping, if the step was made.
    pub gradient_norm: Option<f32>,
}

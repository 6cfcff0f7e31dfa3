//! What learns, wherever it is: on the host with the fused optimiser, or on the device with the optimiser
//! in the training graph.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use midashi_bert::{LOGITS, LOSS, Weights, gradient_name};
use midashi_config as config;
use midashi_runtime::{Device, Session, Tensor};
use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};
use rayon::ThreadPool;

use crate::graph_optimiser::GraphOptimiser;
use crate::model::Model;
use crate::optimiser::Optimiser;
use crate::setup::Setup;

/// Prefixes of the names in a saved state.
pub const WEIGHT: &str = "weight/";
pub const KEPT: &str = "kept/";
pub const MOMENTS: [&str; 2] = ["first_moment/", "second_moment/"];

/// All that steps change, by name: weights, their moments, and the weights that are remembered.
pub type State<'a> = Vec<(String, CowArray<'a, f32, IxDyn>)>;

/// What learns, with its optimiser.
pub trait Learner {
    /// The tensors that learn, by name.
    fn learned(&self) -> Vec<(&str, Tensor<'_>)>;

    /// How many steps were made.
    fn steps(&self) -> usize;

    /// Computes a part of a step. The last part is told the factor of the learning rates, and the step is
    /// made.
    fn learn(&mut self, inputs: &[(&str, Tensor<'_>)], last: Option<f64>) -> Result<Part>;

    /// Remembers what learns as it is now.
    fn keep(&mut self);

    /// Puts what learns back to what is remembered.
    fn put_back_kept(&mut self);

    /// All that steps change.
    fn state(&self) -> Result<State<'_>>;

    /// Puts everything back to a [`state`](Self::state) that was reached after so many steps.
    fn restore(&mut self, state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()>;

    /// All weights, frozen ones included.
    fn into_weights(self: Box<Self>) -> Result<Weights>;
}

/// What a part of a step gave.
pub struct Part {
    pub loss: f32,
    pub logits: ArrayD<f32>,
    /// Of the whole gradient, where the step was made.
    pub gradient_norm: Option<f32>,
}

/// The learner for `train.optimiser` and the device.
pub fn learner<'a>(
    setup: &'a Setup,
    model: &'a Model,
    weights: Weights,
    threads: Arc<ThreadPool>,
) -> Result<Box<dyn Learner + 'a>> {
    let (engine, train) = (&setup.engine, &setup.settings.train);
    let in_graph = match train.optimiser {
        config::Optimiser::Auto => engine.device() == Device::Cuda,
        config::Optimiser::Fused => false,
        config::Optimiser::Graph => true,
    };
    if in_graph {
        return Ok(Box::new(GraphOptimiser::new(engine, model, train, weights)?));
    }
    let graph = model.training()?;
    let names =
        graph.parameters().map(|(name, _)| name.to_owned()).filter(|name| model.learns(name)).collect();
    Ok(Box::new(OnHost {
        training: model.session(engine, "training", &graph, &weights)?,
        optimiser: Optimiser::new(model, train, weights, names)?,
        sums: Vec::new(),
        threads,
    }))
}

/// The training graph gives gradients, the fused optimiser makes the step.
struct OnHost {
    training: Session,
    optimiser: Optimiser,
    /// The gradients' sums over a step's parts so far.
    sums: Vec<ArrayD<f32>>,
    threads: Arc<ThreadPool>,
}

impl Learner for OnHost {
    fn learned(&self) -> Vec<(&str, Tensor<'_>)> {
        self.optimiser.learned().map(|(name, tensor)| (name, tensor.view().into())).collect()
    }

    fn steps(&self) -> usize {
        self.optimiser.steps()
    }

    fn learn(&mut self, inputs: &[(&str, Tensor<'_>)], last: Option<f64>) -> Result<Part> {
        let inputs = inputs.iter().map(|(name, tensor)| (*name, tensor.view()));
        let learned = self.optimiser.learned().map(|(name, tensor)| (name, tensor.view().into()));
        let outputs = self.training.run(inputs.chain(learned).collect())?;
        let gradients: Vec<ArrayViewD<'_, f32>> = self
            .optimiser
            .learned()
            .map(|(name, _)| outputs.float32(&gradient_name(name)))
            .collect::<Result<_, _>>()?;
        let mut step = |gradients: &[ArrayViewD<'_, f32>], factor| {
            self.threads.install(|| self.optimiser.step(gradients, factor))
        };
        let gradient_norm = match last {
            // All at once: read where ONNX Runtime left them.
            Some(factor) if self.sums.is_empty() => Some(step(&gradients, factor)?),
            last => {
                if self.sums.is_empty() {
                    self.sums = gradients.iter().map(|gradient| gradient.to_owned()).collect();
                } else {
                    self.sums.iter_mut().zip(&gradients).for_each(|(sum, gradient)| *sum += gradient);
                }
                let make = |factor| {
                    let sums = std::mem::take(&mut self.sums);
                    step(&sums.iter().map(|sum| sum.view()).collect::<Vec<_>>(), factor)
                };
                last.map(make).transpose()?
            }
        };
        let (loss, logits) = (outputs.float32(LOSS)?.sum(), outputs.float32(LOGITS)?.to_owned());
        Ok(Part { loss, logits, gradient_norm })
    }

    fn keep(&mut self) {
        self.optimiser.keep();
    }

    fn put_back_kept(&mut self) {
        self.optimiser.put_back_kept();
    }

    fn state(&self) -> Result<State<'_>> {
        Ok(self.optimiser.state())
    }

    fn restore(&mut self, state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()> {
        self.optimiser.restore(state, steps)
    }

    fn into_weights(self: Box<Self>) -> Result<Weights> {
        Ok(self.optimiser.into_weights())
    }
}

/// What a saved state says of one tensor that learns.
pub struct SavedTensor {
    pub weight: ArrayD<f32>,
    pub kept: Option<ArrayD<f32>>,
    pub moments: [ArrayD<f32>; 2],
}

impl SavedTensor {
    /// Takes them out of a state.
    ///
    /// # Errors
    /// When the state is of another model.
    pub fn take(state: &mut HashMap<String, Vec<f32>>, name: &str, shape: &[usize]) -> Result<Self> {
        let mut take = |what: &str| {
            let numbers = state.remove(&format!("{what}{name}"));
            numbers.map(|numbers| ArrayD::from_shape_vec(shape, numbers)).transpose()
        };
        let missing = || format!("the saved state has no {name}");
        let [first, second] = MOMENTS;
        Ok(Self {
            weight: take(WEIGHT)?.with_context(missing)?,
            kept: take(KEPT)?,
            moments: [take(first)?.with_context(missing)?, take(second)?.with_context(missing)?],
        })
    }
}

//! AdamW on the host: the training graph computes gradients, and `adam` makes the step.

use std::collections::HashMap;

use anyhow::{Context, Result};
use midashi_config::Train;
use midashi_encoder::{LOGITS, LOSS, LearningRate, Weights, gradient_name};
use midashi_runtime::{Engine, Session, Tensor};
use ndarray::{ArrayD, ArrayView1, CowArray, IxDyn};

use crate::model::Model;
use crate::optimiser::adam::{Moments, Step, sum_of_squares};
use crate::optimiser::interface::{MicroBatch, Optimiser, views};
use crate::optimiser::learning_rate::learning_rate;
use crate::optimiser::state::{State, TensorState};

/// The training graph and AdamW.
pub struct Fused {
    training: Session,
    adamw: AdamW,
    /// Gradients accumulated over the step's micro-batches so far.
    sums: Vec<ArrayD<f32>>,
}

/// All weights, and AdamW for the trainable ones.
pub struct AdamW {
    weights: Weights,
    /// In the order of the graph's gradients.
    trainable: Vec<Trainable>,
    /// Largest norm of the gradient; 0 is no limit.
    max_grad_norm: f64,
    steps: usize,
}

struct Trainable {
    name: String,
    moments: Moments,
    /// The weight after the best epoch.
    best: Option<ArrayD<f32>>,
    rate: LearningRate,
}

impl Fused {
    /// Before the first step.
    pub fn new(engine: &Engine, model: &Model, train: &Train, weights: Weights) -> Result<Self> {
        let graph = model.training()?;
        let training = model.session(engine, "training", &graph, &weights)?;
        let trainable = graph.parameters().map(|(name, _)| name).filter(|name| model.is_trainable(name));
        Ok(Self { training, adamw: AdamW::new(model, train, weights, trainable)?, sums: Vec::new() })
    }
}

impl AdamW {
    /// Before the first step of the tensors `trainable`.
    pub fn new<'a>(
        model: &Model,
        train: &Train,
        weights: Weights,
        trainable: impl Iterator<Item = &'a str>,
    ) -> Result<Self> {
        let new = |name: &str| {
            let length = weights.get(name).with_context(|| format!("there is no tensor {name}"))?.len();
            let rate = learning_rate(model, train, name);
            Ok(Trainable { name: name.to_owned(), moments: Moments::new(length), best: None, rate })
        };
        let trainable = trainable.map(new).collect::<Result<_>>()?;
        Ok(Self { trainable, weights, max_grad_norm: train.max_grad_norm, steps: 0 })
    }

    /// The trainable tensors by name.
    pub fn trainable(&self) -> impl Iterator<Item = (&str, &ArrayD<f32>)> {
        self.trainable.iter().filter_map(|tensor| Some((&tensor.name[..], self.weights.get(&tensor.name)?)))
    }

    /// Makes a step with the gradients of the trainable tensors and the learning rates times `factor`.
    /// Returns the Euclidean norm of the whole gradient before clipping.
    pub fn step(&mut self, gradients: &[CowArray<'_, f32, IxDyn>], factor: f64) -> Result<f32> {
        const ORDER: &str = "a tensor is not in row-major order";
        self.steps += 1;
        let gradients: Vec<&[f32]> =
            gradients.iter().map(|gradient| gradient.as_slice().context(ORDER)).collect::<Result<_>>()?;
        let norm = gradients.iter().map(|gradient| sum_of_squares(gradient)).sum::<f64>().sqrt();
        let is_clipped = self.max_grad_norm > 0.0 && norm > self.max_grad_norm;
        let gradient_scale = if is_clipped { (self.max_grad_norm / norm) as f32 } else { 1.0 };
        let mut weights: HashMap<&str, &mut ArrayD<f32>> = self.weights.iter_mut().collect();
        for (tensor, gradient) in self.trainable.iter_mut().zip(gradients) {
            let weight = weights.get_mut(tensor.name.as_str()).and_then(|weight| weight.as_slice_mut());
            let LearningRate { rate, weight_decay } = tensor.rate;
            let learning_rate = factor * rate;
            let step = Step { number: self.steps as i32, learning_rate, weight_decay, gradient_scale };
            tensor.moments.step(step, weight.context(ORDER)?, gradient);
        }
        Ok(norm as f32)
    }
}

impl Optimiser for Fused {
    fn trainable(&self) -> Vec<(&str, Tensor<'_>)> {
        self.adamw.trainable().map(|(name, tensor)| (name, tensor.view().into())).collect()
    }

    fn steps(&self) -> usize {
        self.adamw.steps
    }

    fn run(&mut self, inputs: &[(&str, Tensor<'_>)], factor: Option<f64>) -> Result<MicroBatch> {
        let trainable = self.adamw.trainable().map(|(name, tensor)| (name, tensor.view().into()));
        let outputs = self.training.run(views(inputs).chain(trainable).collect())?;
        let mut sums = std::mem::take(&mut self.sums).into_iter();
        // A step of one micro-batch reads the gradients where ONNX Runtime left them, without a copy.
        let gradient = |(name, _): (&str, &ArrayD<f32>)| {
            let gradient = outputs.float32(&gradient_name(name))?;
            Ok(sums.next().map_or_else(|| gradient.clone().into(), |sum| (sum + &gradient).into()))
        };
        let gradients: Vec<CowArray<'_, f32, IxDyn>> =
            self.adamw.trainable().map(gradient).collect::<Result<_>>()?;
        let gradient_norm = match factor {
            Some(factor) => Some(self.adamw.step(&gradients, factor)?),
            None => {
                self.sums = gradients.into_iter().map(CowArray::into_owned).collect();
                None
            }
        };
        let (loss, logits) = (outputs.float32(LOSS)?.sum(), outputs.float32(LOGITS)?.to_owned());
        Ok(MicroBatch { loss, logits, gradient_norm })
    }

    fn save_best(&mut self) {
        for tensor in &mut self.adamw.trainable {
            tensor.best = self.adamw.weights.get(&tensor.name).cloned();
        }
    }

    fn restore_best(&mut self) {
        for tensor in &mut self.adamw.trainable {
            if let Some(best) = tensor.best.take() {
                self.adamw.weights.insert(tensor.name.clone(), best);
            }
        }
    }

    fn state(&self) -> Result<State<'_>> {
        let mut state = State::new();
        for (tensor, (name, weight)) in self.adamw.trainable.iter().zip(self.adamw.trainable()) {
            let moments = [&tensor.moments.first, &tensor.moments.second];
            let tensor = TensorState {
                weight: weight.view().into(),
                best: tensor.best.as_ref().map(|best| best.view().into()),
                moments: moments.map(|moment| ArrayView1::from(moment).into_dyn().into()),
            };
            state.extend(tensor.named(name));
        }
        Ok(state)
    }

    fn restore(&mut self, mut state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()> {
        self.adamw.steps = steps;
        for tensor in &mut self.adamw.trainable {
            let name = &tensor.name;
            let weight =
                self.adamw.weights.get(name).with_context(|| format!("there is no tensor {name}"))?;
            let saved = TensorState::take(&mut state, name, weight.shape())?;
            let [first, second] = saved.moments.map(|moment| moment.into_raw_vec_and_offset().0);
            (tensor.moments, tensor.best) = (Moments { first, second }, saved.best);
            self.adamw.weights.insert(name.clone(), saved.weight);
        }
        Ok(())
    }

    fn into_weights(self: Box<Self>) -> Result<Weights> {
        Ok(self.adamw.weights)
    }
}

//! What learns, and how gradients move it: on the host, fused.

use std::collections::HashMap;

use anyhow::{Context, Result};
use midashi_bert::{LearningRate, Weights};
use midashi_config::Train;
use ndarray::{ArrayD, ArrayView1, ArrayViewD};

use crate::adam::{Moments, Step, sum_of_squares};
use crate::learner::{KEPT, MOMENTS, SavedTensor, State, WEIGHT};
use crate::model::Model;

/// All weights, and AdamW for those that learn.
pub struct Optimiser {
    weights: Weights,
    /// What learns, in the order of the graph's gradients.
    learned: Vec<Learned>,
    /// Largest norm of the gradient; none for 0.
    clip_norm: f64,
    steps: usize,
}

/// A tensor that learns.
struct Learned {
    name: String,
    moments: Moments,
    /// Its numbers after the best epoch.
    kept: Option<ArrayD<f32>>,
    rate: LearningRate,
}

impl Optimiser {
    /// Before the first step; `names` are the tensors that learn.
    pub fn new(model: &Model, train: &Train, weights: Weights, names: Vec<String>) -> Result<Self> {
        let learned = |name: String| {
            let length = weights.get(&name).with_context(|| format!("there is no tensor {name}"))?.len();
            let rate = learning_rate_of(model, train, &name);
            Ok(Learned { moments: Moments::new(length), kept: None, rate, name })
        };
        Ok(Self {
            learned: names.into_iter().map(learned).collect::<Result<_>>()?,
            weights,
            clip_norm: train.clip_norm,
            steps: 0,
        })
    }

    /// The tensors that learn, by name.
    pub fn learned(&self) -> impl Iterator<Item = (&str, &ArrayD<f32>)> {
        self.learned.iter().filter_map(|learned| Some((&learned.name[..], self.weights.get(&learned.name)?)))
    }

    /// How many steps were made.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Remembers what learns as it is now.
    pub fn keep(&mut self) {
        for learned in &mut self.learned {
            learned.kept = self.weights.get(&learned.name).cloned();
        }
    }

    /// Puts what learns back to what is remembered.
    pub fn put_back_kept(&mut self) {
        for learned in &mut self.learned {
            if let Some(kept) = learned.kept.take() {
                self.weights.insert(learned.name.clone(), kept);
            }
        }
    }

    /// All that steps change, by name: weights, their moments, and the weights that are remembered.
    pub fn state(&self) -> State<'_> {
        let of_each = self.learned.iter().flat_map(|Learned { name, moments, kept, .. }| {
            let weight = self.weights.get(name).map(|tensor| (WEIGHT, tensor.view()));
            let kept = kept.as_ref().map(|tensor| (KEPT, tensor.view()));
            let moments = moments.numbers().map(|numbers| ArrayView1::from(numbers).into_dyn());
            let moments = MOMENTS.into_iter().zip(moments);
            let all = weight.into_iter().chain(kept).chain(moments);
            all.map(move |(what, tensor)| (format!("{what}{name}"), tensor.into()))
        });
        of_each.collect()
    }

    /// Puts everything back to a [`state`](Self::state) that was reached after so many steps.
    ///
    /// # Errors
    /// When the state is of another model.
    pub fn restore(&mut self, mut state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()> {
        self.steps = steps;
        for learned in &mut self.learned {
            let name = &learned.name;
            let tensor = self.weights.get(name).with_context(|| format!("there is no tensor {name}"))?;
            let saved = SavedTensor::take(&mut state, name, tensor.shape())?;
            learned.kept = saved.kept;
            for (numbers, moment) in learned.moments.numbers_mut().into_iter().zip(saved.moments) {
                *numbers = moment.into_raw_vec_and_offset().0;
            }
            self.weights.insert(name.clone(), saved.weight);
        }
        Ok(())
    }

    /// All weights, given up.
    pub fn into_weights(self) -> Weights {
        self.weights
    }

    /// Makes a step against the gradients of what learns, with the learning rates times `factor`.
    /// Returns the norm of the whole gradient, before it was clipped.
    pub fn step(&mut self, gradients: &[ArrayViewD<'_, f32>], factor: f64) -> Result<f32> {
        const ORDER: &str = "a tensor is not in row-major order";
        self.steps += 1;
        let gradients: Vec<&[f32]> =
            gradients.iter().map(|gradient| gradient.as_slice().context(ORDER)).collect::<Result<_>>()?;
        let norm = gradients.iter().map(|gradient| sum_of_squares(gradient)).sum::<f64>().sqrt();
        let is_long = self.clip_norm > 0.0 && norm > self.clip_norm;
        let gradient_scale = if is_long { (self.clip_norm / norm) as f32 } else { 1.0 };
        let mut tensors: HashMap<&str, &mut ArrayD<f32>> = self.weights.iter_mut().collect();
        for (learned, gradient) in self.learned.iter_mut().zip(gradients) {
            let weight = tensors.get_mut(learned.name.as_str()).and_then(|tensor| tensor.as_slice_mut());
            let LearningRate { rate, weight_decay } = learned.rate;
            let learning_rate = factor * rate;
            let step = Step { number: self.steps as i32, learning_rate, weight_decay, gradient_scale };
            learned.moments.step(step, weight.context(ORDER)?, gradient);
        }
        Ok(norm as f32)
    }
}

/// How fast the tensor `name` learns; biases and layer normalisation are spared from decay.
pub fn learning_rate_of(model: &Model, train: &Train, name: &str) -> LearningRate {
    let spared = name.ends_with(".bias") || name.contains("LayerNorm");
    LearningRate {
        rate: learning_rate(model, train, name),
        weight_decay: if spared { 0.0 } else { train.weight_decay },
    }
}

/// The classifier's rate, or the encoder's, lower for layers further from the classifier.
fn learning_rate(model: &Model, train: &Train, name: &str) -> f64 {
    let rates = &train.learning_rate;
    if name.starts_with("classifier.") {
        return rates.classifier;
    }
    let layer =
        name.strip_prefix("bert.encoder.layer.").and_then(|rest| rest.split('.').next()?.parse::<i32>().ok());
    let layers = model.config.num_hidden_layers as i32;
    let below_last = layer.map_or(layers, |layer| layers - 1 - layer);
    rates.encoder * rates.layer_decay.powi(below_last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_bert::{BertConfig, Dropout, Start};
    use midashi_config::TrainableLayers;
    use ndarray::{IxDyn, arr1};

    fn model() -> Model {
        let config: BertConfig = serde_json::from_value(serde_json::json!({
            "model_type": "bert", "vocab_size": 5, "hidden_size": 2, "num_hidden_layers": 3,
            "num_attention_heads": 1, "intermediate_size": 2, "max_position_embeddings": 4
        }))
        .unwrap();
        let (start, trainable) = (Start::InputIds, TrainableLayers::All);
        Model { config, labels: vec![], start, trainable, dropout: Dropout::default() }
    }

    #[test]
    fn rates_fall_from_layer_to_layer_and_the_classifier_has_its_own() {
        let mut train = Train::default();
        train.learning_rate.encoder = 1.0;
        train.learning_rate.classifier = 7.0;
        train.learning_rate.layer_decay = 0.5;
        let rate = |name: &str| learning_rate(&model(), &train, name);
        assert_eq!(rate("classifier.weight"), 7.0);
        assert_eq!(rate("bert.encoder.layer.2.output.dense.weight"), 1.0);
        assert_eq!(rate("bert.encoder.layer.0.output.dense.weight"), 0.25);
        assert_eq!(rate("bert.embeddings.word_embeddings.weight"), 0.125);
    }

    #[test]
    fn decay_spares_biases_and_a_long_gradient_is_clipped() {
        let names = ["classifier.weight", "classifier.bias"];
        let mut weights = Weights::default();
        for name in names {
            weights.insert(name.to_owned(), ArrayD::ones(IxDyn(&[2])));
        }
        let mut train = Train { weight_decay: 0.1, clip_norm: 1.0, ..Train::default() };
        train.learning_rate.classifier = 0.5;
        let names = names.map(String::from).into();
        let mut optimiser = Optimiser::new(&model(), &train, weights, names).unwrap();
        let (zero, long) = (arr1(&[0.0_f32, 0.0]).into_dyn(), arr1(&[3.0_f32, 4.0]).into_dyn());
        let norm = optimiser.step(&[zero.view(), long.view()], 1.0).unwrap();
        assert_eq!(norm, 5.0, "before clipping");
        let after: Vec<Vec<f32>> =
            optimiser.learned().map(|(_, tensor)| tensor.iter().copied().collect()).collect();
        assert_eq!(after[0], [0.95, 0.95], "1 − 0.5 · 0.1");
        // Adam's first step is the learning rate, however long the gradient.
        assert!(after[1].iter().all(|weight| (weight - 0.5).abs() < 1e-6), "{:?}", after[1]);
    }
}

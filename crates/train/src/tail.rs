//! The trainable part: one optimiser step, one look at the validation split.

use std::collections::HashMap;

use anyhow::{Context, Result};
use midashi_bert::{Batch, Graph, LABELS, LOGITS, LOSS, Storage, Weights, gradient_name, most_probable};
use midashi_pipeline::artifact::{Split, TokenizedCorpus};
use midashi_pipeline::config::LearningRates;
use midashi_runtime::{Session, Tensor};
use ndarray::{Array1, ArrayD, ArrayView1, ArrayViewD};

use crate::adam::{Moments, sum_of_squares};
use crate::model::Model;
use crate::setup::Setup;
use crate::texts::Texts;

/// The trainable part of the model with its optimiser.
pub struct Tail<'a> {
    texts: &'a Texts<'a>,
    model: &'a Model,
    learning_rates: &'a LearningRates,
    training: Session,
    /// The same without loss and gradients, where there is a validation split to look at.
    classifier: Option<Session>,
    weights: Weights,
    /// Names of what learns and its moments, in the order of the graph.
    moments: Vec<(String, Moments)>,
    steps: i32,
    threads: rayon::ThreadPool,
}

/// What a batch gave.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchResult {
    /// Mean cross-entropy per text.
    pub loss: f64,
    /// Texts classified rightly.
    pub correct: usize,
    /// Texts in the batch.
    pub texts: usize,
    /// Tokens in the batch, padding not counted.
    pub tokens: usize,
    /// Euclidean norm of the whole gradient.
    pub gradient_norm: f32,
}

impl<'a> Tail<'a> {
    /// Prepares the training of `weights`, of which those that learn are fed at every step.
    pub fn new(setup: &'a Setup, model: &'a Model, texts: &'a Texts<'a>, weights: Weights) -> Result<Self> {
        let session = |name: &str, graph: &Graph| -> Result<Session> {
            let frozen = weights.for_graph(graph, |name| !model.learns(name))?;
            let stored = |name: &str| if model.learns(name) { Storage::Input } else { Storage::External };
            Ok(setup.engine.session(&graph.to_model(name, stored), frozen)?)
        };
        let graph = model.training()?;
        let training = session("training", &graph)?;
        let is_watched = texts.corpus.texts.iter().any(|text| text.split == Split::Validation);
        let classifier =
            is_watched.then(|| session("classifier", &model.classifier(model.start)?)).transpose()?;
        let moments = graph
            .parameters()
            .filter(|(name, _)| model.learns(name))
            .map(|(name, shape)| (name.to_owned(), Moments::new(shape.iter().product())))
            .collect();
        Ok(Self {
            texts,
            model,
            learning_rates: &setup.settings.train.learning_rate,
            training,
            classifier,
            weights,
            moments,
            steps: 0,
            threads: rayon::ThreadPoolBuilder::new()
                .num_threads(setup.engine.threads())
                .build()
                .context("cannot start run.threads threads")?,
        })
    }

    /// The corpus that is learned from.
    pub fn corpus(&self) -> &'a TokenizedCorpus {
        self.texts.corpus
    }

    /// How many numbers learn.
    pub fn trainable_parameters(&self) -> usize {
        self.moments.iter().filter_map(|(name, _)| self.weights.get(name)).map(ArrayD::len).sum()
    }

    /// All weights, frozen ones included.
    pub fn into_weights(self) -> Weights {
        self.weights
    }

    /// Learns from one batch.
    pub fn step(&mut self, texts: &[usize]) -> Result<BatchResult> {
        let batch = LabelledBatch::new(self.texts, self.model, texts);
        let mut inputs = batch.inputs(&self.weights, &self.moments)?;
        inputs.push((LABELS, batch.labels.view().into_dyn().into()));
        let outputs = self.training.run(inputs)?;
        let mut result = batch.result(outputs.float32(LOSS)?.sum().into(), &outputs.float32(LOGITS)?);

        self.steps += 1;
        let gradients: Vec<ArrayViewD<'_, f32>> = self
            .moments
            .iter()
            .map(|(name, _)| outputs.float32(&gradient_name(name)))
            .collect::<Result<_, _>>()?;
        let (step, rates, weights, moments) =
            (self.steps, self.learning_rates, &mut self.weights, &mut self.moments);
        let squares = self.threads.install(|| {
            let mut tensors: HashMap<&str, &mut ArrayD<f32>> = weights.iter_mut().collect();
            let mut squares = 0.0;
            for ((name, moments), gradient) in moments.iter_mut().zip(&gradients) {
                let weight = tensors.get_mut(name.as_str()).and_then(|tensor| tensor.as_slice_mut());
                let (weight, gradient) =
                    weight.zip(gradient.as_slice()).context("a tensor is not in row-major order")?;
                squares += sum_of_squares(gradient);
                let is_classifier = name.starts_with("classifier.");
                let rate = if is_classifier { rates.classifier } else { rates.encoder };
                moments.step(step, rate, weight, gradient);
            }
            anyhow::Ok(squares)
        })?;
        result.gradient_norm = squares.sqrt() as f32;
        Ok(result)
    }

    /// Looks at one batch of the validation split without learning from it.
    pub fn look(&mut self, texts: &[usize]) -> Result<BatchResult> {
        let batch = LabelledBatch::new(self.texts, self.model, texts);
        let inputs = batch.inputs(&self.weights, &self.moments)?;
        let session = self.classifier.as_mut().context("there is no validation split to look at")?;
        let outputs = session.run(inputs)?;
        let logits = outputs.float32(LOGITS)?;
        Ok(batch.result(cross_entropy(&logits, &batch.labels), &logits))
    }
}

/// The arrays of one batch with its answers.
struct LabelledBatch {
    texts: Batch,
    labels: Array1<i64>,
    tokens: usize,
}

impl LabelledBatch {
    fn new(texts: &Texts<'_>, model: &Model, batch: &[usize]) -> Self {
        let of_batch = || batch.iter().map(|&text| &texts.corpus.texts[text]);
        Self {
            texts: texts.batch(batch, &model.config),
            labels: of_batch().map(|text| i64::from(text.label.0)).collect(),
            tokens: of_batch().map(|text| text.input_ids.len()).sum(),
        }
    }

    /// The texts and the weights that learn.
    fn inputs<'a>(
        &'a self,
        weights: &'a Weights,
        moments: &'a [(String, Moments)],
    ) -> Result<Vec<(&'a str, Tensor<'a>)>> {
        let mut inputs: Vec<(&str, Tensor<'_>)> = self.texts.inputs();
        for (name, _) in moments {
            let tensor = weights.get(name).with_context(|| format!("there is no tensor {name}"))?;
            inputs.push((name, tensor.view().into()));
        }
        Ok(inputs)
    }

    fn result(&self, loss: f64, logits: &ArrayViewD<'_, f32>) -> BatchResult {
        let right = |(row, &label): (ArrayView1<'_, f32>, &i64)| most_probable(row) as i64 == label;
        BatchResult {
            loss,
            correct: logits.rows().into_iter().zip(&self.labels).filter(|pair| right(*pair)).count(),
            texts: self.labels.len(),
            tokens: self.tokens,
            gradient_norm: 0.0,
        }
    }
}

/// Mean over the texts of `−log softmax(logits)[label]`, as the training graph computes it.
fn cross_entropy(logits: &ArrayViewD<'_, f32>, labels: &Array1<i64>) -> f64 {
    let of_text = |(row, &label): (ArrayView1<'_, f32>, &i64)| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: f64 = row.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        powers.ln() - f64::from(row[label as usize] - largest)
    };
    logits.rows().into_iter().zip(labels).map(of_text).sum::<f64>() / labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_cross_entropy_is_pytorchs_however_large_the_logits() {
        // torch.nn.functional.cross_entropy of these in float64
        let logits = array![[1.0, 2.0, 3.0], [1000.0, 999.0, -1000.0]].into_dyn();
        assert!((cross_entropy(&logits.view(), &array![0, 0]) - 1.360_433_826).abs() < 1e-6);
    }
}

//! The trainable part: one optimiser step, one look at the validation split.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Context, Result};
use midashi_artifacts::{Split, TokenizedCorpus};
use midashi_bert::{Batch, Graph, LOGITS, TARGETS, Weights, most_probable};
use midashi_config::Train;
use midashi_runtime::{Session, Tensor};
use ndarray::{Array1, ArrayView1, ArrayViewD};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::dropout;
use crate::learner::{Learner, State, learner};
use crate::model::Model;
use crate::setup::Setup;
use crate::targets::Targets;
use crate::texts::Texts;

/// The trainable part of the model with its optimiser.
pub struct Tail<'a> {
    texts: &'a Texts<'a>,
    model: &'a Model,
    train: &'a Train,
    graph: Graph,
    /// The same without loss and gradients, where there is a validation split to look at.
    classifier: Option<Session>,
    targets: Targets,
    learner: Box<dyn Learner + 'a>,
    threads: Arc<ThreadPool>,
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

impl BatchResult {
    /// Adds a part of the same step.
    fn add(&mut self, part: &Self) {
        self.loss += part.loss;
        self.correct += part.correct;
        self.texts += part.texts;
        self.tokens += part.tokens;
    }
}

impl<'a> Tail<'a> {
    /// Prepares the training of `weights`.
    pub fn new(setup: &'a Setup, model: &'a Model, texts: &'a Texts<'a>, weights: Weights) -> Result<Self> {
        let is_watched = texts.corpus.texts.iter().any(|text| text.split == Split::Validation);
        let classifier =
            || model.session(&setup.engine, "classifier", &model.classifier(model.start)?, &weights);
        let classifier = is_watched.then(classifier).transpose()?;
        let threads = ThreadPoolBuilder::new().num_threads(setup.engine.threads()).build();
        let threads = Arc::new(threads.context("cannot start run.threads threads")?);
        let train = &setup.settings.train;
        Ok(Self {
            texts,
            model,
            train,
            graph: model.training()?,
            classifier,
            targets: Targets::new(train, texts.corpus),
            learner: learner(setup, model, weights, threads.clone())?,
            threads,
        })
    }

    /// The corpus that is learned from.
    pub fn corpus(&self) -> &'a TokenizedCorpus {
        self.texts.corpus
    }

    /// How many numbers learn.
    pub fn trainable_parameters(&self) -> usize {
        let learned = self.graph.parameters().filter(|(name, _)| self.model.learns(name));
        learned.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Remembers what learns as it is now.
    pub fn keep(&mut self) {
        self.learner.keep();
    }

    /// Puts what learns back to what is remembered.
    pub fn put_back_kept(&mut self) {
        self.learner.put_back_kept();
    }

    /// All that a step changes, by name.
    pub fn state(&self) -> Result<State<'_>> {
        self.learner.state()
    }

    /// Puts everything back to a [`state`](Self::state) that was reached after so many steps.
    pub fn restore(&mut self, state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()> {
        self.learner.restore(state, steps)
    }

    /// All weights, frozen ones included.
    pub fn into_weights(self) -> Result<Weights> {
        self.learner.into_weights()
    }

    /// Learns from one batch, with the learning rates times `factor`.
    pub fn step(&mut self, texts: &[usize], factor: f64) -> Result<BatchResult> {
        let weight = self.targets.weight(texts);
        let parts: Vec<&[usize]> = texts.chunks(texts.len().div_ceil(self.train.accumulation)).collect();
        let mut result = BatchResult::default();
        for (number, part) in (1..).zip(&parts) {
            let batch = LabelledBatch::new(self.texts, self.model, part)?;
            let targets = self.targets.of(part, weight).into_dyn();
            // Of all runs of the training graph, counted from 1: whatever was done before, a step drops the same.
            let run = (self.learner.steps() * self.train.accumulation + number) as u64;
            let (Train { dropout, seed, .. }, sizes) = (self.train, batch.texts.sizes());
            let masks = self.threads.install(|| dropout::masks(&self.graph, *dropout, *seed, run, sizes));
            let mut inputs: Vec<(&str, Tensor<'_>)> = batch.texts.inputs();
            inputs.push((TARGETS, targets.view().into()));
            inputs.extend(masks.iter().map(|(name, mask)| (name.as_str(), mask.view().into())));
            let found = self.learner.learn(&inputs, (number == parts.len()).then_some(factor))?;
            result.add(&batch.result(found.loss.into(), &found.logits.view()));
            result.gradient_norm = found.gradient_norm.unwrap_or_default();
        }
        Ok(result)
    }

    /// Looks at one batch of the validation split without learning from it.
    pub fn look(&mut self, texts: &[usize]) -> Result<BatchResult> {
        let batch = LabelledBatch::new(self.texts, self.model, texts)?;
        let mut inputs: Vec<(&str, Tensor<'_>)> = batch.texts.inputs();
        inputs.extend(self.learner.learned());
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
    fn new(texts: &Texts<'_>, model: &Model, batch: &[usize]) -> Result<Self> {
        let of_batch = || batch.iter().map(|&text| &texts.corpus.texts[text]);
        Ok(Self {
            texts: texts.batch(batch, &model.config)?,
            labels: of_batch().map(|text| i64::from(text.label.0)).collect(),
            tokens: of_batch().map(|text| text.input_ids.len()).sum(),
        })
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

//! The trainable layers of the model with their optimiser: one step, and the evaluation of one batch.

use std::ops::AddAssign;

use anyhow::{Context, Result};
use midashi_artifacts::{Split, TokenizedCorpus};
use midashi_classifier::CorpusInputs;
use midashi_config::Train;
use midashi_encoder::{Graph, LOGITS, PaddingRule, TARGETS, Weights, argmax};
use midashi_runtime::{Session, Tensor};
use ndarray::{ArrayView1, ArrayViewD};
use serde::{Deserialize, Serialize};

use crate::data::{Targets, dropout_masks};
use crate::model::Model;
use crate::optimiser::{self, Optimiser};
use crate::setup::Setup;

/// The trainable layers and what their training needs.
pub struct Tail<'a> {
    inputs: &'a CorpusInputs<'a>,
    padding: PaddingRule,
    model: &'a Model,
    train: &'a Train,
    graph: Graph,
    /// From the tail's start to the logits, if there is a validation split.
    classifier: Option<Session>,
    targets: Targets,
    pub optimiser: Box<dyn Optimiser + 'a>,
}

/// Results of one batch or of several.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct BatchResult {
    /// Mean cross-entropy per text.
    pub loss: f64,
    /// Number of correctly classified texts.
    pub correct: usize,
    /// Number of texts.
    pub texts: usize,
    /// Number of tokens without padding.
    pub tokens: usize,
    /// Euclidean norm of the gradient before clipping.
    pub gradient_norm: f32,
}

impl BatchResult {
    /// Share of correctly classified texts.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.texts as f64
    }
}

impl AddAssign for BatchResult {
    fn add_assign(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.texts += other.texts;
        self.tokens += other.tokens;
        self.gradient_norm = other.gradient_norm;
    }
}

impl<'a> Tail<'a> {
    /// Prepares the training of `weights`.
    pub fn new(
        setup: &'a Setup,
        model: &'a Model,
        inputs: &'a CorpusInputs<'a>,
        weights: Weights,
    ) -> Result<Self> {
        let has_validation = inputs.corpus.texts.iter().any(|text| text.split == Split::Validation);
        let classifier =
            || model.session(&setup.engine, "classifier", &model.classifier(model.start)?, &weights);
        let classifier = has_validation.then(classifier).transpose()?;
        let train = &setup.settings.train;
        Ok(Self {
            inputs,
            padding: setup.padding(),
            model,
            train,
            graph: model.training()?,
            classifier,
            targets: Targets::new(train, inputs.corpus),
            optimiser: optimiser::open(setup, model, weights)?,
        })
    }

    /// The corpus with the training and validation splits.
    pub fn corpus(&self) -> &'a TokenizedCorpus {
        self.inputs.corpus
    }

    /// Number of trainable parameters.
    pub fn trainable_parameters(&self) -> usize {
        let trainable = self.graph.parameters().filter(|(name, _)| self.model.is_trainable(name));
        trainable.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Makes one optimiser step on a batch, with the learning rates times `factor`.
    pub fn step(&mut self, texts: &[usize], factor: f64) -> Result<BatchResult> {
        let Train { gradient_accumulation_steps: accumulation, dropout, seed, .. } = *self.train;
        let weight = self.targets.weight(texts);
        let micro_batches = texts.chunks(texts.len().div_ceil(accumulation));
        let count = micro_batches.len();
        let mut total = BatchResult::default();
        for (number, texts) in (1..).zip(micro_batches) {
            let batch = self.inputs.batch(texts, self.padding)?;
            let targets = self.targets.of(texts, weight).into_dyn();
            // The number of this run of the training graph selects the dropout masks.
            let run = (self.optimiser.steps() * accumulation + number) as u64;
            let masks = dropout_masks(&self.graph, dropout, seed, run, batch.sizes());
            let mut inputs: Vec<(&str, Tensor<'_>)> = batch.inputs();
            inputs.push((TARGETS, targets.view().into()));
            inputs.extend(masks.iter().map(|(name, mask)| (name.as_str(), mask.view().into())));
            let found = self.optimiser.run(&inputs, (number == count).then_some(factor))?;
            let result = self.result(texts, found.loss.into(), &found.logits.view());
            total += BatchResult { gradient_norm: found.gradient_norm.unwrap_or_default(), ..result };
        }
        Ok(total)
    }

    /// Evaluates one batch of the validation split.
    pub fn validate(&mut self, texts: &[usize]) -> Result<BatchResult> {
        let batch = self.inputs.batch(texts, self.padding)?;
        let mut inputs: Vec<(&str, Tensor<'_>)> = batch.inputs();
        inputs.extend(self.optimiser.trainable());
        let session = self.classifier.as_mut().context("there is no validation split")?;
        let outputs = session.run(inputs)?;
        let logits = outputs.float32(LOGITS)?;
        let labels = texts.iter().map(|&text| self.inputs.corpus.texts[text].label.index());
        Ok(self.result(texts, cross_entropy(&logits, labels), &logits))
    }

    fn result(&self, texts: &[usize], loss: f64, logits: &ArrayViewD<'_, f32>) -> BatchResult {
        let corpus = &self.inputs.corpus.texts;
        let is_correct =
            |(row, text): &(ArrayView1<'_, f32>, &usize)| argmax(*row) == corpus[**text].label.index();
        BatchResult {
            loss,
            correct: logits.rows().into_iter().zip(texts).filter(is_correct).count(),
            texts: texts.len(),
            tokens: texts.iter().map(|&text| corpus[text].encoding.len()).sum(),
            gradient_norm: 0.0,
        }
    }
}

/// Mean of `−log softmax(logits)[label]` over the texts, as in the training graph.
fn cross_entropy(logits: &ArrayViewD<'_, f32>, labels: impl ExactSizeIterator<Item = usize>) -> f64 {
    let count = labels.len() as f64;
    let of_text = |(row, label): (ArrayView1<'_, f32>, usize)| {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: f64 = row.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        exponentials.ln() - f64::from(row[label] - largest)
    };
    logits.rows().into_iter().zip(labels).map(of_text).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_cross_entropy_is_pytorchs_however_large_the_logits() {
        // torch.nn.functional.cross_entropy of these in float64
        let logits = array![[1.0, 2.0, 3.0], [1000.0, 999.0, -1000.0]].into_dyn();
        assert!((cross_entropy(&logits.view(), [0, 0].into_iter()) - 1.360_433_826).abs() < 1e-6);
    }
}

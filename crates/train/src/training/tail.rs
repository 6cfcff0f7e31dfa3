//! The trainable layers of the model with their optimiser: one step, and the evaluation of one batch.

use std::ops::AddAssign;

use anyhow::{Context, Result};
use midashi_artifacts::Split;
use midashi_classifier::{CorpusInputs, mean_logits};
use midashi_config::Train;
use midashi_encoder::{Graph, LOGITS, PaddingRule, TARGETS, Weights, argmax};
use midashi_runtime::{Session, Tensor};
use ndarray::ArrayView1;
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
    /// Number of correctly classified texts; of a step, of texts or windows.
    pub correct: usize,
    /// Number of texts; of a step, of texts or windows.
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
            targets: Targets::new(train, inputs.corpus, &inputs.rows),
            optimiser: optimiser::open(setup, model, weights)?,
        })
    }

    /// The corpus with the training and validation splits, and its rows.
    pub fn inputs(&self) -> &'a CorpusInputs<'a> {
        self.inputs
    }

    /// Number of trainable parameters, with those that have no part in the loss, such as the last key bias of a BERT.
    pub fn trainable_parameters(&self) -> usize {
        let Model { config, head, .. } = self.model;
        let of_model = config.tensors().into_iter().chain(head.tensors(config));
        let trainable = of_model.filter(|(name, _)| self.model.is_trainable(name));
        trainable.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    /// Makes one optimiser step on a batch of rows, with the learning rates times `factor`.
    pub fn step(&mut self, rows: &[usize], factor: f64) -> Result<BatchResult> {
        let Train { gradient_accumulation_steps: accumulation, dropout, seed, .. } = *self.train;
        let weight = self.targets.weight(rows);
        let micro_batches = rows.chunks(rows.len().div_ceil(accumulation));
        let count = micro_batches.len();
        let mut total = BatchResult::default();
        for (number, rows) in (1..).zip(micro_batches) {
            let batch = self.inputs.batch(rows, self.padding)?;
            let targets = self.targets.of(rows, weight).into_dyn();
            // The number of this run of the training graph selects the dropout masks.
            let run = (self.optimiser.steps() * accumulation + number) as u64;
            let masks = dropout_masks(&self.graph, dropout, seed, run, batch.sizes());
            let mut inputs: Vec<(&str, Tensor<'_>)> = batch.inputs();
            inputs.push((TARGETS, targets.view().into()));
            inputs.extend(masks.iter().map(|(name, mask)| (name.as_str(), mask.view().into())));
            let found = self.optimiser.run(&inputs, (number == count).then_some(factor))?;
            let logits =
                found.logits.rows().into_iter().zip(rows.iter().map(|&row| self.inputs.rows.text(row)));
            let result = self.result(logits, found.loss.into(), rows);
            total += BatchResult { gradient_norm: found.gradient_norm.unwrap_or_default(), ..result };
        }
        Ok(total)
    }

    /// Evaluates texts of the validation split: as one batch, or where they have more windows, in batches of at most as many
    /// windows. A text's logits are the mean of its windows'.
    pub fn validate(&mut self, texts: &[usize]) -> Result<BatchResult> {
        let rows = self.inputs.rows_of(texts);
        let mut of_rows: Vec<Vec<f32>> = Vec::with_capacity(rows.len());
        for rows in rows.chunks(texts.len().max(1)) {
            let batch = self.inputs.batch(rows, self.padding)?;
            let mut inputs: Vec<(&str, Tensor<'_>)> = batch.inputs();
            inputs.extend(self.optimiser.trainable());
            let session = self.classifier.as_mut().context("there is no validation split")?;
            let outputs = session.run(inputs)?;
            of_rows.extend(outputs.finite(LOGITS)?.rows().into_iter().map(|row| row.to_vec()));
        }
        let lengths = self.inputs.lengths(&rows);
        let mut rows_and_lengths = of_rows.iter().map(Vec::as_slice).zip(lengths);
        let logits: Vec<Vec<f32>> = texts
            .iter()
            .map(|&text| {
                let windows = self.inputs.rows.rows(text).len();
                mean_logits(&rows_and_lengths.by_ref().take(windows).collect::<Vec<_>>())
            })
            .collect();
        let logits: Vec<ArrayView1<'_, f32>> = logits.iter().map(ArrayView1::from).collect();
        let labels = texts.iter().map(|&text| self.inputs.corpus.texts[text].label.index());
        let loss = cross_entropy(logits.iter().copied().zip(labels));
        Ok(self.result(logits.into_iter().zip(texts.iter().copied()), loss, &rows))
    }

    /// The result of a batch with the logits of texts or windows, each with its text.
    fn result<'l>(
        &self,
        logits: impl ExactSizeIterator<Item = (ArrayView1<'l, f32>, usize)>,
        loss: f64,
        rows: &[usize],
    ) -> BatchResult {
        let corpus = &self.inputs.corpus.texts;
        let texts = logits.len();
        let is_correct =
            |(logits, text): &(ArrayView1<'_, f32>, usize)| argmax(*logits) == corpus[*text].label.index();
        BatchResult {
            loss,
            correct: logits.filter(is_correct).count(),
            texts,
            tokens: self.inputs.lengths(rows).iter().sum(),
            gradient_norm: 0.0,
        }
    }
}

/// Mean of `−log softmax(logits)[label]` over the texts, as in the training graph.
fn cross_entropy<'l>(texts: impl ExactSizeIterator<Item = (ArrayView1<'l, f32>, usize)>) -> f64 {
    let count = texts.len() as f64;
    let of_text = |(logits, label): (ArrayView1<'_, f32>, usize)| {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exponentials: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        exponentials.ln() - f64::from(logits[label] - largest)
    };
    texts.map(of_text).sum::<f64>() / count
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_cross_entropy_is_pytorchs_however_large_the_logits() {
        // torch.nn.functional.cross_entropy of these in float64
        let logits = array![[1.0, 2.0, 3.0], [1000.0, 999.0, -1000.0]];
        let found = cross_entropy(logits.rows().into_iter().map(|row| (row, 0)));
        assert!((found - 1.360_433_826).abs() < 1e-6);
    }
}

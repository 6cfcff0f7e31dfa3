//! The trainable part: one optimiser step, one look at the validation split.

use std::collections::HashMap;

use anyhow::{Context, Result};
use midashi_bert::{
    Batch, BertConfig, Graph, LABELS, LOGITS, LOSS, Start, Storage, Weights, gradient_name, most_probable,
};
use midashi_pipeline::artifact::{Features, FeaturesKey, TokenizedCorpus};
use midashi_pipeline::config::LearningRates;
use midashi_runtime::{Session, SessionOptions, Tensor};
use ndarray::{Array1, ArrayD, ArrayViewD};

use crate::adam::{Moments, sum_of_squares};
use crate::setup::Setup;

/// The trainable part of the model with its optimiser.
pub struct Tail<'a> {
    corpus: &'a TokenizedCorpus,
    features: Option<&'a Features>,
    config: &'a BertConfig,
    learning_rates: &'a LearningRates,
    training: Session,
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
    pub fn new(
        setup: &'a Setup,
        config: &'a BertConfig,
        start: Start,
        corpus: &'a TokenizedCorpus,
        features: Option<&'a (FeaturesKey, Features)>,
        weights: Weights,
    ) -> Result<Self> {
        let learns = |name: &str| setup.learns(config, name);
        let graph = midashi_bert::training(config, corpus.categories.len(), start, learns)?;
        let frozen = weights.for_graph(&graph, |name| !learns(name))?;
        let moments = graph
            .parameters()
            .filter(|(name, _)| learns(name))
            .map(|(name, shape)| (name.to_owned(), Moments::new(shape.iter().product())))
            .collect();
        let threads = setup.settings.engine.threads;
        let options = SessionOptions::new(setup.device, threads).with_initializers(frozen);
        let training = setup.runtime.session(&training_model(&graph, learns), options)?;
        Ok(Self {
            corpus,
            features: features.map(|(_, features)| features),
            config,
            learning_rates: &setup.settings.train.learning_rate,
            training,
            weights,
            moments,
            steps: 0,
            threads: rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .context("cannot start run.threads threads")?,
        })
    }

    /// The corpus that is learned from.
    pub fn corpus(&self) -> &'a TokenizedCorpus {
        self.corpus
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
        let batch = LabelledBatch::new(self.corpus, self.features, self.config, texts);
        let outputs = self.training.run(batch.inputs(&self.weights, &self.moments)?)?;
        let mut result = batch.result(outputs.float32(LOSS)?.sum(), outputs.float32(LOGITS)?);

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

    /// Looks at one batch without learning from it. The gradients are computed all the same: the
    /// validation split is small beside the training split.
    pub fn look(&mut self, texts: &[usize]) -> Result<BatchResult> {
        let batch = LabelledBatch::new(self.corpus, self.features, self.config, texts);
        let outputs = self.training.run(batch.inputs(&self.weights, &self.moments)?)?;
        Ok(batch.result(outputs.float32(LOSS)?.sum(), outputs.float32(LOGITS)?))
    }
}

/// The training graph with what learns as inputs and the rest handed over.
fn training_model(graph: &Graph, learns: impl Fn(&str) -> bool) -> Vec<u8> {
    graph.to_model("training", |name| if learns(name) { Storage::Input } else { Storage::External })
}

/// The arrays of one batch with its answers.
struct LabelledBatch {
    texts: Batch,
    labels: ArrayD<i64>,
    tokens: usize,
}

impl LabelledBatch {
    fn new(
        corpus: &TokenizedCorpus,
        features: Option<&Features>,
        config: &BertConfig,
        texts: &[usize],
    ) -> Self {
        let ids: Vec<&[i32]> = texts.iter().map(|&text| &corpus.texts[text].input_ids[..]).collect();
        let batch = match features {
            Some(features) => {
                let hidden: Vec<&[f32]> = texts.iter().map(|&text| features.hidden(text)).collect();
                Batch::of_hidden(&hidden, config.hidden_size)
            }
            None => Batch::of_ids(&ids, config.pad_token_id),
        };
        let labels: Array1<i64> = texts.iter().map(|&text| i64::from(corpus.texts[text].label.0)).collect();
        Self { texts: batch, labels: labels.into_dyn(), tokens: ids.iter().map(|ids| ids.len()).sum() }
    }

    /// Inputs of the training graph: texts, answers, and the weights that learn.
    fn inputs<'a>(
        &'a self,
        weights: &'a Weights,
        moments: &'a [(String, Moments)],
    ) -> Result<Vec<(&'a str, Tensor<'a>)>> {
        let mut inputs: Vec<(&str, Tensor<'_>)> = self.texts.inputs();
        inputs.push((LABELS, self.labels.view().into()));
        for (name, _) in moments {
            let tensor = weights.get(name).with_context(|| format!("there is no tensor {name}"))?;
            inputs.push((name, tensor.view().into()));
        }
        Ok(inputs)
    }

    fn result(&self, loss: f32, logits: ArrayViewD<'_, f32>) -> BatchResult {
        let right = |(row, &label): (ndarray::ArrayView1<'_, f32>, &i64)| most_probable(row) as i64 == label;
        BatchResult {
            loss: f64::from(loss),
            correct: logits.rows().into_iter().zip(&self.labels).filter(|pair| right(*pair)).count(),
            texts: self.labels.len(),
            tokens: self.tokens,
            gradient_norm: 0.0,
        }
    }
}

//! A fine-tuned model that classifies the texts of the corpus that it was trained on, as it was trained.

use std::path::Path;

use midashi_artifacts::TokenizedCorpus;
use midashi_encoder::{PaddingRule, Start, Storage, classifier};
use midashi_runtime::{Engine, Session};

use crate::{CorpusInputs, HiddenStates, ModelFolder, Prediction, Result, Trunk};

/// A model that computes a corpus's texts as its training did: with the frozen layers in the same precision, and from
/// their cached hidden states where these still exist.
pub struct CorpusClassifier<'a> {
    inputs: CorpusInputs<'a>,
    session: Session,
}

impl<'a> CorpusClassifier<'a> {
    /// Opens `model` for the texts of `corpus`. `features` is where the hidden states of the frozen layers may be cached;
    /// otherwise they are computed.
    ///
    /// # Errors
    /// When a weight is missing or damaged, ONNX Runtime refuses a graph, or the device cannot compute the frozen layers
    /// in their precision.
    pub fn open(
        model: &ModelFolder,
        engine: &Engine,
        corpus: &'a TokenizedCorpus,
        features: &Path,
    ) -> Result<Self> {
        let (config, weights) = (model.config(), model.weights()?);
        let record = model.training().trunk.as_ref();
        let start = record.map_or(Start::InputIds, |record| Start::AfterLayers(record.features.trunk_layers));
        let hidden_states = record.map(|record| {
            let key = &record.features;
            let is_cached = record.kept && key.input_ids_sha256 == corpus.input_ids_sha256();
            if is_cached && let Some(cached) = HiddenStates::cached(features, key, corpus)? {
                return Ok(cached);
            }
            let reason = if record.kept { "the cached ones of the training are gone" } else { "not cached" };
            midashi_stage::outln!("  features of {} frozen layers: {reason}, computed", key.trunk_layers);
            Trunk::prepare(engine, config, &weights, key, corpus).map(HiddenStates::Computed)
        });
        let inputs = CorpusInputs {
            corpus,
            rows: corpus.rows(),
            pad_token_id: config.pad_token_id,
            hidden_states: hidden_states.transpose()?,
        };
        let graph = classifier(config, model.head(), start)?;
        let parameters = weights.for_graph(&graph, |_| true)?;
        let session = engine.session(&graph.to_model("classifier", |_| Storage::External), parameters)?;
        Ok(Self { inputs, session })
    }

    /// The texts of the corpus as the graph reads them.
    pub fn inputs(&self) -> &CorpusInputs<'a> {
        &self.inputs
    }

    /// Classifies rows of [`inputs`](Self::inputs), texts or windows, as one batch.
    ///
    /// # Errors
    /// When a graph fails, or padding is to be attended to although there are frozen layers.
    pub fn classify(&mut self, rows: &[usize], padding: PaddingRule) -> Result<Vec<Prediction>> {
        let inputs = &self.inputs;
        let batch = inputs.batch(rows, padding)?;
        let outputs = self.session.run(batch.inputs())?;
        let name = |row: usize| inputs.corpus.texts[inputs.rows.text(rows[row])].id.clone();
        Prediction::of_batch(&outputs, &inputs.lengths(rows)).map_err(|error| error.with_text(name))
    }
}

//! The artifacts of the earlier stages.

use midashi_artifacts::{
    AttentionRow, BaselineAnswer, Corpus, Explanations, Metrics, Predictions, Result, StepRow,
    TokenizedCorpus, read_attention, read_training,
};
use midashi_stage::{RunFolder, RunRecord};

/// All inputs of a report.
pub struct Artifacts {
    /// As TOML, the configuration keys that differ from their defaults.
    pub configuration: String,
    /// `run.json`; any stage may be missing.
    pub record: RunRecord,
    /// The articles, without their bodies.
    pub corpus: Corpus,
    /// The tokenised texts.
    pub tokens: TokenizedCorpus,
    /// The optimiser's steps.
    pub training: Vec<StepRow>,
    /// The predictions for the test texts.
    pub predictions: Predictions,
    /// The linear baseline's answers for the same texts; none without a baseline.
    pub baseline: Option<Vec<BaselineAnswer>>,
    /// Attention from `[CLS]` in the last layer.
    pub attention: Vec<AttentionRow>,
    /// Weights of each token by the other methods.
    pub explanations: Explanations,
    /// The metrics on the test split.
    pub metrics: Metrics,
}

impl Artifacts {
    /// Reads all artifacts in `folder`.
    ///
    /// # Errors
    /// When one is missing or does not have its schema.
    pub fn read(folder: &RunFolder, configuration: String) -> Result<Self> {
        Ok(Self {
            configuration,
            record: RunRecord::read(folder),
            corpus: Corpus::read_without_bodies(&folder.corpus())?,
            tokens: TokenizedCorpus::read(&folder.tokens())?,
            training: read_training(&folder.training())?,
            predictions: Predictions::read(&folder.predictions())?,
            baseline: Predictions::read_answers(&folder.predictions())?,
            attention: read_attention(&folder.attention())?,
            explanations: Explanations::read(&folder.explanations())?,
            metrics: Metrics::read(&folder.metrics())?,
        })
    }
}

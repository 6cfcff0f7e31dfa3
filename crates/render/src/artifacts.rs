//! What the stages before left in the run's folder, read into memory.

use midashi_artifacts::{
    AttentionRow, Corpus, Explanations, Metrics, Predictions, Result, StepRow, TokenizedCorpus,
    read_attention, read_training,
};
use midashi_stage::{RunFolder, RunRecord};

/// Everything a report is made of.
pub struct Artifacts {
    /// What each stage recorded; may lack any of them.
    pub record: RunRecord,
    /// The articles, without their bodies.
    pub corpus: Corpus,
    /// The articles' texts as tokens.
    pub tokens: TokenizedCorpus,
    /// The optimiser's steps.
    pub training: Vec<StepRow>,
    /// What the model said of each test text.
    pub predictions: Predictions,
    /// What `[CLS]` attended to, for the texts of the gallery.
    pub attention: Vec<AttentionRow>,
    /// How much each token mattered, by other methods.
    pub explanations: Explanations,
    /// Accuracy and its relatives.
    pub metrics: Metrics,
}

impl Artifacts {
    /// Reads them all.
    ///
    /// # Errors
    /// When one is missing or is not what its schema says.
    pub fn read(folder: &RunFolder) -> Result<Self> {
        Ok(Self {
            record: RunRecord::read(folder),
            corpus: Corpus::read_without_bodies(&folder.corpus())?,
            tokens: TokenizedCorpus::read(&folder.tokens())?,
            training: read_training(&folder.training())?,
            predictions: Predictions::read(&folder.predictions())?,
            attention: read_attention(&folder.attention())?,
            explanations: Explanations::read(&folder.explanations())?,
            metrics: Metrics::read(&folder.metrics())?,
        })
    }
}

//! Reading a run's artifacts.

use std::fs;
use std::time::SystemTime;

use midashi_artifacts::{
    AttentionRow, Corpus, Explanations, Metrics, Predictions, Split, StepRow, Sweep, TokenizedCorpus,
    TokenizedText, read_attention, read_training,
};
use midashi_encoder::{Checkpoint, Weights};

use crate::run::Run;

impl Run {
    /// The bytes of an artifact.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.artifact(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// An artifact that is text.
    pub fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name)).unwrap()
    }

    /// When an artifact was made.
    pub fn modified(&self, name: &str) -> SystemTime {
        fs::metadata(self.artifact(name)).unwrap().modified().unwrap()
    }

    /// `corpus.parquet`.
    pub fn corpus(&self) -> Corpus {
        Corpus::read(&self.artifact("corpus.parquet")).unwrap()
    }

    /// `tokens.arrow`.
    pub fn tokens(&self) -> TokenizedCorpus {
        TokenizedCorpus::read(&self.artifact("tokens.arrow")).unwrap()
    }

    /// The texts of one split, in the order of `tokens.arrow`.
    pub fn texts(&self, split: Split) -> Vec<TokenizedText> {
        self.tokens().texts.into_iter().filter(|text| text.split == split).collect()
    }

    /// `training.parquet`.
    pub fn training(&self) -> Vec<StepRow> {
        read_training(&self.artifact("training.parquet")).unwrap()
    }

    /// `predictions.parquet`.
    pub fn predictions(&self) -> Predictions {
        Predictions::read(&self.artifact("predictions.parquet")).unwrap()
    }

    /// `attention.parquet`.
    pub fn attention(&self) -> Vec<AttentionRow> {
        read_attention(&self.artifact("attention.parquet")).unwrap()
    }

    /// `explanations.parquet`.
    pub fn explanations(&self) -> Explanations {
        Explanations::read(&self.artifact("explanations.parquet")).unwrap()
    }

    /// `metrics.json`.
    pub fn metrics(&self) -> Metrics {
        Metrics::read(&self.artifact("metrics.json")).unwrap()
    }

    /// `sweep.parquet`.
    pub fn sweep(&self) -> Sweep {
        Sweep::read(&self.artifact("sweep.parquet")).unwrap()
    }

    /// The encoder's weights in `model/`.
    pub fn weights(&self) -> Weights {
        Checkpoint::open(&self.artifact("model")).unwrap().encoder().unwrap()
    }
}

//! Names of a run's artifacts, each said once.

use std::path::{Path, PathBuf};

use midashi_config::Config;

use crate::{Error, Result};

/// The folder `artifacts/<run.name>/` and what lies in it.
#[derive(Clone, Debug)]
pub struct RunFolder(PathBuf);

macro_rules! artifacts {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        impl RunFolder {
            $($(#[$doc])* pub fn $name(&self) -> PathBuf { self.0.join($file) })*
        }
    };
}

artifacts! {
    /// Where the corpus and the checkpoint are, as `fetch` found them.
    sources = "sources.json";
    /// One row per article, by `ingest`.
    corpus = "corpus.parquet";
    /// One row per tokenised text, by `tokenize`.
    tokens = "tokens.arrow";
    /// The tokenizer's files as `tokenize` used them.
    tokenizer = "tokenizer";
    /// What the frozen layers say of each text, by `train`.
    features = "features.arrow";
    /// One row per optimiser step, by `train`.
    training = "training.parquet";
    /// How far an unfinished training has come, by `train`.
    training_state = "training.state";
    /// Event files for TensorBoard, by `train` (a log, not an artifact).
    tensorboard = "tensorboard";
    /// The fine-tuned model, by `train`.
    model = "model";
    /// One row per test text, by `evaluate`.
    predictions = "predictions.parquet";
    /// Attention of `[CLS]`, one row per shown text, by `evaluate`.
    attention = "attention.parquet";
    /// How much each token mattered by several methods, one row per explained text, by `evaluate`.
    explanations = "explanations.parquet";
    /// What the linear baseline says, one row per test text, by `evaluate` (kept for other runs).
    baseline = "baseline.parquet";
    /// Accuracy and its relatives, by `evaluate`.
    metrics = "metrics.json";
    /// The report, by `render`.
    report = "report.html";
    /// The runs of a sweep, a folder each, by `midashi-sweep`.
    sweep_runs = "sweep";
    /// One row per run of a sweep, by `midashi-sweep`.
    sweep = "sweep.parquet";
    /// The configuration of a run of a sweep.
    config = "pipeline.toml";
    /// What each stage did: time, memory, inputs, versions.
    record = "run.json";
    /// Digests of files already read (a cache, not an artifact).
    digests = ".digests.json";
    /// Locked by the stage at work.
    lock = ".lock";
}

impl RunFolder {
    /// The folder of the run `name` below `artifacts`.
    pub fn new(artifacts: &Path, name: &str) -> Self {
        Self(artifacts.join(name))
    }

    /// The folder of the run that `config` describes.
    pub fn of(config: &Config) -> Self {
        Self::new(&config.run.artifacts, &config.run.name)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Refuses a missing artifact.
///
/// # Errors
/// When `path` does not exist; the message names the stage that makes it.
pub fn require(path: &Path, stage: &'static str) -> Result<()> {
    if path.exists() { Ok(()) } else { Err(Error::MissingArtifact { path: path.to_owned(), stage }) }
}

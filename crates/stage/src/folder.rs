//! The run's folder and the names of its files.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use midashi_config::Config;

use crate::error::{Error, Result};

/// The folder `artifacts/<run.name>/` and the paths of its files.
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
    /// The paths of the corpus and the checkpoint, by `fetch`.
    sources = "sources.json";
    /// One row per article, by `ingest`.
    corpus = "corpus.parquet";
    /// One row per tokenised text, by `tokenize`.
    tokens = "tokens.arrow";
    /// The tokenizer's files, by `tokenize`.
    tokenizer = "tokenizer";
    /// The frozen layers' hidden states of each text, by `train` (a cache).
    features = "features.arrow";
    /// One row per optimiser step, by `train`.
    training = "training.parquet";
    /// The state of an unfinished training, by `train`.
    training_state = "training.state";
    /// Event files for TensorBoard, by `train` (a log).
    tensorboard = "tensorboard";
    /// The fine-tuned model, by `train`.
    model = "model";
    /// The digests of the model's files, by `train`.
    model_sums = "model/SHA256SUMS";
    /// The model card with results, by `render`; that of `train` is in `model/`.
    card = "README.md";
    /// One row per test text, by `evaluate`.
    predictions = "predictions.parquet";
    /// Attention of `[CLS]`, one row per shown text, by `evaluate`.
    attention = "attention.parquet";
    /// How much each token mattered by several methods, one row per explained text, by `evaluate`.
    explanations = "explanations.parquet";
    /// The baseline's predictions, one row per test text, by `evaluate` (a cache).
    baseline = "baseline.parquet";
    /// Accuracy and other metrics, by `evaluate`.
    metrics = "metrics.json";
    /// The report, by `render`.
    report = "report.html";
    /// The runs of a sweep, a folder each, by `midashi-sweep`.
    sweep_runs = "sweep";
    /// One row per run of a sweep, by `midashi-sweep`.
    sweep = "sweep.parquet";
    /// How a run of a sweep ended, by `midashi-sweep`.
    sweep_outcome = "outcome.json";
    /// Locked by the `midashi-sweep` that works on the run, for longer than a stage.
    sweep_lock = ".sweep.lock";
    /// The configuration of a run of a sweep.
    config = "pipeline.toml";
    /// The last work of each stage: time, memory, inputs, versions.
    record = "run.json";
    /// Locked by the stage that works.
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

/// The entries of a folder.
///
/// # Errors
/// When the folder cannot be listed.
pub fn entries(folder: &Path) -> Result<Vec<DirEntry>> {
    let entries = folder.read_dir().and_then(Iterator::collect::<io::Result<_>>);
    entries.map_err(Error::io("list", folder))
}

/// Refuses a missing artifact.
///
/// # Errors
/// When `path` does not exist; the message names the stage that makes it.
pub fn require(path: &Path, stage: &'static str) -> Result<()> {
    if path.exists() { Ok(()) } else { Err(Error::MissingArtifact { path: path.to_owned(), stage }) }
}

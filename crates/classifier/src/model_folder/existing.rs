//! An existing `model/`.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use midashi_artifacts::MAX_CATEGORIES;
use midashi_encoder::{Checkpoint, EncoderConfig, Head, Weights};
use midashi_stage::Sums;
use midashi_tokenizer::{Dictionaries, TOKENIZER_FILES, Tokenizer};

use super::files::{LABELS, TRAINING, read_json};
use super::training::{Training, encoder_head};
use crate::{Error, Result};

/// The configuration and the weights, which are read by their names in a checkpoint.
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";

/// The files that are read when a model is opened, besides the tokenizer's.
const SMALL_FILES: [&str; 3] = [CONFIG, LABELS, TRAINING];

/// An existing `model/`, of which only the small files have been read. Every file is compared with `SHA256SUMS` before it
/// is used.
pub struct ModelFolder {
    path: PathBuf,
    sums: Option<Sums>,
    labels: Vec<String>,
    training: Training,
    checkpoint: Checkpoint,
}

impl ModelFolder {
    /// Reads the small files of the folder `path`.
    ///
    /// # Errors
    /// When the folder is missing, or a file in it is missing, damaged or changed since it was written.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(
                midashi_stage::Error::MissingArtifact { path: path.to_owned(), stage: "train" }.into()
            );
        }
        let sums = Sums::read(path)?;
        for name in SMALL_FILES.into_iter().chain(TOKENIZER_FILES) {
            check(sums.as_ref(), path, name)?;
        }
        let labels: Vec<String> = read_json(&path.join(LABELS))?;
        if labels.len() > MAX_CATEGORIES {
            let message = format!("{} categories; expected at most {MAX_CATEGORIES}", labels.len());
            return Err(Error::bad_model(&path.join(LABELS), message));
        }
        Ok(Self {
            path: path.to_owned(),
            sums,
            labels,
            training: read_json(&path.join(TRAINING))?,
            checkpoint: Checkpoint::open(path)?,
        })
    }

    /// The files of the folder `path` that are read, of those that are there.
    pub fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
        let names = SMALL_FILES.into_iter().chain(TOKENIZER_FILES).chain([WEIGHTS]);
        names.map(|name| path.join(name)).filter(|file| file.is_file())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Category names, in the order of the logits.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The encoder's geometry.
    pub fn config(&self) -> &EncoderConfig {
        self.checkpoint.config()
    }

    /// How the model was trained.
    pub fn training(&self) -> &Training {
        &self.training
    }

    /// What computes the logits.
    pub fn head(&self) -> Head {
        encoder_head(self.training.head, self.training.pooling, self.labels.len())
    }

    /// Longest input in tokens that the model was trained on and has positions for.
    pub fn max_length(&self) -> usize {
        self.training.max_length.min(self.config().max_tokens())
    }

    /// Reads all weights: the encoder's and the head's.
    ///
    /// # Errors
    /// When a weight is missing or damaged, or the file has changed since it was written.
    pub fn weights(&self) -> Result<Weights> {
        check(self.sums.as_ref(), &self.path, WEIGHTS)?;
        Ok(self.checkpoint.fine_tuned(self.head())?)
    }

    /// The file of the weights, without links; none if they are in files of another form.
    pub(crate) fn weights_file(&self) -> Option<PathBuf> {
        self.path.join(WEIGHTS).canonicalize().ok()
    }

    /// The weights that a session can map, by name with their bytes in [`weights_file`](Self::weights_file).
    ///
    /// # Errors
    /// When the file is damaged.
    pub(crate) fn weights_in_place(&self) -> Result<HashMap<String, Range<usize>>> {
        Ok(self.checkpoint.in_place()?)
    }

    /// Loads the tokenizer; a MeCab dictionary is looked for in `dictionaries`.
    ///
    /// # Errors
    /// When its files are damaged or its dictionary is not installed.
    pub fn tokenizer(&self, dictionaries: &Dictionaries) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.path, dictionaries, None)?)
    }
}

/// Refuses a file of the folder that has changed. One that is missing is found by its reader.
fn check(sums: Option<&Sums>, folder: &Path, name: &str) -> Result<()> {
    match sums {
        Some(sums) if folder.join(name).is_file() => Ok(sums.check(name)?),
        _ => Ok(()),
    }
}

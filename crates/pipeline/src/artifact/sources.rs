//! `sources.json`: where the corpus and the checkpoint lie on this machine.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metrics::read_json;
use crate::{Error, Result, atomic};

/// What `fetch` resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// `corpus.source` as it was configured.
    pub corpus_source: String,
    /// The archive or folder it stands for.
    pub corpus: PathBuf,
    /// `model.checkpoint` as it was configured.
    pub checkpoint_source: String,
    /// The folder it stands for; none when the model is made from scratch.
    pub checkpoint: Option<PathBuf>,
}

impl Sources {
    /// Writes `sources.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(Error::encode(path))?;
        atomic::write_bytes(path, text.as_bytes())
    }

    /// Reads `sources.json`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Sources::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        read_json(path, "fetch")
    }
}

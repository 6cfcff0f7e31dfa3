//! `sources.json`: the paths of the corpus and the checkpoint on this machine.

use std::path::{Path, PathBuf};

use midashi_config::Config;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{read_json, write_json};

/// The corpus and the checkpoint as `fetch` resolved them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    /// The configured `corpus.source`, without its secrets.
    pub corpus_source: String,
    /// Its archive or folder.
    pub corpus: PathBuf,
    /// The configured `model.checkpoint`, without its secrets.
    pub checkpoint_source: String,
    /// Its folder; none if the model is trained from scratch.
    pub checkpoint: Option<PathBuf>,
    /// The configured `model.revision`.
    pub revision: String,
}

impl Sources {
    /// Writes `sources.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }

    /// Reads `sources.json`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema, or was made for another corpus or checkpoint
    /// than the configured one.
    pub fn read(path: &Path, config: &Config) -> Result<Self> {
        let sources: Self = read_json(path, "fetch")?;
        for (key, made_for, configured) in [
            ("corpus.source", &sources.corpus_source, config.corpus.source.shown()),
            ("model.checkpoint", &sources.checkpoint_source, config.model.checkpoint.shown()),
            ("model.revision", &sources.revision, config.model.revision.clone()),
        ] {
            if *made_for != configured {
                let message =
                    format!("it was made for {key} = {made_for:?}, now {configured:?} is configured");
                return Err(Error::BadArtifact { path: path.to_owned(), stage: "fetch", message });
            }
        }
        Ok(sources)
    }
}

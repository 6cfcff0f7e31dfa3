//! `sources.json`: where the corpus and the checkpoint lie on this machine.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::metrics::read_json;
use crate::{Error, Result};
use midashi_config::Config;
use midashi_stage::atomic;

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
    /// `model.revision` as it was configured.
    pub revision: String,
}

impl Sources {
    /// Writes `sources.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(Error::encode(path))?;
        Ok(atomic::write_bytes(path, text.as_bytes())?)
    }

    /// Reads `sources.json`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Sources::write`] writes, or when it was made for
    /// another corpus or checkpoint than `config` names.
    pub fn read(path: &Path, config: &Config) -> Result<Self> {
        let sources: Self = read_json(path, "fetch")?;
        for (key, made_for, configured) in [
            ("corpus.source", &sources.corpus_source, &config.corpus.source),
            ("model.checkpoint", &sources.checkpoint_source, &config.model.checkpoint),
            ("model.revision", &sources.revision, &config.model.revision),
        ] {
            if made_for != configured {
                let message =
                    format!("it was made for {key} = {made_for:?}, now {configured:?} is configured");
                return Err(Error::BadArtifact { path: path.to_owned(), stage: "fetch", message });
            }
        }
        Ok(sources)
    }
}

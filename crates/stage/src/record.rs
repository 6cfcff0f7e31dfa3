//! What a stage did: `run.json`, and the provenance in the metadata of its artifacts.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::atomic;
use crate::error::{Error, Result};
use crate::folder::RunFolder;

/// How an artifact was made, as keys and values of its schema metadata.
#[derive(Clone, Debug, Default)]
pub struct Provenance(pub Vec<(String, String)>);

/// `run.json`: the last work of each stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// By stage name, in the order of the pipeline.
    pub stages: Map<String, Value>,
}

/// The last work of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Midashi's version, and after `+` the revision of the stage's code.
    pub version: String,
    /// The part of the configuration that the stage depends on.
    pub settings: Value,
    /// The files that it read.
    pub inputs: Vec<FileDigest>,
    /// The files that it wrote.
    pub outputs: Vec<FileDigest>,
    /// Time from start to end, in seconds.
    pub wall_seconds: f64,
    /// Largest resident memory of the process in bytes; none if the system does not report it.
    pub peak_memory_bytes: Option<u64>,
    /// The stage's own entries: counts, device, times.
    pub details: Value,
}

/// A file or folder and the SHA-256 of its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileDigest {
    /// File name; the whole path if the file is outside the run's folder.
    pub path: String,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl FileDigest {
    /// The file's name without its folders.
    pub fn name(&self) -> String {
        Path::new(&self.path).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl RunRecord {
    /// Reads `run.json`. A file that is missing or cannot be read is an empty record: all stages work again.
    pub fn read(folder: &RunFolder) -> Self {
        let text = std::fs::read(folder.record()).ok();
        text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// The entry of the stage `name`.
    pub fn stage(&self, name: &str) -> Option<StageRecord> {
        serde_json::from_value(self.stages.get(name)?.clone()).ok()
    }

    /// Writes `run.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<()> {
        let path = folder.record();
        let text = serde_json::to_string_pretty(self).map_err(Error::encode(&path))?;
        atomic::write_bytes(&path, text.as_bytes())
    }
}

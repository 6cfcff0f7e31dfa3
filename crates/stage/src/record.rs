//! What a stage did: `run.json`, and the provenance in the metadata of its artifacts.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::atomic;
use crate::digest::sha256_of_bytes;
use crate::error::{Error, Result};
use crate::folder::RunFolder;

/// How an artifact was made, as keys and values of its schema metadata.
#[derive(Clone, Debug, Default)]
pub struct Provenance(pub Vec<(String, String)>);

/// The key of a stage's entry that holds the SHA-256 of the rest of the entry, as compact JSON.
const SEAL: &str = "sha256";

/// `run.json`: the last work of each stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// By stage name, in the order of the pipeline.
    stages: Map<String, Value>,
    /// What could not be read: names of stages, or the reason why the whole file is of no use.
    #[serde(skip)]
    damaged: Vec<String>,
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
    /// 64 hexadecimal digits; of a folder, the digest of the list of its files' digests.
    pub sha256: String,
}

impl FileDigest {
    /// The file's name without its folders.
    pub fn name(&self) -> String {
        Path::new(&self.path).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl RunRecord {
    /// Reads `run.json`. An entry whose bytes have changed since it was written is left out, and named by [`damaged`]: its
    /// stage works again. A missing file is an empty record.
    ///
    /// [`damaged`]: Self::damaged
    pub fn read(folder: &RunFolder) -> Self {
        let Ok(text) = std::fs::read(folder.record()) else { return Self::default() };
        let mut record: Self = match serde_json::from_slice(&text) {
            Ok(record) => record,
            Err(error) => return Self { damaged: vec![error.to_string()], ..Self::default() },
        };
        for (name, entry) in &mut record.stages {
            if !opens(entry) {
                record.damaged.push(format!("the entry of {name} has changed since it was written"));
            }
        }
        record.stages.retain(|_, entry| !entry.is_null());
        record
    }

    /// What could not be read of the file, a clause each.
    pub fn damaged(&self) -> &[String] {
        &self.damaged
    }

    /// The entries by stage name, in the order of the pipeline.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.stages.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry of the stage `name`.
    pub fn stage(&self, name: &str) -> Option<StageRecord> {
        serde_json::from_value(self.stages.get(name)?.clone()).ok()
    }

    /// Replaces the entry of the stage `name`.
    pub fn insert(&mut self, name: &str, entry: Value) {
        self.stages.insert(name.to_owned(), entry);
    }

    /// Replaces the entry of the stage `name` by that of another run. Returns whether it was another one.
    pub fn insert_from(&mut self, other: &Self, name: &str) -> bool {
        let entry = other.stages.get(name);
        if self.stages.get(name) == entry {
            return false;
        }
        if let Some(entry) = entry {
            self.insert(name, entry.clone());
        }
        true
    }

    /// Writes `run.json`, each entry with its digest.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<()> {
        let path = folder.record();
        let mut sealed = self.clone();
        for (_, entry) in &mut sealed.stages {
            let digest = sha256_of_bytes(entry.to_string().as_bytes());
            if let Value::Object(entry) = entry {
                entry.insert(SEAL.to_owned(), Value::from(digest));
            }
        }
        let text = serde_json::to_string_pretty(&sealed).map_err(Error::encode(&path))?;
        atomic::write_bytes(&path, text.as_bytes())
    }
}

/// Removes the digest from an entry. An entry that does not fit its digest becomes null. Entries of older versions
/// have none.
fn opens(entry: &mut Value) -> bool {
    let seal = entry.as_object_mut().and_then(|entry| entry.shift_remove(SEAL));
    let fits = seal.is_none_or(|seal| seal == sha256_of_bytes(entry.to_string().as_bytes()).as_str());
    if !fits {
        *entry = Value::Null;
    }
    fits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_flipped_bit_anywhere_loses_an_entry_and_changes_none() {
        let artifacts = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(artifacts.path(), "run");
        std::fs::create_dir(folder.path()).unwrap();
        let mut record = RunRecord::default();
        record.insert("ingest", json!({"version": "1", "wall_seconds": 0.1, "details": {"texts": 7367}}));
        record.insert("train", json!({"version": "2", "wall_seconds": 1.5e-7, "details": {"名": "é"}}));
        record.write(&folder).unwrap();
        let read = RunRecord::read(&folder);
        assert!(read.damaged().is_empty() && read.stages == record.stages);

        let written = std::fs::read(folder.record()).unwrap();
        for place in 0..written.len() {
            for bit in [0, 3, 5] {
                let mut flipped = written.clone();
                flipped[place] ^= 1 << bit;
                std::fs::write(folder.record(), &flipped).unwrap();
                for (name, entry) in RunRecord::read(&folder).entries() {
                    let original = record.stages.get(name);
                    let renamed = original.is_none();
                    // A seal whose key is damaged is an unknown key of an entry that is as it was.
                    let with_unknown_key = entry.as_object().is_some_and(|entry| entry.len() == 4);
                    assert!(
                        renamed || with_unknown_key || Some(entry) == original,
                        "bit {bit} of byte {place}: {entry}"
                    );
                }
            }
        }
    }
}

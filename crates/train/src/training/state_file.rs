//! `training.state`: everything that a training needs to resume with the same numbers. It is a safetensors
//! file with the optimiser's state, and the history as metadata.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use midashi_encoder::{Float32, little_endian};
use midashi_stage::{Error, RunFolder, Sha256, Work, atomic};
use safetensors::SafeTensors;

use crate::optimiser::State;
use crate::training::history::History;

/// Metadata: the key of everything that the training depends on.
const WORK: &str = "midashi.work";
/// Metadata: SHA-256 of the key, the history and the tensors.
const DIGEST: &str = "midashi.sha256";
/// Metadata: the history, as JSON.
const HISTORY: &str = "midashi.history";

/// What the file holds: the history, and the optimiser's tensors by name.
pub type Saved = (History, HashMap<String, Vec<f32>>);

/// The file and when it was last saved.
pub struct StateFile {
    path: PathBuf,
    /// A state saved under another key belongs to another training.
    key: String,
    interval: Duration,
    saved: Instant,
}

impl StateFile {
    /// The state file of this work; it is saved every `train.save_interval` seconds.
    pub fn new(work: &Work) -> Self {
        Self {
            path: work.folder().training_state(),
            key: work.key(),
            interval: Duration::from_secs_f64(work.config().train.save_interval),
            saved: Instant::now(),
        }
    }

    /// The history and the tensors by name, if the state of this training was saved. A file that cannot be
    /// read is reported and ignored.
    pub fn read(&self) -> Option<Saved> {
        if !self.path.exists() {
            return None;
        }
        self.try_read().unwrap_or_else(|error| {
            midashi_stage::outln!("  {}: {error:#}; training starts from the beginning", self.path.display());
            None
        })
    }

    fn try_read(&self) -> Result<Option<Saved>> {
        let bytes = fs::read(&self.path)?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes)?;
        let metadata = metadata.metadata().as_ref().context("there is no metadata")?;
        if metadata.get(WORK) != Some(&self.key) {
            return Ok(None);
        }
        let history = metadata.get(HISTORY).context("there is no history")?;
        let number = |bytes: &[u8]| bytes.try_into().map(f32::from_le_bytes).unwrap_or_default();
        let tensors = SafeTensors::deserialize(&bytes)?;
        let parts: BTreeMap<String, &[u8]> =
            tensors.iter().map(|(name, tensor)| (name.to_owned(), tensor.data())).collect();
        let parts = parts.iter().map(|(name, bytes)| (name.as_str(), Cow::Borrowed(*bytes)));
        ensure!(
            metadata.get(DIGEST) == Some(&digest(&self.key, history, parts)),
            "its bytes are not those that were saved"
        );
        let tensors = tensors.iter().map(|(name, tensor)| {
            (name.to_owned(), tensor.data().chunks_exact(size_of::<f32>()).map(number).collect())
        });
        Ok(Some((serde_json::from_str(history)?, tensors.collect())))
    }

    /// Whether the interval since the last save has passed.
    pub fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.interval
    }

    /// Saves the state. The write is atomic: a process killed during it leaves the previous state.
    pub fn save(&mut self, history: &History, state: &State<'_>) -> Result<()> {
        let history = serde_json::to_string(history).context("cannot write the training's history")?;
        let sorted: BTreeMap<&str, _> = state.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let parts = sorted.iter().map(|(name, tensor)| (*name, Cow::Owned(little_endian(&tensor.view()))));
        let digest = digest(&self.key, &history, parts);
        let metadata = [(WORK, self.key.clone()), (DIGEST, digest), (HISTORY, history)];
        let metadata = HashMap::from(metadata.map(|(key, value)| (key.to_owned(), value)));
        let tensors: Vec<(&str, Float32<'_>)> =
            state.iter().map(|(name, tensor)| (name.as_str(), Float32(tensor.view()))).collect();
        atomic::write_at(&self.path, |path| {
            safetensors::serialize_to_file(tensors, Some(metadata), path)
                .with_context(|| format!("cannot write {}", self.path.display()))
        })?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// SHA-256 over everything that a continued training reads. Lengths separate the parts.
fn digest<'a>(key: &str, history: &str, tensors: impl Iterator<Item = (&'a str, Cow<'a, [u8]>)>) -> String {
    let mut hasher = Sha256::default();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    part(key.as_bytes());
    part(history.as_bytes());
    for (name, bytes) in tensors {
        part(name.as_bytes());
        part(&bytes);
    }
    hasher.finish()
}

/// Removes the state of a finished training.
pub fn remove_state(folder: &RunFolder) -> Result<(), Error> {
    let path = folder.training_state();
    if path.exists() { fs::remove_file(&path).map_err(Error::io("remove", &path)) } else { Ok(()) }
}

//! `training.state`: all that it takes to go on with a training as if nothing had happened. It is a
//! safetensors file: weights and moments of what learns, and in its metadata the history.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use midashi_bert::Float32;
use midashi_stage::{Error, RunFolder, Work, atomic};
use safetensors::SafeTensors;

use crate::epochs::History;
use crate::learner::State;

/// Metadata: what the training depends on.
const WORK: &str = "midashi.work";
/// Metadata: its history, as JSON.
const HISTORY: &str = "midashi.history";

/// Where the state is saved, and when.
pub struct StateFile {
    path: PathBuf,
    /// What the training depends on: a state that was saved under another key is of another training.
    key: String,
    interval: Duration,
    saved: Instant,
}

/// What was read: the history, and the tensors by name.
pub type Saved = (History, HashMap<String, Vec<f32>>);

impl StateFile {
    /// For this work, with the interval of its configuration.
    pub fn new(work: &Work) -> Self {
        Self {
            path: work.folder().training_state(),
            key: work.key(),
            interval: Duration::from_secs_f64(work.config().train.save_interval),
            saved: Instant::now(),
        }
    }

    /// The state of this very training, if one was saved. One that cannot be read is of no use, and that
    /// is said.
    pub fn read(&self) -> Option<Saved> {
        if !self.path.exists() {
            return None;
        }
        self.try_read().unwrap_or_else(|error| {
            println!("  {}: {error:#}; training starts from the beginning", self.path.display());
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
        let tensors = tensors.iter().map(|(name, tensor)| {
            (name.to_owned(), tensor.data().chunks_exact(size_of::<f32>()).map(number).collect())
        });
        Ok(Some((serde_json::from_str(history)?, tensors.collect())))
    }

    /// Whether it is time to save.
    pub fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.interval
    }

    /// Saves a state; a process that is killed meanwhile leaves the one before.
    pub fn save(&mut self, history: &History, tensors: &State<'_>) -> Result<()> {
        let history = serde_json::to_string(history).context("cannot write the training's history")?;
        let metadata = HashMap::from([(WORK.to_owned(), self.key.clone()), (HISTORY.to_owned(), history)]);
        let tensors: Vec<(&str, Float32<'_>)> =
            tensors.iter().map(|(name, tensor)| (name.as_str(), Float32(tensor.view()))).collect();
        atomic::write_at(&self.path, |path| {
            safetensors::serialize_to_file(tensors, Some(metadata), path)
                .with_context(|| format!("cannot write {}", self.path.display()))
        })?;
        self.saved = Instant::now();
        Ok(())
    }
}

/// Removes the state of a training that is finished.
pub fn remove(folder: &RunFolder) -> Result<(), Error> {
    let path = folder.training_state();
    if path.exists() { fs::remove_file(&path).map_err(Error::io("remove", &path)) } else { Ok(()) }
}

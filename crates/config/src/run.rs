//! Section `[run]`: folders and threads.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The run's name, its folders and the number of its threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Artifacts are written to `<artifacts>/<name>/`.
    pub name: String,
    /// Folder of all runs.
    pub artifacts: PathBuf,
    /// Folder of downloads and of the files that `make setup` installs, shared by all runs. A folder
    /// other than `cache` is filled with `make setup CACHE=<folder>`.
    pub cache: PathBuf,
    /// Number of worker threads; 0 is one per core. Results are reproducible for a given number.
    pub threads: usize,
}

impl Default for Run {
    fn default() -> Self {
        Self { name: "article".into(), artifacts: "artifacts".into(), cache: "cache".into(), threads: 0 }
    }
}

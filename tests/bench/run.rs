//! The runs that are timed, and one of them as a sequence of processes.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// The stages in their order.
pub const STAGES: [&str; 6] = ["fetch", "ingest", "tokenize", "train", "evaluate", "render"];

/// A run of `pipeline.toml` with other settings.
pub struct Run {
    /// What `RUNS` calls it.
    pub name: &'static str,
    pub settings: &'static str,
    /// The run whose folder it continues in; an empty folder without.
    continues: Option<&'static str>,
}

/// In the order in which they are run.
pub const RUNS: [Run; 6] = [
    Run { name: "one", settings: "evaluate.explain.texts=0", continues: None },
    Run {
        name: "rerun",
        settings: "evaluate.explain.texts=0 train.learning_rate.encoder=1e-4",
        continues: Some("one"),
    },
    Run { name: "int8", settings: "evaluate.explain.texts=0 train.trunk_precision=int8", continues: None },
    Run { name: "explained", settings: "", continues: None },
    Run {
        name: "all-layers",
        settings: "evaluate.explain.texts=0 evaluate.baseline=false train.trainable_layers=all train.epochs=1",
        continues: None,
    },
    Run { name: "int8-explained", settings: "train.trunk_precision=int8", continues: None },
];

/// What a run took.
pub struct Measured {
    /// Seconds of each stage's process.
    pub stages: Vec<f64>,
    pub peak_memory_bytes: u64,
}

impl Measured {
    /// Seconds of all stages.
    pub fn seconds(&self) -> f64 {
        self.stages.iter().sum()
    }
}

impl Run {
    /// Runs the stages on `corpus` and `checkpoint`.
    pub fn measure(&self, corpus: &str, checkpoint: &str) -> Result<Measured, Box<dyn Error>> {
        let folder = format!("bench-{}", self.continues.unwrap_or(self.name));
        let artifacts = PathBuf::from("artifacts").join(&folder);
        if self.continues.is_none() {
            match fs::remove_dir_all(&artifacts) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        } else if !artifacts.exists() {
            return Err(
                format!("{}: expected {folder} to have been run before; add it to RUNS", self.name).into()
            );
        }
        let settings = format!(
            "corpus.source='{corpus}' model.checkpoint='{checkpoint}' run.name={folder} {}",
            self.settings
        );
        let stages = STAGES.iter().map(|stage| seconds(stage, &settings)).collect::<Result<_, _>>()?;
        Ok(Measured { stages, peak_memory_bytes: peak_memory(&artifacts.join("run.json"))? })
    }
}

/// The time of one stage's process.
fn seconds(stage: &str, settings: &str) -> Result<f64, Box<dyn Error>> {
    let program = Path::new("target/release").join(format!("midashi-{stage}"));
    let started = Instant::now();
    let output = Command::new(&program)
        .env("MIDASHI_CONFIG", "pipeline.toml")
        .env("MIDASHI_SET", settings)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{}: {error}; run make build", program.display()))?;
    if !output.status.success() {
        return Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(started.elapsed().as_secs_f64())
}

/// The largest peak of the stages in `run.json`.
fn peak_memory(path: &Path) -> Result<u64, Box<dyn Error>> {
    let run: serde_json::Value = serde_json::from_slice(&fs::read(path)?)?;
    let stages = run["stages"].as_object().ok_or_else(|| format!("{}: no stages", path.display()))?;
    Ok(stages.values().filter_map(|stage| stage["peak_memory_bytes"].as_u64()).max().unwrap_or_default())
}

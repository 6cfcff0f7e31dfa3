//! The stages' programs, run one after the other as child processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::interruption;

/// Stages whose work runs with the same corpus and checkpoint share.
pub const SHARED: [&str; 3] = ["fetch", "ingest", "tokenize"];
/// Stages that each run needs itself. No report is rendered; `make render` does it for a single run.
pub const OWN: [&str; 2] = ["train", "evaluate"];

/// The folder of the stages' programs.
pub struct Stages {
    folder: PathBuf,
}

/// A stage that failed or was killed.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[error("{stage}: {message}")]
pub struct Failure {
    stage: String,
    message: String,
}

impl Failure {
    /// The failure of `stage`, with its message.
    pub fn new(stage: &str, message: impl Into<String>) -> Self {
        Self { stage: stage.to_owned(), message: message.into() }
    }
}

impl Stages {
    /// The programs in the folder of this program.
    ///
    /// # Errors
    /// When one of them is missing.
    pub fn beside_this_program() -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own folder")?;
        let found = Self { folder: program.parent().unwrap_or(Path::new(".")).to_owned() };
        for stage in SHARED.iter().chain(&OWN) {
            let binary = found.binary(stage);
            ensure!(binary.is_file(), "{} is missing: run `make build` first", binary.display());
        }
        interruption::watch()?;
        Ok(found)
    }

    /// Runs one stage and passes on its output. The inner result is the stage's: its error ends this run but
    /// not the others.
    ///
    /// # Errors
    /// When the stage cannot be started, or was interrupted.
    pub fn run(&self, stage: &str, config: &Path, set: &[String]) -> Result<Result<(), Failure>> {
        let binary = self.binary(stage);
        let started = || format!("cannot run {}", binary.display());
        let mut child = Command::new(&binary)
            .arg("--config")
            .arg(config)
            .args(set.iter().flat_map(|word| ["--set", word]))
            .env_remove("MIDASHI_SET")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(started)?;
        interruption::started(&child);
        let mut error = None;
        for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).split(b'\n')) {
            let line = line.with_context(started)?;
            let line = String::from_utf8_lossy(&line);
            midashi_stage::errln!("{line}");
            error = line.strip_prefix("error: ").map(str::to_owned).or(error);
        }
        let status = interruption::wait(&mut child).with_context(started)?;
        interruption::check()?;
        let failure = || Failure::new(stage, error.unwrap_or_else(|| format!("ended with {status}")));
        Ok(if status.success() { Ok(()) } else { Err(failure()) })
    }

    fn binary(&self, stage: &str) -> PathBuf {
        self.folder.join(format!("midashi-{stage}{}", std::env::consts::EXE_SUFFIX))
    }
}

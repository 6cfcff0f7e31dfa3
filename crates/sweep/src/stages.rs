//! The stages' programs, run one after the other as child processes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail, ensure};
use midashi_stage::Interrupted;

/// Set by Ctrl-C, which the stage receives too: it ends first, then the sweep.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The folder of the stages' programs.
pub struct Stages {
    folder: PathBuf,
}

/// A stage that failed or was killed.
#[derive(Debug, thiserror::Error)]
#[error("{stage}: {message}")]
pub struct Failure {
    stage: String,
    message: String,
}

impl Stages {
    /// The programs in the folder of this program.
    ///
    /// # Errors
    /// When the program of one of `stages` is missing.
    pub fn beside_this_program<'a>(stages: impl Iterator<Item = &'a &'a str>) -> Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own folder")?;
        let found = Self { folder: program.parent().unwrap_or(Path::new(".")).to_owned() };
        for stage in stages {
            let binary = found.binary(stage);
            ensure!(binary.is_file(), "{} is missing: run `make build` first", binary.display());
        }
        ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed)).context("cannot handle Ctrl-C")?;
        Ok(found)
    }

    /// Runs one stage and passes on its output. The inner result is the stage's: its error ends this run but
    /// not the others.
    ///
    /// # Errors
    /// When the stage cannot be started; [`Interrupted`] when it was interrupted.
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
        let mut error = None;
        for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).split(b'\n')) {
            let line = line.with_context(started)?;
            let line = String::from_utf8_lossy(&line);
            midashi_stage::errln!("{line}");
            error = line.strip_prefix("error: ").map(str::to_owned).or(error);
        }
        let status = child.wait().with_context(started)?;
        if INTERRUPTED.load(Ordering::Relaxed) {
            bail!(Interrupted("the same sweep goes on from there".to_owned()));
        }
        let failure = || Failure {
            stage: stage.to_owned(),
            message: error.unwrap_or_else(|| format!("ended with {status}")),
        };
        Ok(if status.success() { Ok(()) } else { Err(failure()) })
    }

    fn binary(&self, stage: &str) -> PathBuf {
        self.folder.join(format!("midashi-{stage}{}", std::env::consts::EXE_SUFFIX))
    }
}

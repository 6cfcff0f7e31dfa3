//! Running the stages as a user does: a folder of artifacts, a configuration, overrides.
#![expect(clippy::panic, reason = "a test's helpers say what they expect by failing")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// All stages in the order of the Makefile.
pub const STAGES: [&str; 6] = ["fetch", "ingest", "tokenize", "train", "evaluate", "render"];

const FEW_EXPLAINED: &str =
    "evaluate.explain.texts=12 evaluate.explain.faithfulness_texts=4 evaluate.explain.matrices=2";

/// The repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// A run in a temporary folder: a configuration and overrides for every stage.
pub struct Run {
    config: PathBuf,
    set: String,
    environment: Vec<(String, String)>,
    folder: PathBuf,
}

/// What a stage printed and how it ended.
pub struct Outcome {
    /// Exit code; none if it was killed.
    pub code: Option<i32>,
    /// What it printed, standard output first.
    pub text: String,
}

impl Run {
    /// A run called `name` of the configuration `config` (relative to the repository), with its
    /// artifacts below `artifacts`. Few texts are explained, since that takes longer than all the rest.
    pub fn new(config: &str, artifacts: &Path, name: &str) -> Self {
        Self {
            config: root().join(config),
            set: format!(
                "run.artifacts={} run.name={name} run.threads=2 {FEW_EXPLAINED}",
                artifacts.display()
            ),
            environment: Vec::new(),
            folder: artifacts.join(name),
        }
    }

    /// Adds overrides.
    #[must_use]
    pub fn set(mut self, overrides: &str) -> Self {
        let _ = write!(self.set, " {overrides}");
        self
    }

    /// Sets an environment variable for the stages.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another configuration file.
    #[must_use]
    pub fn config(mut self, path: &Path) -> Self {
        self.config = path.to_owned();
        self
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The artifact `name`.
    pub fn artifact(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Runs one stage.
    ///
    /// # Panics
    /// When the stage's binary has not been built.
    pub fn stage(&self, stage: &str) -> Outcome {
        let started = self.command(stage).output();
        Outcome::new(&started.unwrap_or_else(|error| panic!("{stage}: {error}; `make build` makes it")))
    }

    /// Runs one stage with more arguments, and with `input` on its standard input.
    ///
    /// # Panics
    /// When the stage's binary has not been built, or does not read its input.
    pub fn stage_with(&self, stage: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(stage);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut run = || -> std::io::Result<Output> {
            let mut child = command.spawn()?;
            // Taken, so that it is closed after writing.
            if let Some(mut stdin) = child.stdin.take() {
                stdin.write_all(input.as_bytes())?;
            }
            child.wait_with_output()
        };
        run().unwrap_or_else(|error| panic!("{stage}: {error}; `make build` makes it"))
    }

    /// Starts one stage and does not wait for it.
    ///
    /// # Panics
    /// When the stage's binary has not been built.
    pub fn start(&self, stage: &str) -> Child {
        let started = self.command(stage).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        started.unwrap_or_else(|error| panic!("{stage}: {error}; `make build` makes it"))
    }

    fn command(&self, stage: &str) -> Command {
        let mut command = Command::new(binary(stage));
        command
            .current_dir(root())
            .env_remove("MIDASHI_CONFIG")
            .env("MIDASHI_SET", &self.set)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("--config")
            .arg(&self.config);
        command
    }

    /// Runs stages that must succeed; returns all they printed.
    ///
    /// # Panics
    /// When one of them fails.
    pub fn stages(&self, stages: &[&str]) -> String {
        let mut text = String::new();
        for stage in stages {
            let outcome = self.stage(stage);
            assert_eq!(outcome.code, Some(0), "{stage} failed:\n{}", outcome.text);
            text.push_str(&outcome.text);
        }
        text
    }
}

impl Outcome {
    /// What a stage that was started and has ended printed.
    pub fn new(output: &Output) -> Self {
        let text = [&output.stdout[..], &output.stderr[..]].concat();
        Self { code: output.status.code(), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Asserts that the stage refused its input with exit code 2 and one line that says all of
    /// `parts`.
    ///
    /// # Panics
    /// When it did not.
    pub fn refuses(&self, parts: &[&str]) {
        let line = self.text.lines().find(|line| line.starts_with("error: "));
        assert_eq!(self.code, Some(2), "exit code; printed:\n{}", self.text);
        let line = line.unwrap_or_else(|| panic!("no line starts with error:\n{}", self.text));
        for part in parts {
            assert!(line.contains(part), "the message does not say {part:?}:\n{line}");
        }
        assert!(!self.text.contains("panicked"), "{}", self.text);
    }
}

/// The binary of a stage, which lies beside the folder of the test that asks.
fn binary(stage: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(Path::parent).unwrap_or(Path::new("target/release"));
    folder.join(format!("midashi-{stage}{}", std::env::consts::EXE_SUFFIX))
}

/// The path in the environment variable `name`, or `None` after saying that `test` is skipped.
///
/// # Panics
/// When the variable names something that is not there.
pub fn required_path(name: &str, test: &str) -> Option<PathBuf> {
    match std::env::var_os(name).filter(|value| !value.is_empty()) {
        Some(value) => {
            let path = root().join(value);
            assert!(path.exists(), "{name} is {}, which is not there", path.display());
            Some(path)
        }
        None => {
            // Written past the test harness, which hides what passing tests print.
            let line = format!("SKIPPED {test}: {name} is not set\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
            None
        }
    }
}

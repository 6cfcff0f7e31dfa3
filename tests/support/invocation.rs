//! One call of a program, and what came of it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::environment::root;

/// A stage or a tool that is about to run.
#[must_use = "a stage runs when it is told how to end"]
#[derive(Clone)]
pub struct Invocation {
    program: String,
    config: PathBuf,
    settings: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    input: Vec<u8>,
    /// A shell command that replaces itself by the program, `"$@"`.
    shell: Option<String>,
}

/// What a program printed and how it ended.
pub struct Outcome {
    /// Exit code; none if it was killed.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Invocation {
    pub(crate) fn new(
        program: &str,
        config: PathBuf,
        settings: Vec<String>,
        environment: Vec<(String, String)>,
    ) -> Self {
        let (program, arguments) = (program.to_owned(), Vec::new());
        Self { program, config, settings, arguments, environment, input: Vec::new(), shell: None }
    }

    /// Adds overrides, separated by spaces.
    pub fn set(mut self, overrides: &str) -> Self {
        self.settings.extend(overrides.split_whitespace().map(str::to_owned));
        self
    }

    /// Adds arguments of the command line.
    pub fn arguments<A: AsRef<str>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it by a shell command, in which `"$@"` is the program with its arguments: `ulimit -n 32; exec "$@"`.
    pub fn shell(mut self, command: &str) -> Self {
        self.shell = Some(command.to_owned());
        self
    }

    /// Gives it `text`, or any bytes, on standard input.
    pub fn input(mut self, text: impl AsRef<[u8]>) -> Self {
        self.input = text.as_ref().to_owned();
        self
    }

    /// Runs it; it may end in any way.
    ///
    /// # Panics
    /// When the binary has not been built.
    pub fn ends(self) -> Outcome {
        let mut child = self.starts();
        // A program that refuses its command line never reads.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(&self.input);
        }
        Outcome::of(child)
    }

    /// Runs it, and it must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub fn succeeds(self) -> Outcome {
        let described = format!("{} {}", self.program, self.arguments.join(" "));
        let outcome = self.ends();
        assert_eq!(outcome.code, Some(0), "{described} failed:\n{}", outcome.printed());
        outcome
    }

    /// Runs it, and it must refuse its input; see [`Outcome::refuses`].
    ///
    /// # Panics
    /// When it does not.
    pub fn fails_with<'a>(self, parts: impl IntoIterator<Item = &'a str>) -> Outcome {
        let outcome = self.ends();
        outcome.refuses(parts);
        outcome
    }

    /// Starts it and does not wait for it.
    ///
    /// # Panics
    /// When the binary has not been built.
    pub fn starts(&self) -> Child {
        let mut command = match &self.shell {
            None => Command::new(binary(&self.program)),
            Some(shell) => {
                let mut command = Command::new("sh");
                command.args(["-c", shell, "sh"]).arg(binary(&self.program));
                command
            }
        };
        command
            .current_dir(root())
            .env_remove("MIDASHI_CONFIG")
            .env_remove("MIDASHI_SET")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("--config")
            .arg(&self.config)
            .args(self.settings.iter().flat_map(|setting| ["--set", setting]))
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = command.spawn();
        started.unwrap_or_else(|error| panic!("{}: {error}; `make build` makes it", self.program))
    }
}

impl Outcome {
    /// Waits for a program.
    ///
    /// # Panics
    /// When the system cannot wait.
    pub fn of(child: Child) -> Self {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self { code: status.code(), stdout, stderr }
    }

    /// Standard output, then standard error.
    pub fn printed(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Asserts that it refused its input: with exit code 2 and one line that contains all of `parts`.
    ///
    /// # Panics
    /// When it did not.
    pub fn refuses<'a>(&self, parts: impl IntoIterator<Item = &'a str>) {
        let printed = self.printed();
        assert_eq!(self.code, Some(2), "exit code; printed:\n{printed}");
        let line = printed.lines().find(|line| line.starts_with("error: "));
        let line = line.unwrap_or_else(|| panic!("no line starts with error:\n{printed}"));
        for part in parts {
            assert!(line.contains(part), "the message does not contain {part:?}:\n{line}");
        }
        assert!(!printed.contains("panicked"), "{printed}");
    }

    /// Asserts that it printed `part`.
    ///
    /// # Panics
    /// When it did not.
    pub fn says(&self, part: &str) -> &Self {
        let printed = self.printed();
        assert!(printed.contains(part), "{part:?} was not printed:\n{printed}");
        self
    }

    /// Asserts that it did not print `part`.
    ///
    /// # Panics
    /// When it did.
    pub fn does_not_say(&self, part: &str) -> &Self {
        let printed = self.printed();
        assert!(!printed.contains(part), "{part:?} was printed:\n{printed}");
        self
    }

    /// Asserts how often it printed `part`.
    ///
    /// # Panics
    /// When it printed it more often or less often.
    pub fn says_times(&self, count: usize, part: &str) -> &Self {
        let printed = self.printed();
        assert_eq!(printed.matches(part).count(), count, "how often {part:?} was printed:\n{printed}");
        self
    }

    /// Asserts how many stages had nothing to do.
    ///
    /// # Panics
    /// When there were more or less.
    pub fn up_to_date(&self, stages: usize) -> &Self {
        self.says_times(stages, "up to date")
    }
}

/// The binary of a program, which lies beside the folder of the test that asks.
pub fn binary(program: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let folder = test.parent().and_then(Path::parent).unwrap_or(Path::new("target/release"));
    folder.join(format!("midashi-{program}{}", std::env::consts::EXE_SUFFIX))
}

//! A corpus that is tried, and what must come of it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use midashi_tests::{Outcome, Run, binary, root};

/// The memory that `ingest` may take for any of these corpora unless a case says otherwise: all its addresses, in KiB.
pub const MEMORY: u64 = 1 << 20;

/// The time that it may take. It takes a fraction of a second for nearly all; the machine may be busy.
const TIME: Duration = Duration::from_secs(100);

/// What must come of a corpus.
pub enum Expected {
    /// So many articles, and these parts in what is printed.
    Articles(usize, &'static [&'static str]),
    /// A refusal with these parts.
    Refused(&'static [&'static str]),
}

/// A corpus and what must come of it.
pub struct Case {
    /// What is tried.
    pub name: &'static str,
    /// Overrides, separated by spaces.
    pub set: &'static str,
    /// KiB of memory.
    pub memory: u64,
    /// What must come of it.
    pub expected: Expected,
}

impl Case {
    /// Runs `fetch` and `ingest` on the corpus at `source`, with artifacts in `folder`.
    ///
    /// # Panics
    /// When something else comes of it than is expected, it takes too long, or a control character reaches the terminal.
    pub fn check(&self, source: &Path, folder: &Path) {
        let Self { name, set, memory, expected } = self;
        let settings = format!("corpus.source={}", source.display());
        let run = Run::sample(folder.join("artifacts"), "hostile");
        let run_settings = [format!("run.artifacts={}", folder.join("artifacts").display()), settings];
        let mut settings: Vec<String> = run_settings.to_vec();
        settings.extend(["run.name=hostile".to_owned(), "corpus.split.test=0".to_owned()]);
        settings.extend(set.split_whitespace().map(str::to_owned));
        let started = Instant::now();
        let fetched = limited("fetch", &settings, *memory);
        let outcome = if fetched.code == Some(0) { limited("ingest", &settings, *memory) } else { fetched };
        let printed = outcome.printed();
        let context = format!("{name}: code {:?}\n{printed}", outcome.code);
        assert!(started.elapsed() < TIME, "took {:?}; {context}", started.elapsed());
        assert!(!printed.contains("panicked"), "{context}");
        assert!(!printed.chars().any(|c| c != '\n' && c.is_control()), "{context:?}");
        let parts = match expected {
            Expected::Articles(articles, parts) => {
                assert_eq!(outcome.code, Some(0), "{context}");
                assert_eq!(run.corpus().articles.len(), *articles, "{context}");
                parts
            }
            Expected::Refused(parts) => {
                assert_eq!(outcome.code, Some(2), "{context}");
                let line = printed.lines().find(|line| line.starts_with("error: "));
                assert!(
                    line.is_some_and(|line| parts.iter().all(|part| line.contains(part))),
                    "{parts:?} {context}"
                );
                parts
            }
        };
        for part in *parts {
            assert!(printed.contains(part), "{part:?} was not printed; {context}");
        }
    }
}

/// Runs a stage with a bound on its addresses.
fn limited(stage: &str, settings: &[String], memory: u64) -> Outcome {
    let child = Command::new("sh")
        .args(["-c", "ulimit -v \"$1\" && shift && exec \"$@\"", "sh"])
        .arg(memory.to_string())
        .arg(binary(stage))
        .current_dir(root())
        .env_remove("MIDASHI_CONFIG")
        .env_remove("MIDASHI_SET")
        // A thread takes 66 MiB of addresses, and there would be one for each core.
        .env("RAYON_NUM_THREADS", "2")
        .arg("--config")
        .arg("data/scratch.toml")
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    Outcome::of(child)
}

//! What surrounds a test: the repository, temporary folders, files that are there or not.

use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// A temporary folder, which goes when the test ends.
pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// The file `path` of the repository, which `make setup` brings, or `None` after reporting that `test` is skipped.
pub fn brought_file(path: &str, test: &str) -> Option<PathBuf> {
    let found = root().join(path);
    if found.is_file() {
        return Some(found);
    }
    // Written past the test harness, which hides what passing tests print.
    let line = format!("SKIPPED {test}: {path} is not there; `make setup` downloads it\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    None
}

/// The path in the environment variable `name`, or `None` after reporting that `test` is skipped.
///
/// # Panics
/// When the variable names something that does not exist.
pub fn required_path(name: &str, test: &str) -> Option<PathBuf> {
    match std::env::var_os(name).filter(|value| !value.is_empty()) {
        Some(value) => {
            let path = root().join(value);
            assert!(path.exists(), "{name} is {}, which does not exist", path.display());
            Some(path)
        }
        None => {
            // Written past the test harness, which hides what passing tests print.
            let line = format!("SKIPPED {test}: {name} is not set\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            None
        }
    }
}

//! Runs that tests share.

use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::environment::folder;

/// A run, or whatever comes of one, that several tests of a binary read and none changes. The first test that asks
/// makes it; a test that wants to go on from it copies it ([`Run::copy_to`](crate::Run::copy_to)).
pub struct Shared<T>(OnceLock<(TempDir, T)>);

impl<T> Shared<T> {
    /// For a `static`.
    #[allow(clippy::new_without_default, reason = "a static needs a constant, which a default is not")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What `make` makes in a temporary folder.
    pub fn get(&self, make: impl FnOnce(&Path) -> T) -> &T {
        let (_, made) = self.0.get_or_init(|| {
            let folder = folder();
            let made = make(folder.path());
            (folder, made)
        });
        made
    }
}

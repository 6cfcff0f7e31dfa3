//! Section `[compat]`: choices of others where ours differ.

use serde::{Deserialize, Serialize};

/// Choices of others where ours differ.
///
/// A stage has this section among its settings only if something is on: what is off leaves no trace
/// in the artifacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compat {
    /// Follows the reproduced article where its choices differ from ours: licence files are texts, rows are in
    /// random order, padding is attended to (so every layer is computed at every step), the test split is
    /// classified in batches of `train.batch_size`, and the report with swapped arguments is printed too.
    pub article: bool,
}

impl Compat {
    /// Whether nothing is on.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

//! The ids that remain in a trimmed vocabulary.

use std::collections::BTreeSet;

/// The ids that remain in a trimmed vocabulary, ascending. The new id of each is its place, from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptIds(Vec<u32>);

impl KeptIds {
    /// The old ids, by their new ones.
    pub fn as_slice(&self) -> &[u32] {
        &self.0
    }

    /// The new id of the old id `old`; none if it was dropped.
    pub fn new_id(&self, old: u32) -> Option<u32> {
        let place = self.0.binary_search(&old).ok()?;
        u32::try_from(place).ok()
    }

    /// Whether the old id `old` remains.
    pub(crate) fn has(&self, old: u32) -> bool {
        self.0.binary_search(&old).is_ok()
    }
}

impl From<BTreeSet<u32>> for KeptIds {
    fn from(ids: BTreeSet<u32>) -> Self {
        Self(ids.into_iter().collect())
    }
}

//! Rows that cannot be used: all are counted, some are listed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use midashi_config::BadFiles;

use crate::texts::reading::Remark;

/// The largest number of rows that are listed. A broken column of a large table would fill `run.json`.
const LISTED: usize = 1000;

/// Why a row cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It cannot be read: a ragged row of CSV, a line that is not JSON, text that is not UTF-8.
    Unreadable,
    /// It has no text.
    EmptyText,
    /// It has no label.
    EmptyLabel,
    /// Its label is none of the expected ones.
    UnknownLabel,
    /// Its split is none of the three.
    UnknownSplit,
    /// It has no id, or that of another row.
    BadId,
}

impl Trouble {
    /// The word for a number of such rows.
    fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::EmptyText => "without text",
            Self::EmptyLabel => "without label",
            Self::UnknownLabel => "with an unknown label",
            Self::UnknownSplit => "with an unknown split",
            Self::BadId => "without an id of their own",
        }
    }
}

/// The rows that cannot be used.
#[derive(Debug, Default)]
pub struct BadRows {
    /// The first ones, each with its file and number, and the reason.
    pub listed: Vec<Remark>,
    counts: BTreeMap<Trouble, u64>,
}

impl BadRows {
    /// Adds a row of the file `path`; `row` is its number, with its line if that is known.
    pub fn add(&mut self, path: &Path, row: &str, trouble: Trouble, what: String) {
        *self.counts.entry(trouble).or_default() += 1;
        if self.listed.len() < LISTED {
            self.listed.push(Remark { path: format!("{}: {row}", path.display()), what });
        }
    }

    /// The number of rows.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The number of rows of each kind, as in `3 without text, 1 unreadable`.
    pub fn summary(&self) -> String {
        self.counts
            .iter()
            .map(|(trouble, count)| format!("{count} {}", trouble.name()))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Fails if there are bad rows and the policy does not skip them.
    ///
    /// # Errors
    /// With the first row and the counts.
    pub fn check(&self, policy: BadFiles) -> Result<()> {
        match (policy, self.listed.first()) {
            (BadFiles::Error, Some(Remark { path, what })) => bail!(
                "{path}: {what}; rows that cannot be used: {} ({}); correct them, or set corpus.bad_files=skip to leave \
                 such rows out",
                self.count(),
                self.summary()
            ),
            _ => Ok(()),
        }
    }
}

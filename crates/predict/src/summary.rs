//! What is said at the end.

use std::time::Instant;

use crate::columns::{Columns, Row};

/// Counts of rows.
pub struct Summary {
    started: Instant,
    rows: u64,
    wordless: u64,
    unsure: u64,
    truncated: u64,
    unknown: u64,
}

impl Summary {
    /// Starts the clock.
    pub fn new() -> Self {
        Self { started: Instant::now(), rows: 0, wordless: 0, unsure: 0, truncated: 0, unknown: 0 }
    }

    /// Counts rows; those below the threshold of `columns` too.
    pub fn add(&mut self, rows: &[Row], columns: Option<&Columns>) {
        for row in rows {
            self.rows += 1;
            self.truncated += u64::from(row.truncated);
            match &row.probabilities {
                None => self.wordless += 1,
                Some(_) => {
                    self.unsure += u64::from(columns.is_some_and(|columns| columns.category(row).is_none()));
                }
            }
        }
    }

    /// Counts texts that the vocabulary mostly does not know.
    pub fn add_unknown(&mut self, texts: usize) {
        self.unknown += texts as u64;
    }

    /// Whether there was no row so far.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// One line; `skipped` rows could not be read.
    pub fn line(&self, skipped: u64) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.rows as f64 / seconds.max(1e-9);
        let mut line = format!("{} texts in {seconds:.1} s ({rate:.0}/s)", self.rows);
        for (count, what) in [
            (self.wordless, "without words"),
            (self.unsure, "below the threshold"),
            (self.truncated, "truncated"),
            (self.unknown, "mostly of characters that the vocabulary does not know"),
            (skipped, "rows skipped"),
        ] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        line
    }
}

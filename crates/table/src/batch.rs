//! Rows that were read, and rows that could not be read.

use arrow::array::RecordBatch;

/// Some consecutive rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The rows that were read.
    pub rows: RecordBatch,
    /// The number of each of these rows in the input, from 1. The header of a CSV file is no row.
    pub numbers: Vec<u64>,
    /// The rows between them that could not be read. The caller decides whether they are fatal.
    pub bad: Vec<BadRow>,
}

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Its number in the input, from 1.
    pub number: u64,
    /// The line at which it begins, from 1, in formats with lines.
    pub line: Option<u64>,
    /// What was found and what was expected.
    pub reason: String,
}

impl std::fmt::Display for BadRow {
    /// `row 7 (line 9): has 2 fields, the header has 3`
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "row {} (line {line}): {}", self.number, self.reason),
            None => write!(f, "row {}: {}", self.number, self.reason),
        }
    }
}

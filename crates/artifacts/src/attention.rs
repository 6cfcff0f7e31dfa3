//! `attention.parquet`: the attention of `[CLS]` in the last layer, one row per shown text.

use std::path::Path;

use midashi_stage::Provenance;

use crate::column::{Row, row};
use crate::error::Result;
use crate::files::{read_parquet, write_parquet};

row! {
    /// Attention of one text.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AttentionRow {
        /// The article's id.
        pub id: String,
        /// The tokens, special tokens included.
        pub tokens: Vec<String>,
        /// Each token's word of the text; none for special tokens.
        pub word_ids: Vec<Option<i32>>,
        /// Attention of `[CLS]` in the last layer, shape `[heads, tokens]`. Each row sums to 1; with
        /// `compat.article`, to the share that padding left.
        pub attention: Vec<Vec<f32>>,
    }
}

/// Writes `attention.parquet`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_attention(path: &Path, rows: &[AttentionRow], provenance: &Provenance) -> Result<()> {
    write_parquet(path, AttentionRow::columns(rows.iter(), &[]), provenance, &[])
}

/// Reads `attention.parquet`.
///
/// # Errors
/// When the file is missing or does not follow the schema.
pub fn read_attention(path: &Path) -> Result<Vec<AttentionRow>> {
    read_parquet(path, "evaluate", |batch| AttentionRow::read(batch, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attention.parquet");
        let row = |tokens: usize| AttentionRow {
            id: format!("{tokens}"),
            tokens: (0..tokens).map(|at| format!("t{at}")).collect(),
            word_ids: (0..tokens).map(|at| (at > 0).then_some(at as i32)).collect(),
            attention: (0..2).map(|head| (0..tokens).map(|at| (head * 10 + at) as f32).collect()).collect(),
        };
        let rows = [row(3), row(5)];
        write_attention(&path, &rows, &Provenance(vec![])).unwrap();
        assert_eq!(read_attention(&path).unwrap(), rows);
    }
}

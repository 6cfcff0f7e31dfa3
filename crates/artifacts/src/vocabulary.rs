//! `tokenizer/vocabulary.parquet`: the pieces that a trimmed vocabulary keeps, one a row, in the order of their ids.

use std::path::{Path, PathBuf};

use midashi_stage::Provenance;

use crate::column::{Row, row};
use crate::error::Result;
use crate::files::{bad_artifact, read_parquet, write_parquet};

const STAGE: &str = "tokenize";
/// The file's name in `tokenizer/`.
const FILE: &str = "vocabulary.parquet";

row! {
    /// A kept piece.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct VocabularyRow {
        /// Its id, which is the row's number.
        pub id: i32,
        /// Its id in the checkpoint: the row of its word embedding.
        pub checkpoint_id: i32,
        /// The piece as the vocabulary spells it.
        pub token: String,
        /// Number of times that it occurs in the corpus, as far as texts are read.
        pub occurrences: i64,
    }
}

/// Writes the rows into the folder `tokenizer`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_vocabulary(tokenizer: &Path, rows: &[VocabularyRow], provenance: &Provenance) -> Result<()> {
    write_parquet(&tokenizer.join(FILE), VocabularyRow::columns(rows.iter(), &[]), provenance, &[])
}

/// The checkpoint's ids of the pieces in the folder `tokenizer`, in the order of their own ids; none if the vocabulary was
/// not trimmed.
///
/// # Errors
/// When the file does not follow the schema.
pub fn read_checkpoint_ids(tokenizer: &Path) -> Result<Option<Vec<usize>>> {
    let path: PathBuf = tokenizer.join(FILE);
    if !path.exists() {
        return Ok(None);
    }
    let rows = read_parquet(&path, STAGE, |batch| VocabularyRow::read(batch, &[]))?;
    let ids: Option<Vec<usize>> = (0..)
        .zip(rows)
        .map(|(id, row)| usize::try_from(row.checkpoint_id).ok().filter(|_| row.id == id))
        .collect();
    let bad = || bad_artifact(&path, STAGE)(&"the column id is not 0, 1, 2 …, or checkpoint_id is negative");
    ids.map(Some).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i32, checkpoint_id: i32) -> VocabularyRow {
        VocabularyRow { id, checkpoint_id, token: "駅".into(), occurrences: 2 }
    }

    #[test]
    fn the_checkpoints_ids_read_back_and_gaps_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read_checkpoint_ids(folder.path()).unwrap(), None);
        let written = |rows: &[VocabularyRow]| {
            write_vocabulary(folder.path(), rows, &Provenance(vec![])).unwrap();
            read_checkpoint_ids(folder.path()).map_err(|error| error.to_string())
        };
        assert_eq!(written(&[row(0, 0), row(1, 250_000)]).unwrap(), Some(vec![0, 250_000]));
        for broken in [[row(0, 0), row(2, 3)], [row(0, 0), row(1, -1)]] {
            let message = written(&broken).unwrap_err();
            assert!(message.contains("vocabulary.parquet") && message.contains("column id"), "{message}");
        }
    }
}

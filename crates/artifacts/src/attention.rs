//! `attention.parquet`: what `[CLS]` attends to in the last layer, one row per shown text.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Int32Builder, RecordBatch};
use arrow::datatypes::{Field, Int32Type, Schema};

use crate::columns::{float_row, list_column, lists, string_column, string_row, strings};
use crate::files::{bad_artifact, read_parquet, with_metadata, write_parquet};
use crate::{Error, Result};
use midashi_stage::Provenance;

/// Attention of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionRow {
    /// The article's id.
    pub id: String,
    /// The pieces, special tokens included.
    pub tokens: Vec<String>,
    /// Which word of the text a piece belongs to; none for special tokens.
    pub word_ids: Vec<Option<i32>>,
    /// Last layer's row of `[CLS]`, shape `[heads, tokens]`; each head's row sums to 1, or, with
    /// `compat.article`, to what padding left.
    pub attention: Vec<Vec<f32>>,
}

/// Writes `attention.parquet`.
///
/// # Errors
/// When the file cannot be written.
pub fn write_attention(path: &Path, rows: &[AttentionRow], provenance: &Provenance) -> Result<()> {
    let mut word_ids = Int32Builder::new();
    rows.iter().flat_map(|row| &row.word_ids).for_each(|&word| word_ids.append_option(word));
    let weights = rows.iter().flat_map(|row| row.attention.iter().flatten().copied());
    let weights: ArrayRef = Arc::new(Float32Array::from_iter_values(weights));
    let heads = list_column(rows.iter().flat_map(|row| row.attention.iter().map(Vec::len)), weights);
    let tokens = string_column(rows.iter().flat_map(|row| &row.tokens));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", string_column(rows.iter().map(|row| &row.id))),
        ("tokens", list_column(rows.iter().map(|row| row.tokens.len()), tokens)),
        ("word_ids", list_column(rows.iter().map(|row| row.word_ids.len()), Arc::new(word_ids.finish()))),
        ("attention", list_column(rows.iter().map(|row| row.attention.len()), heads)),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false)).collect();
    let schema = with_metadata(Schema::new(fields), provenance, &[]);
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(schema, columns).map_err(Error::encode(path))?;
    write_parquet(path, &batch)
}

/// Reads `attention.parquet`.
///
/// # Errors
/// When the file is missing or is not what [`write_attention`] writes.
pub fn read_attention(path: &Path) -> Result<Vec<AttentionRow>> {
    const STAGE: &str = "evaluate";
    let batch = read_parquet(path, STAGE)?;
    from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
}

fn from_batch(batch: &RecordBatch) -> Result<Vec<AttentionRow>, String> {
    let (id, tokens) = (strings(batch, "id")?, lists(batch, "tokens")?);
    let (word_ids, attention) = (lists(batch, "word_ids")?, lists(batch, "attention")?);
    (0..batch.num_rows())
        .map(|row| {
            let words = word_ids.value(row);
            let words = words.as_primitive_opt::<Int32Type>().ok_or("word_ids are not int32")?;
            let heads = attention.value(row);
            let heads = heads.as_list_opt::<i32>().ok_or("attention is not a list of lists")?;
            Ok(AttentionRow {
                id: id.value(row).to_owned(),
                tokens: string_row(tokens, row)?,
                word_ids: words.iter().collect(),
                attention: (0..heads.len()).map(|head| float_row(heads, head)).collect::<Result<_, _>>()?,
            })
        })
        .collect()
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

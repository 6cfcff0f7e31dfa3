//! `features.arrow`: per text the last frozen layer's hidden states, mapped into memory.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use serde::{Deserialize, Serialize};

use super::columns::{list_column, lists, string_column, strings};
use super::files::{MappedFile, bad_artifact, with_metadata};
use crate::atomic::temporary_file;
use crate::{Error, Provenance, Result};

const STAGE: &str = "train";
const KEY: &str = "midashi.features";

/// All that the features depend on. Features made under another key are made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturesKey {
    /// SHA-256 of each of the checkpoint's files.
    pub checkpoint_sha256: Vec<String>,
    /// SHA-256 of `tokens.arrow`.
    pub tokens_sha256: String,
    /// How many layers were computed.
    pub trunk_layers: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// What computed them: device, library, threads, batch size and the code's own revision, all of
    /// which decide the last digits.
    pub computed_by: String,
}

/// Hidden states of all texts, in the order of `tokens.arrow`.
pub struct Features {
    batches: Vec<RecordBatch>,
    /// For each text its batch and row.
    places: Vec<(u32, u32)>,
}

impl Features {
    /// Opens `features.arrow` if it was made under `key`, for texts with these `ids` and lengths
    /// in tokens.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn open(path: &Path, key: &FeaturesKey, texts: &[(&str, usize)]) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let file = MappedFile::open(path, STAGE)?;
        let made_under = file.schema.metadata().get(KEY).and_then(|text| serde_json::from_str(text).ok());
        if made_under.as_ref() != Some(key) {
            return Ok(None);
        }
        Self::from_batches(file.batches, key.hidden_size, texts)
            .map(Some)
            .map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    fn from_batches(
        batches: Vec<RecordBatch>,
        hidden_size: usize,
        texts: &[(&str, usize)],
    ) -> Result<Self, String> {
        let by_id: std::collections::HashMap<&str, usize> =
            texts.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let mut places = vec![None; texts.len()];
        for (number, batch) in batches.iter().enumerate() {
            let (ids, hidden) = (strings(batch, "id")?, lists(batch, "hidden")?);
            if hidden.values().as_primitive_opt::<Float32Type>().is_none() {
                return Err(format!("column hidden is {}, expected lists of float32", hidden.data_type()));
            }
            for row in 0..batch.num_rows() {
                let id = ids.value(row);
                let at = *by_id.get(id).ok_or_else(|| format!("text {id} is not in tokens.arrow"))?;
                let (found, expected) = (hidden.value_length(row) as usize, texts[at].1 * hidden_size);
                if found != expected {
                    return Err(format!("text {id} has {found} numbers, expected {expected}"));
                }
                places[at] = Some((number as u32, row as u32));
            }
        }
        let missing = places.iter().position(Option::is_none);
        match (missing, places.into_iter().collect()) {
            (None, Some(places)) => Ok(Self { batches, places }),
            (at, _) => Err(format!("text {} is missing", texts[at.unwrap_or(0)].0)),
        }
    }

    /// Hidden states of one text, shape `[tokens, hidden_size]` in row-major order.
    pub fn hidden(&self, text: usize) -> &[f32] {
        let (batch, row) = self.places[text];
        // The column's place and type were checked when the file was opened.
        let list = self.batches[batch as usize].column(1).as_list::<i32>();
        let (start, end) = (list.value_offsets()[row as usize], list.value_offsets()[row as usize + 1]);
        &list.values().as_primitive::<Float32Type>().values()[start as usize..end as usize]
    }
}

/// Writes `features.arrow` batch by batch; nothing is visible before [`FeaturesWriter::finish`].
pub struct FeaturesWriter {
    path: PathBuf,
    schema: SchemaRef,
    writer: FileWriter<BufWriter<File>>,
    temporary: tempfile::TempPath,
}

impl FeaturesWriter {
    /// Starts the file.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(path: &Path, key: &FeaturesKey) -> Result<Self> {
        let items = Arc::new(Field::new_list_field(DataType::Float32, false));
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("hidden", DataType::List(items), false),
        ]);
        let key = serde_json::to_string(key).map_err(Error::encode(path))?;
        // The key says all that the numbers depend on; the run's other settings do not belong here.
        let schema = with_metadata(schema, &Provenance(vec![]), &[(KEY, key)]);
        let folder = path.parent().unwrap_or(Path::new("."));
        let (file, temporary) = temporary_file(folder)?.into_parts();
        let writer = FileWriter::try_new(BufWriter::with_capacity(1 << 20, file), &schema)
            .map_err(Error::encode(path))?;
        Ok(Self { path: path.to_owned(), schema, writer, temporary })
    }

    /// Adds texts: their ids, their lengths in numbers (tokens × hidden size), and all numbers.
    ///
    /// # Errors
    /// When the disk is full or the lengths do not add up.
    pub fn add(&mut self, ids: &[&str], lengths: &[usize], hidden: Vec<f32>) -> Result<()> {
        let values: ArrayRef = Arc::new(Float32Array::from(hidden));
        if lengths.iter().sum::<usize>() != values.len() {
            return Err(Error::encode(&self.path)("the lengths do not add up to the numbers"));
        }
        let hidden = list_column(lengths.iter().copied(), values);
        let columns: Vec<ArrayRef> = vec![string_column(ids.iter()), hidden];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(Error::encode(&self.path))?;
        self.writer.write(&batch).map_err(Error::encode(&self.path))
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// When the file cannot be flushed or renamed.
    pub fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(Error::encode(&self.path))?;
        let file = self.writer.into_inner().map_err(Error::encode(&self.path))?;
        let file = file.into_inner().map_err(|error| Error::io("write", &self.path)(error.into_error()))?;
        file.sync_all().map_err(Error::io("flush", &self.path))?;
        self.temporary.persist(&self.path).map_err(|error| Error::io("rename to", &self.path)(error.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trunk_layers: usize) -> FeaturesKey {
        FeaturesKey {
            checkpoint_sha256: vec!["c".into()],
            tokens_sha256: "t".into(),
            trunk_layers,
            hidden_size: 2,
            computed_by: "test".into(),
        }
    }

    #[test]
    fn features_come_back_by_text_whatever_the_order_they_were_made_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("features.arrow");
        let mut writer = FeaturesWriter::create(&path, &key(1)).unwrap();
        writer.add(&["b", "c"], &[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        writer.add(&["a"], &[4], vec![5.0, 6.0, 7.0, 8.0]).unwrap();
        writer.finish().unwrap();
        let texts = [("a", 2), ("b", 1), ("c", 1)];
        let features = Features::open(&path, &key(1), &texts).unwrap().expect("the key fits");
        assert_eq!(features.hidden(0), [5.0, 6.0, 7.0, 8.0]);
        assert_eq!(features.hidden(2), [3.0, 4.0]);
        assert!(Features::open(&path, &key(2), &texts).unwrap().is_none(), "another key, other features");
        assert!(Features::open(&path, &key(1), &[("a", 2), ("b", 1), ("x", 1)]).is_err());
    }
}

//! `features.arrow`: the last frozen layer's hidden states of each text, mapped into memory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float16Array, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{Float16Type, Float32Type, SchemaRef};
use arrow::ipc::writer::FileWriter;
use half::f16;
use half::slice::HalfFloatSliceExt;
use midashi_config::{FeaturePrecision, TrunkPrecision};
use midashi_stage::{Error as FileError, Provenance, atomic, is_intact, seal};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::column::{Column, cells, column, list_column};
use crate::error::{Error, Result};
use crate::files::{CHANGED, MappedFile, bad_artifact, to_batch};

const STAGE: &str = "train";
const KEY: &str = "midashi.features";

/// Everything that the hidden states depend on. A file with another key is made again.
///
/// A text's last digits depend on the batches, because sums of attention are as long as a batch's longest text, and not on
/// the number of threads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturesKey {
    /// SHA-256 of each of the checkpoint's files.
    pub checkpoint_sha256: Vec<String>,
    /// The texts and their ids: `TokenizedCorpus::input_ids_sha256`.
    pub input_ids_sha256: String,
    /// Of a trimmed vocabulary, the SHA-256 of the checkpoint's ids of its pieces: they decide what an id stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary_sha256: Option<String>,
    /// Number of frozen layers.
    pub trunk_layers: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// Matmul precision of the frozen layers.
    pub trunk_precision: TrunkPrecision,
    /// Precision of the stored numbers.
    pub precision: FeaturePrecision,
    /// Most tokens of a batch (`train.trunk_batch_tokens`).
    #[serde(default)]
    pub batch_tokens: usize,
    /// Library, device and revision of the code, which decide the last digits.
    pub computed_by: String,
}

impl FeaturesKey {
    /// Bytes of the hidden states of `tokens` tokens.
    pub fn bytes(&self, tokens: usize) -> u64 {
        tokens as u64 * self.hidden_size as u64 * self.precision.bytes()
    }
}

/// `numbers` rounded to the nearest that `precision` can hold.
///
/// # Errors
/// When a number is too large for float16.
pub fn round_to(precision: FeaturePrecision, numbers: Vec<f32>) -> Result<Vec<f32>> {
    match precision {
        FeaturePrecision::F32 => Ok(numbers),
        FeaturePrecision::F16 => {
            let halves = halves(&numbers);
            let too_large = |(number, half): (&f32, &f16)| number.is_finite() && !half.is_finite();
            match numbers.iter().zip(&halves).position(too_large) {
                Some(at) => Err(Error::BeyondFloat16 { value: numbers[at], at }),
                None => Ok(halves.to_f32_vec()),
            }
        }
    }
}

fn columns(precision: FeaturePrecision, ids: &[&str], lengths: &[usize], hidden: Vec<f32>) -> Vec<Column> {
    let values: ArrayRef = match precision {
        FeaturePrecision::F32 => Arc::new(Float32Array::from(hidden)),
        FeaturePrecision::F16 => Arc::new(Float16Array::from(halves(&hidden))),
    };
    let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
    let hidden = list_column(lengths.iter().copied(), values, None);
    vec![Column::new("id", ids, false), Column::new("hidden", hidden, false)]
}

fn halves(numbers: &[f32]) -> Vec<f16> {
    let mut halves = vec![f16::ZERO; numbers.len()];
    halves.convert_from_f32_slice(numbers);
    halves
}

/// Hidden states of all texts, in the order of `tokens.arrow`.
pub struct Features {
    hidden_size: usize,
    batches: Vec<RecordBatch>,
    /// The batch and row of each text.
    places: Vec<(usize, usize)>,
}

impl Features {
    /// Opens `features.arrow` for `texts`, pairs of an id and a length in tokens; none if the file is missing
    /// or has another key.
    ///
    /// # Errors
    /// When the file exists but has changed since it was written, cannot be read or lacks a text.
    pub fn open(path: &Path, key: &FeaturesKey, texts: &[(&str, usize)]) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        if !is_intact(path)? {
            return Err(bad_artifact(path, STAGE)(&CHANGED));
        }
        Self::open_written(path, key, texts)
    }

    /// As [`open`](Self::open), for a file that this process has just written.
    ///
    /// # Errors
    /// When the file cannot be read or lacks a text.
    pub fn open_written(path: &Path, key: &FeaturesKey, texts: &[(&str, usize)]) -> Result<Option<Self>> {
        let file = MappedFile::open(path, STAGE)?;
        let found = file.schema.metadata().get(KEY).and_then(|text| serde_json::from_str(text).ok());
        if found.as_ref() != Some(key) {
            return Ok(None);
        }
        let places = places(&file.batches, key, texts);
        let places = places.map_err(|message| bad_artifact(path, STAGE)(&message))?;
        Ok(Some(Self { hidden_size: key.hidden_size, batches: file.batches, places }))
    }

    /// Width of a hidden state.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// Hidden states of one text, shape `[tokens, hidden_size]` in row-major order.
    pub fn hidden(&self, text: usize) -> Cow<'_, [f32]> {
        let (batch, row) = self.places[text];
        // The column's type was checked when the file was opened.
        let list = self.batches[batch].column(1).as_list::<i32>();
        let range = list.value_offsets()[row] as usize..list.value_offsets()[row + 1] as usize;
        match list.values().as_primitive_opt::<Float32Type>() {
            Some(values) => Cow::Borrowed(&values.values()[range]),
            None => Cow::Owned(list.values().as_primitive::<Float16Type>().values()[range].to_f32_vec()),
        }
    }
}

/// The batch and row of each text.
fn places(
    batches: &[RecordBatch],
    key: &FeaturesKey,
    texts: &[(&str, usize)],
) -> Result<Vec<(usize, usize)>, String> {
    let expected = columns(key.precision, &[], &[], vec![]);
    let mut found = HashMap::new();
    for (number, batch) in batches.iter().enumerate() {
        for (given, expected) in batch.columns().iter().zip(&expected) {
            let (given, expected) = (given.data_type(), expected.field.data_type());
            if given != expected {
                return Err(format!("a column is {given}, expected {expected}"));
            }
        }
        let lengths = column(batch, "hidden")?.as_list::<i32>().value_offsets().windows(2);
        let lengths = lengths.map(|ends| (ends[1] - ends[0]) as usize);
        let rows = cells::<String>(batch, "id", &[])?.into_iter().zip(lengths).enumerate();
        found.extend(rows.map(|(row, (id, length))| (id, (number, row, length))));
    }
    let place = |(id, tokens): &(&str, usize)| match found.get(*id) {
        Some((batch, row, length)) if *length == tokens * key.hidden_size => Ok((*batch, *row)),
        Some((_, _, length)) => {
            Err(format!("text {id} has {length} numbers, expected {}", tokens * key.hidden_size))
        }
        None => Err(format!("text {id} is missing")),
    };
    texts.iter().map(place).collect()
}

/// Writes `features.arrow` batch by batch; the file appears with [`FeaturesWriter::finish`].
pub struct FeaturesWriter {
    path: PathBuf,
    precision: FeaturePrecision,
    schema: SchemaRef,
    writer: FileWriter<BufWriter<NamedTempFile>>,
}

impl FeaturesWriter {
    /// Starts the file.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(path: &Path, key: &FeaturesKey) -> Result<Self> {
        let columns = columns(key.precision, &[], &[], vec![]);
        // The numbers depend on the key alone; the run's other settings do not belong here.
        let entry = (KEY, serde_json::to_string(key).map_err(FileError::encode(path))?);
        let batch = to_batch(path, columns, &Provenance::default(), &[entry])?;
        let file = BufWriter::with_capacity(1 << 20, atomic::create(path)?);
        let writer = FileWriter::try_new(file, batch.schema_ref()).map_err(FileError::encode(path))?;
        Ok(Self { path: path.to_owned(), precision: key.precision, schema: batch.schema(), writer })
    }

    /// Adds texts: their ids, their lengths in numbers (tokens × hidden size), and all numbers.
    ///
    /// # Errors
    /// When the disk is full or the lengths do not add up.
    pub fn add(&mut self, ids: &[&str], lengths: &[usize], hidden: Vec<f32>) -> Result<()> {
        if lengths.iter().sum::<usize>() != hidden.len() {
            return Err(FileError::encode(&self.path)("the lengths do not add up to the numbers").into());
        }
        let columns = columns(self.precision, ids, lengths, hidden);
        let arrays = columns.into_iter().map(|column| column.array).collect();
        let batch =
            RecordBatch::try_new(self.schema.clone(), arrays).map_err(FileError::encode(&self.path))?;
        Ok(self.writer.write(&batch).map_err(FileError::encode(&self.path))?)
    }

    /// Completes the file, renames it to its path and seals it.
    ///
    /// # Errors
    /// When the file cannot be flushed or renamed.
    pub fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(FileError::encode(&self.path))?;
        let file = self.writer.into_inner().map_err(FileError::encode(&self.path))?;
        let file =
            file.into_inner().map_err(|error| FileError::io("write", &self.path)(error.into_error()))?;
        atomic::commit(file, &self.path)?;
        Ok(seal(&self.path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(trunk_layers: usize) -> FeaturesKey {
        FeaturesKey {
            checkpoint_sha256: vec!["c".into()],
            input_ids_sha256: "t".into(),
            vocabulary_sha256: None,
            trunk_layers,
            hidden_size: 2,
            trunk_precision: TrunkPrecision::F32,
            precision: FeaturePrecision::F32,
            batch_tokens: 2048,
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
        assert_eq!(*features.hidden(0), [5.0, 6.0, 7.0, 8.0]);
        assert_eq!(*features.hidden(2), [3.0, 4.0]);
        assert!(Features::open(&path, &key(2), &texts).unwrap().is_none(), "another key, other features");
        assert!(Features::open(&path, &key(1), &[("a", 2), ("b", 1), ("x", 1)]).is_err());
    }
    #[test]
    fn in_float16_numbers_are_rounded_once_and_take_half_the_space() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // 1 + 2⁻¹¹ and 1 + 3·2⁻¹¹ lie halfway and go to the even neighbour; 2⁻²⁴ is the smallest float16.
        let halfway = 2_f32.powi(-11);
        let given = vec![1.0 + halfway, 1.0 + 3.0 * halfway, -65504.0, 2_f32.powi(-24)];
        let expected = [1.0, 1.0 + 4.0 * halfway, -65504.0, 2_f32.powi(-24)];
        let rounded = round_to(FeaturePrecision::F16, given.clone()).unwrap();
        assert_eq!(rounded, expected);
        let key = FeaturesKey { precision: FeaturePrecision::F16, ..key(1) };
        let mut writer = FeaturesWriter::create(&path("f16"), &key).unwrap();
        writer.add(&["a"], &[4], rounded).unwrap();
        writer.finish().unwrap();
        let features = Features::open(&path("f16"), &key, &[("a", 2)]).unwrap().expect("the key fits");
        assert_eq!(*features.hidden(0), expected);
        assert_eq!((key.bytes(2), FeaturesKey { precision: FeaturePrecision::F32, ..key }.bytes(2)), (8, 16));

        assert_eq!(round_to(FeaturePrecision::F32, given.clone()).unwrap(), given);
        let message = round_to(FeaturePrecision::F16, vec![0.0, 65520.0]).unwrap_err().to_string();
        assert!(message.contains("65520") && message.contains("train.features.precision"), "{message}");
    }
}

//! `features.arrow`: per text the last frozen layer's hidden states, mapped into memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float16Array, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Schema, SchemaRef};
use arrow::ipc::writer::FileWriter;
use half::f16;
use half::slice::HalfFloatSliceExt;
use serde::{Deserialize, Serialize};

use crate::columns::{list_column, lists, string_column, strings};
use crate::files::{MappedFile, bad_artifact, with_metadata};
use crate::{Error, Result};
use midashi_config::{FeaturePrecision, TrunkPrecision};
use midashi_stage::Provenance;
use midashi_stage::atomic::temporary_file;

const STAGE: &str = "train";
const KEY: &str = "midashi.features";

/// All that the features depend on. Features made under another key are made again.
///
/// A text's hidden states depend neither on the texts computed with it nor on the number of threads,
/// which is why those are not here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturesKey {
    /// SHA-256 of each of the checkpoint's files.
    pub checkpoint_sha256: Vec<String>,
    /// Which texts, as what ids: `TokenizedCorpus::input_ids_sha256`.
    pub input_ids_sha256: String,
    /// How many layers were computed.
    pub trunk_layers: usize,
    /// Width of a hidden state.
    pub hidden_size: usize,
    /// In which numbers the layers were computed.
    pub trunk_precision: TrunkPrecision,
    /// In which numbers the hidden states are kept.
    pub precision: FeaturePrecision,
    /// What computed them, which decides the last digits: the library, the device and the revision of
    /// the code.
    pub computed_by: String,
}

impl FeaturesKey {
    /// Bytes that the hidden states of so many tokens take.
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
                Some(at) => Err(Error::BeyondFloat16(numbers[at])),
                None => Ok(halves.to_f32_vec()),
            }
        }
    }
}

fn values_column(precision: FeaturePrecision, numbers: Vec<f32>) -> ArrayRef {
    match precision {
        FeaturePrecision::F32 => Arc::new(Float32Array::from(numbers)),
        FeaturePrecision::F16 => Arc::new(Float16Array::from(halves(&numbers))),
    }
}

fn values_type(precision: FeaturePrecision) -> DataType {
    match precision {
        FeaturePrecision::F32 => DataType::Float32,
        FeaturePrecision::F16 => DataType::Float16,
    }
}

fn halves(numbers: &[f32]) -> Vec<f16> {
    let mut halves = vec![f16::ZERO; numbers.len()];
    halves.convert_from_f32_slice(numbers);
    halves
}

/// Hidden states of all texts, in the order of `tokens.arrow`.
pub struct Features {
    hidden_size: usize,
    precision: FeaturePrecision,
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
        Self::from_batches(file.batches, key, texts)
            .map(Some)
            .map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    fn from_batches(
        batches: Vec<RecordBatch>,
        key: &FeaturesKey,
        texts: &[(&str, usize)],
    ) -> Result<Self, String> {
        let expected_type = values_type(key.precision);
        let by_id: std::collections::HashMap<&str, usize> =
            texts.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
        let mut places = vec![None; texts.len()];
        for (number, batch) in batches.iter().enumerate() {
            let (ids, hidden) = (strings(batch, "id")?, lists(batch, "hidden")?);
            let found_type = hidden.values().data_type();
            if found_type != &expected_type {
                return Err(format!("column hidden has lists of {found_type}, expected {expected_type}"));
            }
            for row in 0..batch.num_rows() {
                let id = ids.value(row);
                let at = *by_id.get(id).ok_or_else(|| format!("text {id} is not in tokens.arrow"))?;
                let (found, expected) = (hidden.value_length(row) as usize, texts[at].1 * key.hidden_size);
                if found != expected {
                    return Err(format!("text {id} has {found} numbers, expected {expected}"));
                }
                places[at] = Some((number as u32, row as u32));
            }
        }
        let missing = places.iter().position(Option::is_none);
        match (missing, places.into_iter().collect()) {
            (None, Some(places)) => {
                Ok(Self { hidden_size: key.hidden_size, precision: key.precision, batches, places })
            }
            (at, _) => Err(format!("text {} is missing", texts[at.unwrap_or(0)].0)),
        }
    }

    /// Width of a hidden state.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// Hidden states of one text, shape `[tokens, hidden_size]` in row-major order.
    pub fn hidden(&self, text: usize) -> Cow<'_, [f32]> {
        let (batch, row) = self.places[text];
        // The column's place and type were checked when the file was opened.
        let list = self.batches[batch as usize].column(1).as_list::<i32>();
        let (start, end) = (list.value_offsets()[row as usize], list.value_offsets()[row as usize + 1]);
        let range = start as usize..end as usize;
        match self.precision {
            FeaturePrecision::F32 => {
                Cow::Borrowed(&list.values().as_primitive::<Float32Type>().values()[range])
            }
            FeaturePrecision::F16 => {
                Cow::Owned(list.values().as_primitive::<Float16Type>().values()[range].to_f32_vec())
            }
        }
    }
}

/// Writes `features.arrow` batch by batch; nothing is visible before [`FeaturesWriter::finish`].
pub struct FeaturesWriter {
    path: PathBuf,
    precision: FeaturePrecision,
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
        let items = Arc::new(Field::new_list_field(values_type(key.precision), false));
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("hidden", DataType::List(items), false),
        ]);
        let precision = key.precision;
        let key = serde_json::to_string(key).map_err(Error::encode(path))?;
        // The key says all that the numbers depend on; the run's other settings do not belong here.
        let schema = with_metadata(schema, &Provenance(vec![]), &[(KEY, key)]);
        let folder = path.parent().unwrap_or(Path::new("."));
        let (file, temporary) = temporary_file(folder)?.into_parts();
        let writer = FileWriter::try_new(BufWriter::with_capacity(1 << 20, file), &schema)
            .map_err(Error::encode(path))?;
        Ok(Self { path: path.to_owned(), precision, schema, writer, temporary })
    }

    /// Adds texts: their ids, their lengths in numbers (tokens × hidden size), and all numbers.
    ///
    /// # Errors
    /// When the disk is full or the lengths do not add up.
    pub fn add(&mut self, ids: &[&str], lengths: &[usize], hidden: Vec<f32>) -> Result<()> {
        let values = values_column(self.precision, hidden);
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
            input_ids_sha256: "t".into(),
            trunk_layers,
            hidden_size: 2,
            trunk_precision: TrunkPrecision::F32,
            precision: FeaturePrecision::F32,
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

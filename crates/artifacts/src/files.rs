//! Parquet, Arrow IPC and JSON files, written atomically and read with the file named in every error.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use midashi_stage::{Error as FileError, Provenance, atomic, require};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::category::MAX_CATEGORIES;
use crate::column::Column;
use crate::error::{Error, Result};

/// The metadata key of the list of category names. Dictionaries of Parquet files have only the names that occur.
const CATEGORIES: &str = "midashi.categories";

/// A batch of these columns for the file `path`, with the provenance and `more` as metadata. The writers sort
/// the metadata's keys, so equal metadata are equal bytes.
pub(crate) fn to_batch(
    path: &Path,
    columns: Vec<Column>,
    provenance: &Provenance,
    more: &[(&str, String)],
) -> Result<RecordBatch> {
    let more = more.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let metadata: HashMap<String, String> = provenance.0.iter().cloned().chain(more).collect();
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
        columns.into_iter().map(|column| (column.field, column.array)).unzip();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    Ok(RecordBatch::try_new(schema, arrays).map_err(FileError::encode(path))?)
}

/// The list of category names for the metadata.
pub(crate) fn categories_entry(categories: &[String]) -> (&'static str, String) {
    (CATEGORIES, json!(categories).to_string())
}

/// The list of category names in a batch's metadata, of at most [`MAX_CATEGORIES`].
pub(crate) fn read_categories(batch: &RecordBatch) -> Result<Vec<String>, String> {
    let categories: Vec<String> = json_entry(batch, CATEGORIES)?;
    match categories.len() {
        ..=MAX_CATEGORIES => Ok(categories),
        count => Err(format!("metadata {CATEGORIES}: {count} categories; expected at most {MAX_CATEGORIES}")),
    }
}

/// A text in a batch's metadata.
pub(crate) fn entry<'a>(batch: &'a RecordBatch, key: &str) -> Result<&'a String, String> {
    batch.schema_ref().metadata().get(key).ok_or_else(|| format!("the metadata has no {key}"))
}

/// A JSON value in a batch's metadata.
pub(crate) fn json_entry<T: DeserializeOwned>(batch: &RecordBatch, key: &str) -> Result<T, String> {
    serde_json::from_str(entry(batch, key)?).map_err(|error| format!("metadata {key}: {error}"))
}

pub(crate) fn write_parquet(
    path: &Path,
    columns: Vec<Column>,
    provenance: &Provenance,
    more: &[(&str, String)],
) -> Result<()> {
    let batch = to_batch(path, columns, provenance, more)?;
    atomic::write(path, |file| {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties()))
            .map_err(FileError::encode(path))?;
        writer.write(&batch).map_err(FileError::encode(path))?;
        writer.close().map_err(FileError::encode(path))?;
        Ok(())
    })
}

/// The memory of a row group at which the group is written.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// As [`write_parquet`], but with rows that come in parts: `first` determines the columns' types, and `next` returns the other
/// parts until there is none. Memory does not grow with the number of parts.
pub(crate) fn write_parquet_parts<E: From<Error> + From<FileError>>(
    path: &Path,
    first: Vec<Column>,
    provenance: &Provenance,
    more: &[(&str, String)],
    mut next: impl FnMut() -> Result<Option<Vec<Column>>, E>,
) -> Result<(), E> {
    let first = to_batch(path, first, provenance, more)?;
    let schema = first.schema();
    atomic::write(path, |file| {
        let mut writer = ArrowWriter::try_new(file, schema.clone(), Some(properties()))
            .map_err(FileError::encode(path))?;
        writer.write(&first).map_err(FileError::encode(path))?;
        while let Some(columns) = next()? {
            let arrays = columns.into_iter().map(|column| column.array).collect();
            let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(FileError::encode(path))?;
            writer.write(&batch).map_err(FileError::encode(path))?;
            if writer.memory_size() >= ROW_GROUP_BYTES {
                writer.flush().map_err(FileError::encode(path))?;
            }
        }
        writer.close().map_err(FileError::encode(path))?;
        Ok(())
    })
}

fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("midashi ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// Reads a Parquet file made by `stage` into one batch, and that with `parse`.
pub(crate) fn read_parquet<T>(
    path: &Path,
    stage: &'static str,
    parse: impl FnOnce(&RecordBatch) -> Result<T, String>,
) -> Result<T> {
    read_columns(path, stage, |_| true, parse)
}

/// Reads the wanted columns of a Parquet file as [`read_parquet`] does.
pub(crate) fn read_columns<T>(
    path: &Path,
    stage: &'static str,
    wanted: impl Fn(&str) -> bool,
    parse: impl FnOnce(&RecordBatch) -> Result<T, String>,
) -> Result<T> {
    require(path, stage)?;
    let bad = bad_artifact(path, stage);
    let file = File::open(path).map_err(FileError::io("read", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| bad(&e))?;
    let fields = builder.schema().fields().iter().enumerate();
    let columns: Vec<usize> = fields.filter(|(_, field)| wanted(field.name())).map(|(at, _)| at).collect();
    let schema = Arc::new(builder.schema().project(&columns).map_err(|e| bad(&e))?);
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
    let reader = builder.with_projection(mask).with_batch_size(1 << 16).build().map_err(|e| bad(&e))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| bad(&e))?;
    let batch = concat_batches(&schema, &batches).map_err(|e| bad(&e))?;
    parse(&batch).map_err(|message| bad(&message))
}

pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(FileError::encode(path))?;
    Ok(atomic::write_bytes(path, text.as_bytes())?)
}

/// Reads a JSON file made by `stage`.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path, stage: &'static str) -> Result<T> {
    require(path, stage)?;
    let text = std::fs::read(path).map_err(FileError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| bad_artifact(path, stage)(&error))
}

/// An Arrow IPC file mapped into memory; its batches point into the mapping.
pub(crate) struct MappedFile {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl MappedFile {
    /// Maps the file and decodes its batches without copying their buffers.
    ///
    /// The layout is the Arrow columnar format's "IPC File Format": the last ten bytes are the footer's length
    /// and the magic.
    #[expect(unsafe_code, reason = "a memory map; artifacts are replaced, never written in place")]
    pub(crate) fn open(path: &Path, stage: &'static str) -> Result<Self> {
        require(path, stage)?;
        let bad = bad_artifact(path, stage);
        let file = File::open(path).map_err(FileError::io("read", path))?;
        // SAFETY: artifacts are replaced by renaming and never written in place, so the mapped file does not
        // change.
        let mapping = unsafe { memmap2::Mmap::map(&file) }.map_err(FileError::io("map", path))?;
        let buffer = Buffer::from(bytes::Bytes::from_owner(mapping));
        const TRAILER: usize = 10;
        let length = buffer.len();
        let trailer = length
            .checked_sub(TRAILER)
            .and_then(|start| buffer[start..].try_into().ok())
            .ok_or_else(|| bad(&"the file is too short for an Arrow file"))?;
        let footer_length = read_footer_length(trailer).map_err(|e| bad(&e))?;
        let footer_start = (length - TRAILER)
            .checked_sub(footer_length)
            .ok_or_else(|| bad(&"the footer is longer than the file"))?;
        let footer = root_as_footer(&buffer[footer_start..length - TRAILER]).map_err(|e| bad(&e))?;
        let schema = footer.schema().ok_or_else(|| bad(&"the footer has no schema"))?;
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|e| bad(&e))?);
        let mut decoder = FileDecoder::new(schema.clone(), footer.version());
        let slice = |block: &arrow::ipc::Block| {
            let start = usize::try_from(block.offset()).ok()?;
            let body = usize::try_from(block.bodyLength()).ok()?;
            let head = usize::try_from(block.metaDataLength()).ok()?;
            let size = head.checked_add(body)?;
            (start.checked_add(size)? <= length).then(|| buffer.slice_with_length(start, size))
        };
        for block in footer.dictionaries().iter().flatten() {
            let data = slice(block).ok_or_else(|| bad(&"a dictionary lies outside the file"))?;
            decoder.read_dictionary(block, &data).map_err(|e| bad(&e))?;
        }
        let mut batches = Vec::new();
        for block in footer.recordBatches().iter().flatten() {
            let data = slice(block).ok_or_else(|| bad(&"a batch lies outside the file"))?;
            batches.extend(decoder.read_record_batch(block, &data).map_err(|e| bad(&e))?);
        }
        Ok(Self { schema, batches })
    }
}

/// The reason why a cache is not read.
pub(crate) const CHANGED: &str = "its bytes are not those of the digest beside it";

/// For `map_err`: the artifact, the stage that makes it and the reason.
pub(crate) fn bad_artifact<'a>(
    path: &'a Path,
    stage: &'static str,
) -> impl Fn(&dyn std::fmt::Display) -> Error + 'a {
    move |message| Error::BadArtifact { path: path.to_owned(), stage, message: message.to_string() }
}

//! Parquet and Arrow IPC files, written atomically and read with the file named in every error.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::{Error, Result};
use midashi_stage::{Provenance, atomic, require};

/// A schema with metadata; the writers sort its keys, so equal metadata are equal bytes.
pub(crate) fn with_metadata(schema: Schema, provenance: &Provenance, more: &[(&str, String)]) -> SchemaRef {
    let mut metadata: HashMap<String, String> = provenance.0.iter().cloned().collect();
    metadata.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    Arc::new(schema.with_metadata(metadata))
}

pub(crate) fn write_parquet(path: &Path, batch: &RecordBatch) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("midashi ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    atomic::write(path, |file| {
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(Error::encode(path))?;
        writer.write(batch).map_err(Error::encode(path))?;
        writer.close().map_err(Error::encode(path))?;
        Ok(())
    })
}

/// Reads a whole Parquet file into one batch.
pub(crate) fn read_parquet(path: &Path, stage: &'static str) -> Result<RecordBatch> {
    read_columns(path, stage, |_| true)
}

/// Reads the wanted columns of a Parquet file into one batch.
pub(crate) fn read_columns(
    path: &Path,
    stage: &'static str,
    wanted: impl Fn(&str) -> bool,
) -> Result<RecordBatch> {
    require(path, stage)?;
    let bad = bad_artifact(path, stage);
    let file = File::open(path).map_err(Error::io("read", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| bad(&e))?;
    let fields = builder.schema().fields().iter().enumerate();
    let columns: Vec<usize> = fields.filter(|(_, field)| wanted(field.name())).map(|(at, _)| at).collect();
    let schema = Arc::new(builder.schema().project(&columns).map_err(|e| bad(&e))?);
    let mask = ProjectionMask::roots(builder.parquet_schema(), columns);
    let reader = builder.with_projection(mask).with_batch_size(1 << 16).build().map_err(|e| bad(&e))?;
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|e| bad(&e))?;
    arrow::compute::concat_batches(&schema, &batches).map_err(|e| bad(&e))
}

/// An Arrow IPC file mapped into memory; its batches point into the mapping.
pub(crate) struct MappedFile {
    pub(crate) schema: SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
}

impl MappedFile {
    /// Maps the file and decodes its batches without copying their buffers.
    ///
    /// The layout is that of the Arrow columnar format, "IPC File Format": the footer's length
    /// and the magic are the last ten bytes.
    pub(crate) fn open(path: &Path, stage: &'static str) -> Result<Self> {
        require(path, stage)?;
        let bad = bad_artifact(path, stage);
        let file = File::open(path).map_err(Error::io("read", path))?;
        // SAFETY: artifacts are replaced by renaming, never rewritten in place, so the mapped
        // file does not change below us.
        let mapping = unsafe { memmap2::Mmap::map(&file) }.map_err(Error::io("map", path))?;
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

pub(crate) fn bad_artifact<'a>(
    path: &'a Path,
    stage: &'static str,
) -> impl Fn(&dyn std::fmt::Display) -> Error + 'a {
    move |message| Error::BadArtifact { path: path.to_owned(), stage, message: message.to_string() }
}

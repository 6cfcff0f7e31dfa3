//! Arrow IPC, as a file (Feather) or as a stream.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::failure::Failure;

/// The rows so far.
pub(crate) enum ArrowWriter<W: Write> {
    File(Box<FileWriter<W>>),
    Stream(Box<StreamWriter<W>>),
}

impl<W: Write> ArrowWriter<W> {
    pub fn new(inner: W, schema: &Schema, stream: bool) -> Result<Self, Failure> {
        Ok(if stream {
            Self::Stream(Box::new(StreamWriter::try_new(inner, schema)?))
        } else {
            Self::File(Box::new(FileWriter::try_new(inner, schema)?))
        })
    }

    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), Failure> {
        match self {
            Self::File(writer) => writer.write(rows)?,
            Self::Stream(writer) => writer.write(rows)?,
        }
        Ok(())
    }

    pub fn flush(&mut self) -> Result<(), Failure> {
        match self {
            Self::File(writer) => writer.flush()?,
            Self::Stream(writer) => writer.flush()?,
        }
        Ok(())
    }

    pub fn finish(self) -> Result<W, Failure> {
        Ok(match self {
            Self::File(writer) => writer.into_inner()?,
            Self::Stream(writer) => writer.into_inner()?,
        })
    }
}

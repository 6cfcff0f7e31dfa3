#![doc = include_str!("../README.md")]

mod arrow_ipc;
mod arrow_messages;
mod batch;
mod columns;
mod decoding;
mod delimited;
mod encoding;
mod error;
mod files;
mod format;
mod input;
mod json_lines;
mod json_row;
mod json_schema;
mod lines;
mod members;
mod options;
mod parquet;
mod quotes;
mod reader;
mod table;
mod write;

pub use batch::{BadRow, Batch};
pub use columns::{Column, ColumnNames, Columns, Role};
pub use encoding::recognise as recognise_encoding;
pub use error::{Error, Result};
pub use files::{find_files, natural_order};
pub use format::{Compression, Format};
pub use lines::TEXT_COLUMN;
pub use members::{Container, Members};
pub use options::ReadOptions;
pub use parquet::{RowGroups, row_groups};
pub use reader::Reader;
pub use table::Table;
pub use write::{Formulas, WriteOptions, Writer};

/// The encodings that texts are converted from.
pub use encoding_rs::Encoding;

//! How a table is read.

use std::ops::Range;

use encoding_rs::Encoding;

use crate::format::Format;

/// How a table is read. The default recognises everything.
#[derive(Clone, Debug)]
pub struct ReadOptions {
    /// The format; recognised if it is none.
    pub format: Option<Format>,
    /// The character between the fields of CSV; recognised if it is none.
    pub delimiter: Option<u8>,
    /// The encoding of text formats; none is UTF-8, which is checked.
    pub encoding: Option<&'static Encoding>,
    /// The largest number of rows of a batch, with those that cannot be read. A batch also ends when its texts reach 8 MiB. The
    /// batches of Arrow IPC are those of its writer.
    pub batch_rows: usize,
    /// For Parquet, the row groups to read, counted from 0; all if it is none.
    pub row_groups: Option<Range<usize>>,
    /// The name of the setting behind `encoding`, for messages.
    pub encoding_setting: &'static str,
    /// The name of the setting behind `format`, for messages.
    pub format_setting: &'static str,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            encoding: None,
            batch_rows: 4096,
            row_groups: None,
            encoding_setting: "encoding",
            format_setting: "format",
        }
    }
}

/// The size of texts at which a batch ends.
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// The largest row of a text format. It bounds memory when a quote is not closed or line feeds are missing.
pub(crate) const LARGEST_ROW: usize = 64 << 20;

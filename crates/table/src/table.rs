//! An input that is recognised and opened.

use std::io::Read;
use std::path::Path;

use crate::arrow_ipc::ArrowRows;
use crate::delimited::DelimitedRows;
use crate::encoding;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::input::Input;
use crate::json_lines::JsonRows;
use crate::json_schema;
use crate::lines::LineRows;
use crate::options::ReadOptions;
use crate::parquet::ParquetRows;
use crate::reader::{Reader, Rows};

/// Opens tables.
pub struct Table;

impl Table {
    /// Opens the file `path`.
    ///
    /// The format is `options.format`, or what the name shows, or what the first bytes show. A pipe is read once, as
    /// [`Table::from_reader`] reads a stream.
    ///
    /// # Errors
    /// When the file cannot be read, or its format, encoding or header cannot be used.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Reader> {
        let input = Input::of_file(path)?;
        let by_name = Format::of_path(path).map(|(format, _)| format);
        let format = options.format.or(by_name).or_else(|| recognise(&input.head));
        let format = format.ok_or_else(|| unknown(&input.name, options))?;
        let schema = match format {
            // A key may occur for the first time in the last row. A file is read twice to know all keys, a pipe once.
            Format::JsonLines if input.size.is_some() => Some(json_schema::of_file(path, options)?),
            _ => None,
        };
        open(input, format, schema, options)
    }

    /// Reads the stream `reader`, which messages call `name`.
    ///
    /// The format is `options.format`, or what the first bytes show, or else lines.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn from_reader(
        reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Reader> {
        let input = Input::of_stream(Box::new(reader), name)?;
        let format = options.format.or_else(|| recognise(&input.head)).unwrap_or(Format::Lines);
        open(input, format, None, options)
    }
}

fn open(
    input: Input,
    format: Format,
    schema: Option<json_schema::JsonSchema>,
    options: &ReadOptions,
) -> Result<Reader> {
    let is_text = !matches!(format, Format::Parquet | Format::Arrow);
    if is_text {
        encoding::check(&input.name, &input.head, options)?;
        refuse_binary(&input.name, &input.head, format, options)?;
    }
    let (name, read, size) = (input.name.clone(), input.read.clone(), input.size);
    let rows: Box<dyn Rows> = match format {
        Format::Csv | Format::Tsv => Box::new(DelimitedRows::new(input, format, options)?),
        Format::JsonLines => Box::new(JsonRows::new(input, schema, options)?),
        Format::Lines => Box::new(LineRows::new(input, options)?),
        Format::Parquet => Box::new(ParquetRows::new(input, options)?),
        Format::Arrow => Box::new(ArrowRows::new(input)?),
    };
    let schema = rows.schema();
    Ok(Reader { name, format, schema, rows, read, size, rows_read: 0, ended: false })
}

/// The format that the first bytes show.
fn recognise(head: &[u8]) -> Option<Format> {
    // The continuation marker of an Arrow IPC stream.
    const CONTINUATION: [u8; 4] = [0xff; 4];
    let text = encoding::without_marks(head).trim_ascii_start();
    if head.starts_with(b"PAR1") {
        Some(Format::Parquet)
    } else if head.starts_with(b"ARROW1") || head.starts_with(&CONTINUATION) {
        Some(Format::Arrow)
    } else if text.starts_with(b"{") {
        Some(Format::JsonLines)
    } else {
        None
    }
}

fn unknown(name: &str, options: &ReadOptions) -> Error {
    let endings = Format::ALL.into_iter().flat_map(Format::extensions);
    let endings: Vec<String> = endings.map(|ending| format!(".{ending}")).collect();
    let reason = format!(
        "the name shows no format; expected {} (also with .gz or .zst), or set {}",
        endings.join(", "),
        options.format_setting
    );
    Error::content(name, reason)
}

/// Refuses binary files that are taken for text.
fn refuse_binary(name: &str, head: &[u8], format: Format, options: &ReadOptions) -> Result<()> {
    const KINDS: [(&[u8], &str); 4] = [
        (b"PAR1", "Parquet"),
        (b"ARROW1", "an Arrow IPC file"),
        (b"PK\x03\x04", "a zip archive or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    ];
    match KINDS.into_iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, kind)) => {
            let reason = format!(
                "is {kind}, but is read as {format}; name it by its format, set {}, or export it as CSV",
                options.format_setting
            );
            Err(Error::content(name, reason))
        }
        None => Ok(()),
    }
}

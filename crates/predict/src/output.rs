//! Where predictions go, and in which form.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow::datatypes::SchemaRef;
use clap::ValueEnum;
use midashi_stage::errln;
use midashi_table::{Compression, Format as TableFormat, Formulas, WriteOptions, Writer};
use tempfile::NamedTempFile;

use crate::columns::Shape;
use crate::formats::View;
use crate::interrupt;
use crate::printable::Escaping;

/// Where predictions go, and in which form.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    /// Form of the output: ansi, html, svg and json show each text with its coloured words; csv, tsv, jsonl, parquet and
    /// arrow are tables with the input's columns and the predictions. The default is the form that the name of --output
    /// shows, or jsonl with --input, or else ansi, without colours unless standard output is a terminal
    #[arg(long, value_name = "FORM")]
    pub format: Option<Form>,
    /// Writes to this file instead of standard output; the file appears when it is complete
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Texts of CSV and TSV that a spreadsheet would compute, because they begin with = + - @ or a tab: escape writes an
    /// apostrophe before them, keep writes them as they are, for programs
    #[arg(long, value_name = "WHAT", default_value = "escape")]
    pub formulas: FormulaCells,
}

/// The treatment of texts that begin like a formula.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FormulaCells {
    /// With an apostrophe before them
    #[default]
    Escape,
    /// As they are
    Keep,
}

impl From<FormulaCells> for Formulas {
    fn from(cells: FormulaCells) -> Self {
        match cells {
            FormulaCells::Escape => Self::Escape,
            FormulaCells::Keep => Self::Keep,
        }
    }
}

/// Every form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For a terminal: colours, and a bar for each word
    Ansi,
    /// One page
    Html,
    /// One picture
    Svg,
    /// One JSON object per line and text, with all tokens
    Json,
    /// Comma-separated values
    Csv,
    /// Tab-separated values
    Tsv,
    /// One JSON object per line and row
    Jsonl,
    /// Parquet
    Parquet,
    /// Arrow IPC: a stream, or a file if the name of --output ends in .arrow or .feather
    Arrow,
}

/// The output.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Texts with coloured words.
    View {
        /// The form.
        view: View,
        /// Whether it was asked for, which switches colours on.
        is_chosen: bool,
        /// The file; none for standard output.
        path: Option<PathBuf>,
    },
    /// A table.
    Table {
        /// Its format and compression.
        options: WriteOptions,
        /// The file; none for standard output.
        path: Option<PathBuf>,
    },
}

/// A table on its way to a file or to standard output.
pub struct TableOutput {
    writer: Writer<Destination>,
    path: Option<PathBuf>,
}

enum Destination {
    Standard(io::Stdout),
    Terminal(io::Stdout, Escaping),
    File(NamedTempFile),
}

impl Arguments {
    /// The output; `reads_files` for an input of files.
    ///
    /// # Errors
    /// When the file's name shows no form, or the form cannot be written to a terminal.
    pub fn output(&self, reads_files: bool) -> Result<Output> {
        let path = self.output.clone();
        let by_name = path.as_deref().map(|path| form_of(path, self.format)).transpose()?.flatten();
        let form = self.format.or(by_name.map(|(form, _)| form)).unwrap_or(match reads_files {
            true => Form::Jsonl,
            false => Form::Ansi,
        });
        let compression = by_name.map_or(Compression::None, |(_, compression)| compression);
        let output = match form.kind() {
            Ok(view) => Output::View { view, is_chosen: self.format.is_some(), path },
            Err(format) => {
                let arrow_stream = path.as_deref().is_none_or(is_stream);
                let formulas = self.formulas.into();
                Output::Table { options: WriteOptions { format, compression, arrow_stream, formulas }, path }
            }
        };
        if let Output::Table { options, path: None } = &output
            && matches!(options.format, TableFormat::Parquet | TableFormat::Arrow)
            && io::stdout().is_terminal()
        {
            bail!("{} is not for terminals; give a file with --output", options.format);
        }
        Ok(output)
    }
}

/// The form and compression that the name of the output shows; none if another form is `chosen`.
fn form_of(path: &Path, chosen: Option<Form>) -> Result<Option<(Form, Compression)>> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let view = match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => Some(Form::Html),
        "svg" => Some(Form::Svg),
        "ansi" | "txt" => Some(Form::Ansi),
        _ => None,
    };
    let table = TableFormat::of_path(path).and_then(|(format, compression)| {
        let form = match format {
            TableFormat::Csv => Form::Csv,
            TableFormat::Tsv => Form::Tsv,
            TableFormat::JsonLines => Form::Jsonl,
            TableFormat::Parquet => Form::Parquet,
            TableFormat::Arrow => Form::Arrow,
            TableFormat::Lines => return None,
        };
        Some((form, compression))
    });
    let found = view.map(|form| (form, Compression::None)).or(table);
    if found.is_none() && chosen.is_none() {
        bail!(
            "--output {}: the name shows no form; expected .html, .svg, .csv, .tsv, .jsonl, .parquet or .arrow (tables also \
             with .gz or .zst), or give --format",
            path.display()
        );
    }
    Ok(found)
}

/// Arrow IPC files end in `.arrow` or `.feather`; everything else is a stream.
fn is_stream(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    !["arrow", "feather", "ipc"].contains(&extension.to_ascii_lowercase().as_str())
}

impl Form {
    fn kind(self) -> Result<View, TableFormat> {
        match self {
            Self::Ansi => Ok(View::Ansi),
            Self::Html => Ok(View::Html),
            Self::Svg => Ok(View::Svg),
            Self::Json => Ok(View::Json),
            Self::Csv => Err(TableFormat::Csv),
            Self::Tsv => Err(TableFormat::Tsv),
            Self::Jsonl => Err(TableFormat::JsonLines),
            Self::Parquet => Err(TableFormat::Parquet),
            Self::Arrow => Err(TableFormat::Arrow),
        }
    }
}

/// How a table's format holds several values of a row.
pub fn shape(format: TableFormat) -> Shape {
    match format {
        TableFormat::Csv | TableFormat::Tsv | TableFormat::Lines => Shape::Flat,
        TableFormat::JsonLines | TableFormat::Parquet | TableFormat::Arrow => Shape::Nested,
    }
}

/// Whether a table is written as an Arrow stream, in which each batch may have dictionaries of its own.
pub fn is_arrow_stream(options: WriteOptions) -> bool {
    options.format == TableFormat::Arrow && options.arrow_stream
}

impl TableOutput {
    /// Refuses columns `schema` that the format does not hold, before the model is loaded.
    ///
    /// # Errors
    /// When there is such a column.
    pub fn check(path: Option<&Path>, options: WriteOptions, schema: &SchemaRef) -> Result<()> {
        Ok(options.check(&name_of(path), schema)?)
    }

    /// Starts a table of the columns `schema`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: Option<&Path>, options: WriteOptions, schema: &SchemaRef) -> Result<Self> {
        let name = name_of(path);
        let destination = match path {
            Some(path) => Destination::File(interrupt::create(path)?),
            None if io::stdout().is_terminal() => {
                Destination::Terminal(io::stdout(), Escaping::of(options.format))
            }
            None => Destination::Standard(io::stdout()),
        };
        Ok(Self { writer: Writer::new(destination, &name, options, schema)?, path: path.map(Path::to_owned) })
    }

    /// Whether rows appear on the terminal.
    pub fn is_on_terminal(&self) -> bool {
        self.path.is_none() && io::stdout().is_terminal()
    }

    /// Adds rows. On standard output they are passed on at once.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn write(&mut self, rows: &arrow::array::RecordBatch) -> Result<()> {
        self.writer.write(rows)?;
        if self.path.is_none() {
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Ends the table; a file appears now. Cells that were changed for spreadsheets are said.
    ///
    /// # Errors
    /// When the output cannot be written.
    pub fn finish(self) -> Result<()> {
        let escaped = self.writer.escaped_formulas();
        if escaped > 0 {
            errln!(
                "  {escaped} cells begin like a formula and got an apostrophe, so that no spreadsheet computes them \
                 (--formulas keep writes them as they are)"
            );
        }
        let destination = self.writer.finish()?;
        if let (Destination::File(file), Some(path)) = (destination, self.path) {
            interrupt::commit(file, &path)?;
        }
        Ok(())
    }
}

/// The output's name in messages.
fn name_of(path: Option<&Path>) -> String {
    path.map_or("standard output".to_owned(), |path| path.display().to_string())
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Standard(output) => output.write(bytes),
            Self::Terminal(output, escaping) => {
                output.write_all(escaping.escape(bytes).as_bytes())?;
                Ok(bytes.len())
            }
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Standard(output) | Self::Terminal(output, _) => output.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

/// Prints a part of a view on standard output.
///
/// # Errors
/// When it cannot be printed; the cause tells whether its reader has ended.
pub fn print(written: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(written.as_bytes()).and_then(|()| output.flush()).context("cannot print")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(format: Option<Form>, path: Option<&str>, reads_files: bool) -> Result<Output, String> {
        let (output, formulas) = (path.map(PathBuf::from), FormulaCells::Escape);
        let arguments = Arguments { format, output, formulas };
        arguments.output(reads_files).map_err(|error| error.to_string())
    }

    fn table(
        format: TableFormat,
        compression: Compression,
        arrow_stream: bool,
        path: Option<&str>,
    ) -> Output {
        let options = WriteOptions { format, compression, arrow_stream, formulas: Formulas::Escape };
        Output::Table { options, path: path.map(PathBuf::from) }
    }

    #[test]
    fn texts_are_shown_and_files_become_tables() {
        let ansi = Output::View { view: View::Ansi, is_chosen: false, path: None };
        assert_eq!(output(None, None, false), Ok(ansi));
        assert_eq!(
            output(None, None, true),
            Ok(table(TableFormat::JsonLines, Compression::None, true, None))
        );
    }

    #[test]
    fn the_name_shows_the_form() {
        let by_name = |name| output(None, Some(name), true);
        let of = |name, format, compression, stream| {
            assert_eq!(by_name(name), Ok(table(format, compression, stream, Some(name))));
        };
        of("a.csv.gz", TableFormat::Csv, Compression::Gzip, true);
        of("a.parquet", TableFormat::Parquet, Compression::None, true);
        of("a.arrow", TableFormat::Arrow, Compression::None, false);
        of("a.arrows", TableFormat::Arrow, Compression::None, true);
        assert!(matches!(by_name("a.html"), Ok(Output::View { view: View::Html, .. })));
        assert!(by_name("a.xyz").unwrap_err().contains("the name shows no form; expected .html"));
        let chosen = output(Some(Form::Csv), Some("a.xyz"), true);
        assert_eq!(chosen, Ok(table(TableFormat::Csv, Compression::None, true, Some("a.xyz"))));
    }
}

//! The rows to classify: texts of the command line, standard input, files.

use std::collections::VecDeque;
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, bail, ensure};
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clap::ValueEnum;
use midashi_table::{BadRow, Batch, Encoding, Format, ReadOptions, Reader, TEXT_COLUMN, Table, find_files};

use crate::parts::{Layout, Part, ShardFiles, of_shard};
use crate::shard::Shard;

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";
/// Its name in messages.
const STANDARD_INPUT_NAME: &str = "standard input";
/// Rows of this number that were skipped are shown one by one.
const SHOWN_BAD_ROWS: u64 = 10;

/// What is read, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Texts to classify; "-" stands for standard input, which is also read if there is neither a text nor --input. For a
    /// model that reads title and body, the first line of a text is the title
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    /// A file to classify, or a pattern of files such as 'data/*.csv'; can be repeated. CSV, TSV, JSON Lines, Parquet, Arrow
    /// IPC or one text a line, also as .gz or .zst
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub input: Vec<String>,
    /// Format of the input: csv, tsv, jsonl, parquet, arrow or lines; recognised by default, where standard input without
    /// any sign of another format has a text a line
    #[arg(long, value_name = "FORMAT")]
    pub input_format: Option<Format>,
    /// Character between the fields of CSV; recognised by default
    #[arg(long, value_name = "CHARACTER")]
    pub delimiter: Option<char>,
    /// Encoding of the input, such as shift_jis; the default is utf-8, which is checked
    #[arg(long, value_name = "ENCODING")]
    pub encoding: Option<String>,
    /// Column with the text, or the title; recognised by usual names by default
    #[arg(long, value_name = "COLUMN")]
    pub text_column: Option<String>,
    /// Column with the body, for a model that reads bodies; recognised by usual names by default
    #[arg(long, value_name = "COLUMN")]
    pub body_column: Option<String>,
    /// What to do about rows that cannot be read
    #[arg(long, value_name = "WHAT", default_value = "error")]
    pub bad_rows: BadRows,
}

/// What to do about rows that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BadRows {
    /// The first one ends the program
    #[default]
    Error,
    /// They are left out, counted and named
    Skip,
}

/// The rows to classify, part after part, as batches of the same columns.
pub struct Input {
    parts: VecDeque<Part>,
    reader: Option<Reader>,
    /// Texts of the command line, as a batch.
    texts: Option<RecordBatch>,
    schema: SchemaRef,
    options: ReadOptions,
    bad_rows: BadRows,
    /// The shard, if rows are dealt out.
    row_shard: Option<Shard>,
    /// Rows of the parts before the current one.
    rows_before: u64,
    last_number: u64,
    state: SharedState,
    bytes: Bytes,
    /// Batches of the current part.
    batches: u64,
}

/// Consecutive rows of the input, with their place in it.
pub struct Rows {
    /// The rows to classify.
    pub rows: RecordBatch,
    /// Where they were read.
    pub place: Place,
}

/// Where a batch was read, for messages.
#[derive(Clone, Debug)]
pub struct Place {
    name: Arc<str>,
    /// The batch of Arrow IPC, from 1; other formats have no batches of their own.
    batch: Option<u64>,
    /// The number of each row, from 1.
    numbers: Arc<[u64]>,
}

/// What was read so far, for the thread that computes while another one reads.
#[derive(Clone, Default)]
pub struct SharedState(Arc<Mutex<ReadState>>);

/// Which types of columns the output can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Types {
    /// All: the columns are handed on as they were read, with the input's metadata.
    AsRead,
    /// All but dictionaries. Each batch may have a dictionary of its own, which only Arrow streams can hold.
    Plain,
}

/// How much has been read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadState {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that could not be read.
    pub bad: u64,
    /// The share of the input that was read, in [0, 1], if the input's size is known.
    pub fraction: Option<f64>,
}

/// Sizes of the files.
#[derive(Default)]
struct Bytes {
    all: Option<u64>,
    before: u64,
    current: u64,
}

impl Arguments {
    /// Whether tables are read, which have a row for each text and perhaps other columns.
    pub fn has_files(&self) -> bool {
        !self.input.is_empty()
    }

    /// The files that a shard reads, if only files are read.
    ///
    /// # Errors
    /// When there is no such file, or a Parquet file cannot be read.
    pub fn files_of(&self, shard: Shard) -> Result<Option<ShardFiles>> {
        let Some(all) = self.files()? else { return Ok(None) };
        ShardFiles::of(&self.layouts(&all)?, shard).map(Some)
    }

    /// The options that change what is read.
    pub fn described(&self) -> String {
        let Self { input_format, delimiter, encoding, text_column, body_column, bad_rows, .. } = self;
        format!("{:?}", (input_format, delimiter, encoding, text_column, body_column, bad_rows))
    }

    /// The files that are read, if only files are. A pipe is none: it cannot be read twice.
    fn files(&self) -> Result<Option<Vec<PathBuf>>> {
        if self.input.is_empty() || self.input.iter().any(|name| name == STANDARD_INPUT) {
            return Ok(None);
        }
        let mut files = Vec::new();
        for pattern in &self.input {
            files.extend(find_files(pattern)?);
        }
        Ok(files.iter().all(|file| file.is_file()).then_some(files))
    }

    fn parts(&self, shard: Option<Shard>) -> Result<(VecDeque<Part>, Option<Shard>)> {
        if let Some(files) = self.files()? {
            return match shard {
                Some(shard) => Ok(of_shard(&self.layouts(&files)?, shard)),
                None => Ok((files.into_iter().map(|file| Part::File(file, None)).collect(), None)),
            };
        }
        let mut parts = VecDeque::new();
        for name in &self.input {
            if name == STANDARD_INPUT {
                parts.push_back(Part::StandardInput);
            } else {
                parts.extend(find_files(name)?.into_iter().map(|file| Part::File(file, None)));
            }
        }
        for text in &self.texts {
            match parts.back_mut() {
                _ if text == STANDARD_INPUT => parts.push_back(Part::StandardInput),
                Some(Part::Texts(texts)) => texts.push(text.clone()),
                _ => parts.push_back(Part::Texts(vec![text.clone()])),
            }
            refuse_file(text)?;
        }
        if parts.is_empty() {
            parts.push_back(Part::StandardInput);
        }
        ensure!(
            parts.iter().filter(|part| **part == Part::StandardInput).count() <= 1,
            "standard input is named twice; it can be read once"
        );
        Ok((parts, shard))
    }

    fn layouts(&self, files: &[PathBuf]) -> Result<Vec<Layout>> {
        files.iter().map(|path| Layout::of(path, self.input_format)).collect()
    }

    fn read_options(&self, batch_rows: usize) -> Result<ReadOptions> {
        let delimiter = self.delimiter.map(|c| {
            u8::try_from(c)
                .ok()
                .filter(u8::is_ascii)
                .ok_or_else(|| anyhow!("--delimiter is {c:?}; expected one ASCII character, such as ';'"))
        });
        let encoding = self.encoding.as_ref().map(|name| {
            Encoding::for_label(name.as_bytes()).ok_or_else(|| {
                anyhow!(
                    "--encoding {name}: unknown encoding; expected one such as shift_jis, euc-jp or utf-16le"
                )
            })
        });
        Ok(ReadOptions {
            format: self.input_format,
            delimiter: delimiter.transpose()?,
            encoding: encoding.transpose()?,
            batch_rows,
            encoding_setting: "--encoding",
            format_setting: "--input-format",
            ..ReadOptions::default()
        })
    }
}

/// A text of the command line that is a table's name is more probably meant to be read.
fn refuse_file(text: &str) -> Result<()> {
    let path = Path::new(text);
    if Format::of_path(path).is_some() && path.is_file() {
        bail!("{text} is a file; give it as --input {text}, or the text on standard input");
    }
    Ok(())
}

impl Input {
    /// Opens the first part, to be read in batches of at most `batch_rows` rows, or those of an Arrow stream; all parts are
    /// expected to have its columns.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    pub fn open(
        arguments: &Arguments,
        shard: Option<Shard>,
        batch_rows: usize,
        types: Types,
    ) -> Result<Self> {
        let options = arguments.read_options(batch_rows)?;
        let (parts, row_shard) = arguments.parts(shard)?;
        let sizes: Option<Vec<u64>> = parts.iter().map(size).collect();
        let mut input = Self {
            parts,
            reader: None,
            texts: None,
            schema: Arc::new(Schema::empty()),
            options,
            bad_rows: arguments.bad_rows,
            row_shard,
            rows_before: 0,
            last_number: 0,
            state: SharedState::default(),
            batches: 0,
            bytes: Bytes { all: sizes.map(|sizes| sizes.iter().sum()), ..Bytes::default() },
        };
        let schema = input.open_next()?.unwrap_or_else(text_schema);
        input.schema = match types {
            Types::AsRead if input.parts.is_empty() => schema,
            // Columns of several inputs have the same types, but perhaps nulls in one of them.
            Types::AsRead => nullable(&schema),
            Types::Plain => plain_schema(&schema),
        };
        Ok(input)
    }

    /// The columns of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// How much has been read, for a caller who no longer has the input.
    pub fn state(&self) -> SharedState {
        self.state.clone()
    }

    /// Opens the next part. Returns its columns.
    fn open_next(&mut self) -> Result<Option<SchemaRef>> {
        self.rows_before += std::mem::take(&mut self.last_number);
        self.batches = 0;
        self.bytes.before += std::mem::take(&mut self.bytes.current);
        let Some(part) = self.parts.pop_front() else { return Ok(None) };
        self.bytes.current = size(&part).unwrap_or(0);
        let reader = match part {
            Part::Texts(texts) => {
                let texts: ArrayRef = Arc::new(StringArray::from(texts));
                let rows = RecordBatch::try_new(text_schema(), vec![texts])?;
                let schema = rows.schema();
                self.texts = Some(rows);
                return Ok(Some(schema));
            }
            Part::StandardInput => Table::from_reader(std::io::stdin(), STANDARD_INPUT_NAME, &self.options)?,
            Part::File(path, row_groups) => {
                Table::open(&path, &ReadOptions { row_groups, ..self.options.clone() })?
            }
        };
        let schema = reader.schema();
        self.reader = Some(reader);
        Ok(Some(schema))
    }

    fn next_batch(&mut self) -> Result<Option<Rows>> {
        loop {
            if let Some(texts) = self.texts.take() {
                let numbers: Vec<u64> = (1..=texts.num_rows() as u64).collect();
                return self
                    .accept("the command line", None, Batch { rows: texts, numbers, bad: Vec::new() })
                    .map(Some);
            }
            if let Some(reader) = &mut self.reader {
                let (name, format) = (reader.name().to_owned(), reader.format());
                if let Some(batch) = reader.next() {
                    let fraction = reader.fraction();
                    self.batches += 1;
                    let number = (format == Format::Arrow).then_some(self.batches);
                    let rows = self.accept(&name, number, batch?)?;
                    self.advance(fraction);
                    return Ok(Some(rows));
                }
                self.reader = None;
            }
            let Some(schema) = self.open_next()? else { return Ok(None) };
            self.check_columns(&schema)?;
        }
    }

    /// The batch's rows that are to be classified. Its bad rows are skipped or an error.
    fn accept(&mut self, name: &str, number: Option<u64>, batch: Batch) -> Result<Rows> {
        let Batch { rows, mut numbers, bad } = batch;
        let last = numbers.last().copied().unwrap_or(0).max(bad.last().map_or(0, |row| row.number));
        self.last_number = self.last_number.max(last);
        let is_ours =
            |number: u64| self.row_shard.is_none_or(|shard| shard.has_row(self.rows_before + number - 1));
        let mut state = self.state.get();
        for row in bad.iter().filter(|row| is_ours(row.number)) {
            self.bad_rows.report(name, row, &mut state.bad)?;
        }
        let rows = match self.row_shard {
            None => rows,
            Some(_) => {
                let ours: BooleanArray = numbers.iter().map(|&number| Some(is_ours(number))).collect();
                numbers.retain(|&number| is_ours(number));
                filter_record_batch(&rows, &ours)?
            }
        };
        state.rows += rows.num_rows() as u64;
        self.state.set(state);
        let place = Place { name: name.into(), batch: number, numbers: numbers.into() };
        let rows = columns_of(&rows, &self.schema)
            .with_context(|| format!("{}: the columns cannot be kept", place.all()))?;
        Ok(Rows { rows, place })
    }

    fn advance(&self, fraction: Option<f64>) {
        let Some(all) = self.bytes.all else { return };
        let current = fraction.unwrap_or(0.0) * self.bytes.current as f64;
        let fraction = Some((self.bytes.before as f64 + current) / (all as f64).max(1.0));
        self.state.set(ReadState { fraction, ..self.state.get() });
    }

    /// Parts may have their columns in another order, but must have the same.
    fn check_columns(&self, schema: &Schema) -> Result<()> {
        let (first, name) =
            (&self.schema, self.reader.as_ref().map_or("the command line", |reader| reader.name()));
        for field in first.fields() {
            let found = schema.field_with_name(field.name()).ok().map(|found| plain_type(found.data_type()));
            let expected = plain_type(field.data_type());
            match found {
                Some(found) if found == expected => {}
                Some(found) => bail!(
                    "{name}: column {:?} is {found}, but {expected} in the first input; expected the same type everywhere",
                    field.name(),
                ),
                None => bail!(
                    "{name}: there is no column {:?}, which the first input has; found {}",
                    field.name(),
                    list(schema)
                ),
            }
        }
        if let Some(other) = schema.fields().iter().find(|field| first.field_with_name(field.name()).is_err())
        {
            bail!("{name}: there is a column {:?}, which the first input does not have", other.name());
        }
        Ok(())
    }
}

impl SharedState {
    /// What was read so far.
    pub fn get(&self) -> ReadState {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: ReadState) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl Place {
    /// The whole batch in words.
    pub fn all(&self) -> String {
        self.in_words(0..self.numbers.len())
    }

    /// Some rows of it, by their position, in words: `standard input, batch 3, rows 17 to 20`.
    pub fn in_words(&self, rows: Range<usize>) -> String {
        let mut words = self.name.to_string();
        if let Some(batch) = self.batch {
            words.push_str(&format!(", batch {batch}"));
        }
        match self.numbers.get(rows).unwrap_or_default() {
            [] => {}
            [one] => words.push_str(&format!(", row {one}")),
            [first, .., last] => words.push_str(&format!(", rows {first} to {last}")),
        }
        words
    }
}

impl Iterator for Input {
    type Item = Result<Rows>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

impl BadRows {
    fn report(self, name: &str, row: &BadRow, count: &mut u64) -> Result<()> {
        ensure!(self == Self::Skip, "{name}: {row}; correct the row, or give --bad-rows skip");
        *count += 1;
        if *count <= SHOWN_BAD_ROWS {
            midashi_stage::errln!("  skipped {name}: {row}");
        } else if *count == SHOWN_BAD_ROWS + 1 {
            midashi_stage::errln!("  skipped rows after that are only counted");
        }
        Ok(())
    }
}

/// The names of columns, for messages.
pub fn list(schema: &Schema) -> impl Display {
    let names: Vec<String> = schema.fields().iter().map(|field| format!("{:?}", field.name())).collect();
    if names.is_empty() { "no columns".to_owned() } else { names.join(", ") }
}

fn size(part: &Part) -> Option<u64> {
    match part {
        Part::Texts(_) => Some(0),
        Part::StandardInput => None,
        Part::File(path, _) => std::fs::metadata(path).ok().map(|metadata| metadata.len()),
    }
}

fn text_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(TEXT_COLUMN, DataType::Utf8, true)]))
}

fn nullable(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| field.as_ref().clone().with_nullable(true);
    let fields: Vec<Field> = schema.fields().iter().map(field).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The columns without dictionaries and without the file's metadata, such as pandas', which describes the columns of the input.
fn plain_schema(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| {
        Field::new(field.name(), plain_type(field.data_type()), true).with_metadata(field.metadata().clone())
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// The type of a column's values.
pub fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => (**values).clone(),
        other => other.clone(),
    }
}

/// The columns of `schema`, by name.
fn columns_of(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let column = |(position, field): (usize, &Arc<Field>)| {
        // Names may occur twice in one input; inputs with other orders have been checked to have the names.
        let same_place = rows.schema_ref().fields().get(position).filter(|at| at.name() == field.name());
        let array = match same_place {
            Some(_) => rows.column(position),
            None => {
                rows.column_by_name(field.name()).ok_or_else(|| anyhow!("no column {:?}", field.name()))?
            }
        };
        if array.data_type() == field.data_type() {
            Ok(array.clone())
        } else {
            Ok(cast(array, field.data_type())?)
        }
    };
    let columns: Result<Vec<ArrayRef>> = schema.fields().iter().enumerate().map(column).collect();
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns?, &options)?)
}

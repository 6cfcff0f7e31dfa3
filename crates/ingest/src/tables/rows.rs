//! The rows of a corpus's tables, in the order of the files, as the texts of the columns that matter.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, SchemaRef};
use midashi_artifacts::Split;
use midashi_table::{BadRow, Column, ColumnNames, Columns, ReadOptions, Reader, Role, Table};

use crate::source::TableFile;
use crate::tables::features::Features;

/// The section of the columns' names in the configuration.
pub const COLUMNS: &str = "corpus.columns";

/// The tables of a corpus.
#[derive(Debug)]
pub struct Tables {
    /// The files.
    pub files: Vec<TableFile>,
    options: ReadOptions,
    /// The names of the columns that the configuration gives.
    pub names: ColumnNames,
    /// The columns of the first file that are read. All files have them.
    pub columns: Columns,
    /// The schema of the first file.
    schema: SchemaRef,
}

/// Some rows of one file.
#[derive(Debug)]
pub struct Part {
    /// The file.
    pub path: PathBuf,
    /// The split of the file, if its name shows one.
    pub split: Option<Split>,
    /// The columns of the rows that were read.
    pub cells: Cells,
    /// The number of each of these rows in its file.
    pub numbers: Vec<u64>,
    /// The number of rows before this file in the same split.
    pub before: u64,
    /// Rows that could not be read.
    pub bad: Vec<BadRow>,
}

/// The texts of the columns that matter.
#[derive(Debug)]
pub struct Cells {
    id: Option<StringArray>,
    title: StringArray,
    body: Option<StringArray>,
    label: StringArray,
    split: Option<StringArray>,
}

/// The rows, as they are read.
pub struct Rows<'t> {
    tables: &'t Tables,
    next_file: usize,
    current: Option<(Reader, Columns)>,
    /// The rows of finished files without a split, and of each split.
    finished: [u64; 1 + Split::ALL.len()],
    last_row: u64,
}

impl Tables {
    /// Opens the first of the tables `files` and finds its columns: those with the names `names`, or with usual names.
    ///
    /// # Errors
    /// When the file cannot be read, or lacks a text or a label.
    pub fn open(files: Vec<TableFile>, options: ReadOptions, names: ColumnNames) -> Result<Self> {
        let first = files.first().context("the corpus has no tables")?;
        let schema = Table::open(&first.path, &options)?.schema();
        let name = || first.path.display().to_string();
        let mut columns = Columns::find(&schema, &names, COLUMNS).with_context(name)?;
        columns.need(Role::Title, &schema, COLUMNS).with_context(name)?;
        columns.need(Role::Label, &schema, COLUMNS).with_context(name)?;
        if first.split.is_some() {
            columns.split = None;
        }
        Ok(Self { files, options, names, columns, schema })
    }

    /// The names of integer labels, if something describes the tables.
    pub fn features(&self) -> Option<Features> {
        Features::of(&self.schema, &self.files.first()?.path, &self.columns.label.as_ref()?.name)
    }

    /// Whether the labels are stored as texts.
    pub fn labels_are_texts(&self) -> bool {
        let label = self.columns.label.as_ref();
        label.is_none_or(|column| !self.schema.field(column.index).data_type().is_numeric())
    }

    /// Starts reading the rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows { tables: self, next_file: 0, current: None, finished: [0; 4], last_row: 0 }
    }

    /// The columns of the file `file` with the schema `schema`: those of the first file, and no others, so that all
    /// rows have the same texts.
    fn columns_of(&self, file: &TableFile, schema: &Schema) -> Result<Columns> {
        let Self { files, columns: first, .. } = self;
        let (name, first_name) = (file.path.display(), files.first().unwrap_or(file).path.display());
        let found = Columns::find(schema, &names_of(first), COLUMNS)
            .with_context(|| format!("{name}: expected the columns of {first_name}"))?;
        if let (None, None, Some(split)) = (file.split, &first.split, &found.split) {
            bail!(
                "{name}: the column {:?} has splits, but {first_name} has no such column; expected it in all files or \
                 in none; add it to the others, or rename it here",
                split.name
            );
        }
        Ok(Columns {
            id: found.id.filter(|_| first.id.is_some()),
            body: found.body.filter(|_| first.body.is_some()),
            split: found.split.filter(|_| first.split.is_some()),
            ..found
        })
    }
}

impl Rows<'_> {
    /// The next rows; none at the end.
    ///
    /// # Errors
    /// When a file cannot be read or lacks a column.
    pub fn next(&mut self) -> Result<Option<Part>> {
        loop {
            let Some((reader, columns)) = &mut self.current else {
                if !self.open_next()? {
                    return Ok(None);
                }
                continue;
            };
            let file = &self.tables.files[self.next_file - 1];
            let Some(batch) = reader.next() else {
                self.finished[slot(file.split)] += std::mem::take(&mut self.last_row);
                self.current = None;
                continue;
            };
            let batch = batch?;
            let cells = Cells::of(&batch.rows, columns).with_context(|| file.path.display().to_string())?;
            let last_bad = batch.bad.last().map_or(0, |bad| bad.number);
            self.last_row = self.last_row.max(last_bad).max(batch.numbers.last().copied().unwrap_or(0));
            return Ok(Some(Part {
                path: file.path.clone(),
                split: file.split,
                cells,
                numbers: batch.numbers,
                before: self.finished[slot(file.split)],
                bad: batch.bad,
            }));
        }
    }

    fn open_next(&mut self) -> Result<bool> {
        let Some(file) = self.tables.files.get(self.next_file) else { return Ok(false) };
        self.next_file += 1;
        let reader = Table::open(&file.path, &self.tables.options)?;
        let columns = self.tables.columns_of(file, &reader.schema())?;
        self.current = Some((reader, columns));
        Ok(true)
    }
}

fn slot(split: Option<Split>) -> usize {
    split.map_or(0, |split| 1 + split as usize)
}

fn names_of(columns: &Columns) -> ColumnNames {
    let name = |column: &Option<Column>| column.as_ref().map(|column| column.name.clone());
    ColumnNames {
        id: name(&columns.id),
        title: name(&columns.title),
        body: name(&columns.body),
        label: name(&columns.label),
        split: name(&columns.split),
    }
}

impl Cells {
    fn of(rows: &RecordBatch, columns: &Columns) -> Result<Self> {
        let optional =
            |column: &Option<Column>| column.as_ref().map(|column| texts(rows, column)).transpose();
        let needed = |column: &Option<Column>| match column {
            Some(column) => texts(rows, column),
            None => bail!("a column is missing"),
        };
        Ok(Self {
            id: optional(&columns.id)?,
            title: needed(&columns.title)?,
            body: optional(&columns.body)?,
            label: needed(&columns.label)?,
            split: optional(&columns.split)?,
        })
    }

    /// The id of a row, if there are ids. A null is an empty text, here and below.
    pub fn id(&self, row: usize) -> Option<&str> {
        self.id.as_ref().map(|column| cell(column, row))
    }

    /// The title of a row.
    pub fn title(&self, row: usize) -> &str {
        cell(&self.title, row)
    }

    /// The body of a row; empty if there are no bodies.
    pub fn body(&self, row: usize) -> &str {
        self.body.as_ref().map_or("", |column| cell(column, row))
    }

    /// The label of a row.
    pub fn label(&self, row: usize) -> &str {
        cell(&self.label, row)
    }

    /// The split of a row, if there is a column of splits.
    pub fn split(&self, row: usize) -> Option<&str> {
        self.split.as_ref().map(|column| cell(column, row))
    }
}

fn cell(column: &StringArray, row: usize) -> &str {
    if column.is_valid(row) { column.value(row) } else { "" }
}

/// A column as texts. Whole numbers that are stored as floating-point numbers, as pandas stores integers with gaps, are
/// written as integers.
fn texts(rows: &RecordBatch, column: &Column) -> Result<StringArray> {
    let array: &ArrayRef = rows.column(column.index);
    let kind = array.data_type();
    let is_float = matches!(kind, DataType::Float16 | DataType::Float32 | DataType::Float64);
    let is_plain = is_float
        || kind.is_integer()
        || matches!(
            kind,
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
        )
        || matches!(kind, DataType::Dictionary(_, values) if values.is_string());
    if !is_plain {
        bail!("the column {:?} is {kind}, expected texts or numbers", column.name);
    }
    if is_float {
        let numbers = cast(array, &DataType::Float64)?;
        let whole =
            |number: f64| if number.fract() == 0.0 { format!("{number:.0}") } else { number.to_string() };
        return Ok(numbers.as_primitive::<Float64Type>().iter().map(|cell| cell.map(whole)).collect());
    }
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

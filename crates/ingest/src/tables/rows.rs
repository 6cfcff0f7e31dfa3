//! The rows of a corpus's tables, in the order of the files, as the texts of the columns that matter.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use midashi_artifacts::Split;
use midashi_table::{BadRow, Column, ColumnNames, Columns, ReadOptions, Reader, Role, Table};

use crate::source::TableFile;

/// The section of the columns' names in the configuration.
pub const COLUMNS: &str = "corpus.columns";

/// The tables of a corpus.
#[derive(Debug)]
pub struct Tables {
    /// The files.
    pub files: Vec<TableFile>,
    /// How they are read.
    pub options: ReadOptions,
    /// The names of the columns that the configuration gives.
    pub names: ColumnNames,
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
    first: Option<(Columns, SchemaRef)>,
    /// The rows of finished files without a split, and of each split.
    finished: [u64; 1 + Split::ALL.len()],
    last_row: u64,
}

impl Tables {
    /// Starts reading the rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows { tables: self, next_file: 0, current: None, first: None, finished: [0; 4], last_row: 0 }
    }
}

impl Rows<'_> {
    /// The columns and the schema of the first file, once a part of it was read.
    pub fn first(&self) -> Option<&(Columns, SchemaRef)> {
        self.first.as_ref()
    }

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

    /// Opens the next file. The columns of the first are expected in the others.
    fn open_next(&mut self) -> Result<bool> {
        let Some(file) = self.tables.files.get(self.next_file) else { return Ok(false) };
        self.next_file += 1;
        let reader = Table::open(&file.path, &self.tables.options)?;
        let schema = reader.schema();
        let name = || file.path.display().to_string();
        let mut columns = match &self.first {
            Some((first, _)) => Columns::find(&schema, &names_of(first), COLUMNS).with_context(|| {
                let first = self.tables.files[0].path.display();
                format!("{}: expected the columns of {first}", name())
            })?,
            None => {
                let columns = Columns::find(&schema, &self.tables.names, COLUMNS).with_context(name)?;
                columns.need(Role::Title, &schema, COLUMNS).with_context(name)?;
                columns.need(Role::Label, &schema, COLUMNS).with_context(name)?;
                columns
            }
        };
        if file.split.is_some() {
            columns.split = None;
        }
        if self.first.is_none() {
            self.first = Some((columns.clone(), schema));
        }
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

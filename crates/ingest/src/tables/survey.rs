//! The first reading of a corpus's tables: label and split of every row, and what is wrong with rows. The texts are not kept,
//! so that a table may be larger than memory.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Context, Result, ensure};
use midashi_artifacts::{MAX_CATEGORIES, Split};

use crate::labels::{LabelId, LabelNames, Labels};
use crate::split_names::{EXPECTED, split_of_name};
use crate::tables::bad_rows::{BadRows, Trouble};
use crate::tables::rows::{Part, Tables};
use crate::texts::article::stripped;

/// What is known of a corpus's rows.
#[derive(Debug)]
pub struct Survey {
    /// The labels.
    pub labels: Labels,
    /// For each row that was read, in order, its use; none if it cannot be used.
    pub rows: Vec<Option<Use>>,
    /// Why ids are made from the rows' numbers although there is a column of ids.
    pub ids_repeat: Option<String>,
    /// Rows that cannot be used.
    pub bad: BadRows,
    /// Bytes of the titles and bodies that are used.
    bytes: u64,
}

/// The use of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Use {
    /// Its label.
    pub label: LabelId,
    /// Its split, if the corpus gives one.
    pub split: Option<Split>,
    /// A digest of its text, to find equal texts.
    pub text: u64,
}

/// The ids that were seen.
struct Ids {
    /// Whether the configuration names the column. A column that was only recognised need not hold ids.
    is_named: bool,
    /// Digests: at a million rows, two ids have the same one with a probability of 3e-8.
    seen: HashSet<u64>,
    repeat: Option<String>,
}

impl Survey {
    /// Reads all rows. `names` are the names that labels must have, `most_bytes` bounds the texts.
    ///
    /// # Errors
    /// When a table cannot be read, its texts are more than the bound, or its labels are no categories.
    pub fn of(tables: &Tables, names: Option<LabelNames>, most_bytes: u64) -> Result<Self> {
        let mut rows = tables.rows();
        let mut part =
            rows.next()?.context("the table has no rows; expected a text and a label in each row")?;
        let mut survey = Self {
            labels: Labels::new(names),
            rows: Vec::new(),
            ids_repeat: None,
            bad: BadRows::default(),
            bytes: 0,
        };
        let mut ids = Ids { is_named: tables.names.id.is_some(), seen: HashSet::new(), repeat: None };
        loop {
            survey.add(tables, &part, &mut ids)?;
            ensure!(
                survey.bytes <= most_bytes,
                "{}: up to row {}, the texts have {} bytes, expected at most {most_bytes}; later stages hold them in memory; \
                 leave rows or a column of bodies out, or raise corpus.limits.total_bytes",
                part.path.display(),
                part.numbers.last().copied().unwrap_or_default(),
                survey.bytes
            );
            match rows.next()? {
                Some(next) => part = next,
                None => break,
            }
        }
        survey.ids_repeat = ids.repeat;
        Ok(survey)
    }

    fn add(&mut self, tables: &Tables, part: &Part, ids: &mut Ids) -> Result<()> {
        for bad in &part.bad {
            let place = match bad.line {
                Some(line) => format!("row {} (line {line})", bad.number),
                None => format!("row {}", bad.number),
            };
            self.bad.add(&part.path, &place, Trouble::Unreadable, bad.reason.clone());
        }
        for (row, number) in part.numbers.iter().enumerate() {
            match self.use_of(tables, part, row, ids) {
                Ok(found) => self.rows.push(Some(found)),
                Err((trouble, reason)) => {
                    self.rows.push(None);
                    self.bad.add(&part.path, &format!("row {number}"), trouble, reason);
                }
            }
        }
        let label = tables.columns.label.as_ref().map_or("", |column| &column.name);
        ensure!(
            !self.labels.are_too_many(),
            "{}: the column {label:?} has more than {MAX_CATEGORIES} different labels; expected categories; set \
             corpus.columns.label to the column that has them",
            part.path.display()
        );
        Ok(())
    }

    fn use_of(
        &mut self,
        tables: &Tables,
        part: &Part,
        row: usize,
        ids: &mut Ids,
    ) -> Result<Use, (Trouble, String)> {
        let (title, body) = (stripped_of_marks(part.cells.title(row)), part.cells.body(row));
        if title.is_empty() {
            let name = tables.columns.title.as_ref().map_or("", |column| &column.name);
            return Err((Trouble::EmptyText, format!("the text, column {name:?}, is empty")));
        }
        let cell = part.cells.label(row);
        let label = self.labels.of(cell).map_err(|reason| {
            let is_missing = cell.trim().is_empty() || cell.trim() == "-1";
            (if is_missing { Trouble::EmptyLabel } else { Trouble::UnknownLabel }, reason)
        })?;
        let split = match (part.split, part.cells.split(row)) {
            (Some(split), _) => Some(split),
            (None, Some(name)) => Some(split_of_name(name).ok_or_else(|| {
                (Trouble::UnknownSplit, format!("the split is {name:?}; expected {EXPECTED}"))
            })?),
            (None, None) => None,
        };
        if let Some(id) = part.cells.id(row) {
            ids.check(id).map_err(|reason| (Trouble::BadId, reason))?;
        }
        self.bytes = self.bytes.saturating_add((title.len() + body.len()) as u64);
        Ok(Use { label, split, text: digest(&(title, body)) })
    }

    /// The number of test texts that are also training texts, for rows that are used with these splits.
    pub fn equal_texts(&self, splits: &[Split]) -> usize {
        let texts = || self.rows.iter().flatten().map(|row| row.text).zip(splits);
        let in_split = |split| texts().filter(move |(_, found)| **found == split).map(|(text, _)| text);
        let training: HashSet<u64> = in_split(Split::Train).collect();
        in_split(Split::Test).filter(|text| training.contains(text)).count()
    }
}

impl Ids {
    /// Checks that an id is there and new.
    fn check(&mut self, id: &str) -> Result<(), String> {
        if self.repeat.is_some() {
            return Ok(());
        }
        let reason = if id.is_empty() {
            "the id is empty".to_owned()
        } else if !self.seen.insert(digest(&id)) {
            format!("the id {id:?} occurs twice")
        } else {
            return Ok(());
        };
        if self.is_named {
            return Err(reason);
        }
        self.repeat = Some(reason);
        self.seen = HashSet::new();
        Ok(())
    }
}

/// A title without white space and byte order marks around it. Those that it has inside change no emptiness.
fn stripped_of_marks(title: &str) -> &str {
    stripped(title.trim_start_matches('\u{feff}'))
}

fn digest(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

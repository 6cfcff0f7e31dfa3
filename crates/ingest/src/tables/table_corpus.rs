//! A corpus from tables: surveyed first, then read again and written row by row.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Result, ensure};
use midashi_artifacts::{Article, CategoryId, Corpus, Split};
use midashi_config::{BadFiles, SplitShares};
use midashi_stage::Provenance;

use crate::labels::{Categories, LabelNames};
use crate::split::{complete, divide};
use crate::tables::rows::{Part, Tables};
use crate::tables::survey::Survey;
use crate::texts::article::{stripped, stripped_at_end};

/// A corpus whose tables were surveyed.
#[derive(Debug)]
pub struct TableCorpus {
    /// The tables.
    pub tables: Tables,
    /// What is known of their rows.
    pub survey: Survey,
    /// The categories.
    pub categories: Categories,
    /// The category of each row that is used.
    pub category_of: Vec<CategoryId>,
    /// The split of each row that is used.
    pub split_of: Vec<Split>,
    /// Whether the corpus gives splits.
    pub has_splits: bool,
    /// The splits that were made from the training texts although the corpus gives others.
    pub made: Vec<Split>,
}

impl TableCorpus {
    /// Surveys the tables and splits their rows.
    ///
    /// # Errors
    /// When a table cannot be read, when a row cannot be used and `bad_rows` is `error`, or when there are fewer than two
    /// categories.
    pub fn of(
        tables: Tables,
        expected: Option<LabelNames>,
        bad_rows: BadFiles,
        shares: &SplitShares,
    ) -> Result<Self> {
        let survey = Survey::of(&tables, expected)?;
        survey.bad.check(bad_rows)?;
        let categories = survey.labels.categories()?;
        let used = || survey.rows.iter().flatten();
        let category_of: Vec<CategoryId> =
            used().map(|row| categories.of_label[usize::from(row.label.0)]).collect();
        // A table either has a column of splits or not, and the same holds for files.
        let given: Option<Vec<Split>> = used().map(|row| row.split).collect();
        let given = given.filter(|splits| splits.iter().any(|split| *split != Split::Train));
        let (split_of, made) = match &given {
            Some(given) => complete(given, &category_of, &categories.names, shares)?,
            None => (divide(&category_of, &categories.names, shares)?, Vec::new()),
        };
        Ok(Self { tables, survey, categories, category_of, split_of, has_splits: given.is_some(), made })
    }

    /// Reads the tables again and writes `corpus.parquet`.
    ///
    /// # Errors
    /// When a table has changed in between, or a file cannot be read or written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let mut rows = self.tables.rows();
        let (mut read, mut used) = (0, 0);
        Corpus::write_parts::<anyhow::Error>(path, &self.categories.names, provenance, || {
            let Some(part) = rows.next()? else {
                ensure!(
                    read == self.survey.rows.len(),
                    "the corpus was changed while it was read; run again"
                );
                return Ok(None);
            };
            let mut articles = Vec::with_capacity(part.numbers.len());
            for row in 0..part.numbers.len() {
                let is_used = self.survey.rows.get(read).is_some_and(Option::is_some);
                read += 1;
                if is_used {
                    articles.push(self.article(&part, row, used));
                    used += 1;
                }
            }
            Ok(Some(articles))
        })
    }

    /// The article of a row of a part, the row `used` among those that are used.
    fn article(&self, part: &Part, row: usize, used: usize) -> Article {
        let id = part.cells.id(row).filter(|_| self.survey.ids_repeat.is_none());
        Article {
            id: id.map_or_else(|| id_of_number(part, row), str::to_owned),
            category: self.category_of[used],
            url: None,
            published_at: None,
            title: stripped(&with_line_feeds(part.cells.title(row))).to_owned(),
            body: stripped_at_end(&with_line_feeds(part.cells.body(row))).to_owned(),
            split: self.split_of[used],
        }
    }
}

/// The number of the row, after the split if that is the file's: the row 7 of `test.csv` is `test-7`. Shards are counted
/// together.
fn id_of_number(part: &Part, row: usize) -> String {
    let number = part.before + part.numbers[row];
    match part.split {
        Some(split) => format!("{}-{number}", split.name()),
        None => number.to_string(),
    }
}

/// A text whose lines end as those of a text file that was read.
fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

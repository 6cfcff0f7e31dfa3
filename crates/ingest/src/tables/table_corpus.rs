//! A corpus from tables: surveyed first, then read again and written row by row.

use std::path::Path;

use anyhow::{Result, ensure};
use midashi_artifacts::{Article, CategoryId, Corpus, Split};
use midashi_stage::Provenance;
use midashi_text::cleaned;

use crate::labels::Categories;
use crate::settings::Settings;
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
    /// When a table cannot be read, when a row cannot be used and `bad_files` is `error`, or when there are fewer than two
    /// categories.
    pub fn of(tables: Tables, settings: &Settings) -> Result<Self> {
        let shares = &settings.split;
        let names = settings.label_names(tables.labels_are_texts());
        let survey = Survey::of(&tables, names, settings.limits.total_bytes)?;
        survey.bad.check(settings.bad_files)?;
        let categories = survey.labels.categories()?;
        let used = || survey.rows.iter().flatten();
        let category_of: Vec<CategoryId> =
            used().map(|row| categories.of_label[usize::from(row.label.0)]).collect();
        // Either all rows have a split or none has.
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
            title: stripped(&cleaned(part.cells.title(row))).to_owned(),
            body: stripped_at_end(&cleaned(part.cells.body(row))).to_owned(),
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

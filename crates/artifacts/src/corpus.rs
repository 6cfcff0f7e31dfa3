//! `corpus.parquet`: one row per article.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampMillisecondType};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::columns::{categories, category_type, column, read_categories, string_column, strings};
use crate::files::{bad_artifact, read_columns, with_metadata, write_parquet};
use midashi_stage::Provenance;

/// Index of a category in its corpus's list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryId(pub u16);

/// What an article is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// The model learns from it.
    Train,
    /// Watched while learning, never learned from.
    Validation,
    /// Looked at once, at the end.
    Test,
}

/// A moment with the offset from UTC that its author wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Offset from UTC in seconds, east positive.
    pub offset_seconds: i32,
}

/// One article.
#[derive(Clone, Debug, PartialEq)]
pub struct Article {
    /// File name without `.txt`; unique in a corpus.
    pub id: String,
    /// Its category.
    pub category: CategoryId,
    /// Where it was published, if the layout says so.
    pub url: Option<String>,
    /// When it was published, if the layout says so.
    pub published_at: Option<Timestamp>,
    /// The headline.
    pub title: String,
    /// The text below it, lines kept.
    pub body: String,
    /// What it is used for.
    pub split: Split,
}

/// All articles and the names of their categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// Category names; a [`CategoryId`] is an index into them.
    pub categories: Vec<String>,
    /// The articles, sorted by category and id; with `compat.article` in random order.
    pub articles: Vec<Article>,
}

impl CategoryId {
    /// As an index into the list of names.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl Split {
    /// All splits, in the order of their dictionary.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The name in the artifacts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// A column of splits.
pub(crate) fn split_column(splits: impl Iterator<Item = Split>) -> arrow::array::ArrayRef {
    categories(splits.map(|split| split as u16), &Split::ALL.map(Split::name))
}

pub(crate) fn read_splits(batch: &RecordBatch) -> Result<Vec<Split>, String> {
    let (keys, names) = read_categories(batch, "split")?;
    let splits = names
        .iter()
        .map(|name| {
            let known = Split::ALL.into_iter().find(|split| split.name() == name);
            known.ok_or_else(|| format!("column split holds {name:?}, expected train, validation or test"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(keys.into_iter().map(|key| splits[usize::from(key)]).collect())
}

impl Corpus {
    /// Writes `corpus.parquet`.
    ///
    /// `published_at` is a timestamp in the zone that all articles share, else in UTC. It counts
    /// milliseconds because Parquet has no timestamp of seconds: pandas and DuckDB would see integers.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let rows = &self.articles;
        let zone = zone_name(shared_offset(rows).unwrap_or(0));
        let published = TimestampMillisecondArray::from_iter(
            rows.iter().map(|article| article.published_at.map(|time| time.seconds * 1000)),
        )
        .with_timezone(zone.as_str());
        let schema = Schema::new(vec![
            Field::new("id", DataType::Utf8, false),
            Field::new("category", category_type(), false),
            Field::new("url", DataType::Utf8, true),
            Field::new("published_at", DataType::Timestamp(TimeUnit::Millisecond, Some(zone.into())), true),
            Field::new("title", DataType::Utf8, false),
            Field::new("body", DataType::Utf8, false),
            Field::new("split", category_type(), false),
        ]);
        let urls = arrow::array::StringArray::from_iter(rows.iter().map(|article| article.url.as_deref()));
        let batch = RecordBatch::try_new(
            with_metadata(schema, provenance, &[("midashi.categories", json_list(&self.categories))]),
            vec![
                string_column(rows.iter().map(|article| &article.id)),
                categories(rows.iter().map(|article| article.category.0), &self.categories),
                Arc::new(urls),
                Arc::new(published),
                string_column(rows.iter().map(|article| &article.title)),
                string_column(rows.iter().map(|article| &article.body)),
                split_column(rows.iter().map(|article| article.split)),
            ],
        )
        .map_err(crate::Error::encode(path))?;
        write_parquet(path, &batch)
    }

    /// Reads `corpus.parquet`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`Corpus::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        Self::read_columns(path, |_| true)
    }

    /// Reads `corpus.parquet` and leaves every body empty: bodies are nearly all of the file.
    ///
    /// # Errors
    /// As [`Corpus::read`].
    pub fn read_without_bodies(path: &Path) -> Result<Self> {
        Self::read_columns(path, |column| column != "body")
    }

    fn read_columns(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        const STAGE: &str = "ingest";
        let batch = read_columns(path, STAGE, &wanted)?;
        Self::from_batch(&batch, wanted("body")).map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    fn from_batch(batch: &RecordBatch, with_bodies: bool) -> Result<Self, String> {
        let (keys, names) = read_categories(batch, "category")?;
        let categories = read_names(batch, "midashi.categories")?;
        let ids = names
            .iter()
            .map(|name| categories.iter().position(|known| known == name).map(|at| CategoryId(at as u16)))
            .collect::<Option<Vec<_>>>()
            .ok_or("a category is not in the list of the metadata")?;
        let published = column(batch, "published_at")?;
        let published = published
            .as_primitive_opt::<TimestampMillisecondType>()
            .ok_or_else(|| format!("column published_at is {}", published.data_type()))?;
        let offset_seconds = published.timezone().and_then(parse_zone).unwrap_or(0);
        let (id, url) = (strings(batch, "id")?, strings(batch, "url")?);
        let title = strings(batch, "title")?;
        let body = with_bodies.then(|| strings(batch, "body")).transpose()?;
        let splits = read_splits(batch)?;
        let articles = (0..batch.num_rows())
            .map(|row| Article {
                id: id.value(row).to_owned(),
                category: ids[usize::from(keys[row])],
                url: url.is_valid(row).then(|| url.value(row).to_owned()),
                published_at: published
                    .is_valid(row)
                    .then(|| Timestamp { seconds: published.value(row).div_euclid(1000), offset_seconds }),
                title: title.value(row).to_owned(),
                body: body.map_or_else(String::new, |body| body.value(row).to_owned()),
                split: splits[row],
            })
            .collect();
        Ok(Self { categories, articles })
    }
}

/// Category names are kept in the metadata too: a dictionary keeps only the names that occur.
pub(crate) fn json_list(names: &[String]) -> String {
    serde_json::json!(names).to_string()
}

pub(crate) fn read_names(batch: &RecordBatch, key: &str) -> Result<Vec<String>, String> {
    let text = batch.schema_ref().metadata().get(key).ok_or_else(|| format!("the metadata has no {key}"))?;
    serde_json::from_str(text).map_err(|error| format!("metadata {key}: {error}"))
}

fn shared_offset(articles: &[Article]) -> Option<i32> {
    let mut offsets =
        articles.iter().filter_map(|article| article.published_at).map(|time| time.offset_seconds);
    let first = offsets.next()?;
    offsets.all(|offset| offset == first).then_some(first)
}

/// `+09:00`, the fixed-offset form of an Arrow time zone.
fn zone_name(offset_seconds: i32) -> String {
    let minutes = offset_seconds.abs() / 60;
    let sign = if offset_seconds < 0 { '-' } else { '+' };
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

fn parse_zone(name: &str) -> Option<i32> {
    let sign = if name.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = name.get(1..)?.split_once(':')?;
    Some(sign * (hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(id: &str, category: u16, offset_seconds: i32, split: Split) -> Article {
        Article {
            id: id.into(),
            category: CategoryId(category),
            url: None,
            published_at: Some(Timestamp { seconds: 1_336_092_900, offset_seconds }),
            title: "見出し「〜」😀".into(),
            body: "一行目\n二行目".into(),
            split,
        }
    }

    #[test]
    fn a_corpus_reads_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.parquet");
        let mut corpus = Corpus {
            categories: vec!["a".into(), "unused".into(), "c".into()],
            articles: vec![article("1", 2, 32400, Split::Test), article("2", 0, 32400, Split::Train)],
        };
        corpus.articles[1].published_at = None;
        corpus.articles[1].url = Some("http://example.org/".into());
        let provenance = Provenance(vec![("midashi.stage".into(), "ingest".into())]);
        corpus.write(&path, &provenance).unwrap();
        assert_eq!(Corpus::read(&path).unwrap(), corpus);
        let mut without = corpus.clone();
        without.articles.iter_mut().for_each(|article| article.body.clear());
        assert_eq!(Corpus::read_without_bodies(&path).unwrap(), without);
        let first = std::fs::read(&path).unwrap();
        corpus.write(&path, &provenance).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "the same rows are the same bytes");
    }

    #[test]
    fn a_broken_file_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.parquet");
        std::fs::write(&path, "not parquet").unwrap();
        let message = Corpus::read(&path).unwrap_err().to_string();
        assert!(
            message.contains("corpus.parquet") && message.contains("run `make ingest` again"),
            "{message}"
        );
    }
}

//! `corpus.parquet`: one row per article.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use midashi_stage::Provenance;

use crate::category::{CategoryId, Split};
use crate::column::{Cell, Row, row};
use crate::error::{Error, Result};
use crate::files::{
    categories_entry, read_categories, read_columns, read_parquet, write_parquet, write_parquet_parts,
};

const STAGE: &str = "ingest";

/// A moment with the offset from UTC that its author wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Offset from UTC in seconds, east positive.
    pub offset_seconds: i32,
}

row! {
    /// One article.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Article {
        /// File name without `.txt`, or the id of a table's row; unique in a corpus.
        pub id: String,
        /// Its category.
        pub category: CategoryId,
        /// URL of its publication, if the layout has one.
        pub url: Option<String>,
        /// Time of its publication, if the layout has one.
        pub published_at: Option<Timestamp>,
        /// The headline.
        pub title: String,
        /// The text below it, with its lines.
        pub body: String,
        /// Its split.
        pub split: Split,
    }
}

/// All articles and the names of their categories.
#[derive(Clone, Debug, PartialEq)]
pub struct Corpus {
    /// Category names; a [`CategoryId`] is an index into them.
    pub categories: Vec<String>,
    /// The articles, sorted by category and id, or in the order of a table; with `compat.article` in random order.
    pub articles: Vec<Article>,
}

impl Corpus {
    /// Writes `corpus.parquet`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let columns = Article::columns(self.articles.iter(), &self.categories);
        write_parquet(path, columns, provenance, &[categories_entry(&self.categories)])
    }

    /// Writes `corpus.parquet` with articles that come in parts: `next` returns them until there is none. Memory does not
    /// grow with the number of articles. They have no URL and no time of publication, as the rows of a table.
    ///
    /// # Errors
    /// When `next` fails or the file cannot be written.
    pub fn write_parts<E: From<Error> + From<midashi_stage::Error>>(
        path: &Path,
        categories: &[String],
        provenance: &Provenance,
        mut next: impl FnMut() -> Result<Option<Vec<Article>>, E>,
    ) -> Result<(), E> {
        let columns = |articles: &[Article]| Article::columns(articles.iter(), categories);
        let first = columns(&[]);
        write_parquet_parts(path, first, provenance, &[categories_entry(categories)], || {
            Ok(next()?.map(|articles| columns(&articles)))
        })
    }

    /// Reads `corpus.parquet`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        read_parquet(path, STAGE, |batch| Self::from_batch(batch, read_categories(batch)?))
    }

    /// Reads `corpus.parquet` and leaves every body empty: bodies are nearly all of the file.
    ///
    /// # Errors
    /// As [`Corpus::read`].
    pub fn read_without_bodies(path: &Path) -> Result<Self> {
        read_columns(
            path,
            STAGE,
            |column| column != "body",
            |batch| {
                let bodies: ArrayRef = Arc::new(StringArray::from(vec![""; batch.num_rows()]));
                let fields = batch.schema_ref().fields().iter().map(|field| field.name().as_str());
                let columns = fields.zip(batch.columns().iter().cloned()).chain([("body", bodies)]);
                let with_bodies = RecordBatch::try_from_iter(columns).map_err(|error| error.to_string())?;
                Self::from_batch(&with_bodies, read_categories(batch)?)
            },
        )
    }

    fn from_batch(batch: &RecordBatch, categories: Vec<String>) -> Result<Self, String> {
        Ok(Self { articles: Article::read(batch, &categories)?, categories })
    }
}

/// A timestamp in the zone that all cells share, else in UTC. It counts milliseconds because Parquet has no
/// timestamp of seconds: pandas and DuckDB would see integers.
impl Cell for Option<Timestamp> {
    const EXPECTED: &'static str = "a timestamp in milliseconds";
    const NULLABLE: bool = true;

    fn write<'a>(cells: impl Iterator<Item = &'a Self> + Clone, _: &[String]) -> ArrayRef {
        let mut offsets = cells.clone().flatten().map(|time| time.offset_seconds);
        let first = offsets.next().unwrap_or(0);
        let shared = if offsets.all(|offset| offset == first) { first } else { 0 };
        let milliseconds = cells.map(|cell| cell.map(|time| time.seconds * 1000));
        Arc::new(TimestampMillisecondArray::from_iter(milliseconds).with_timezone(zone_name(shared)))
    }

    fn read(column: &ArrayRef, _: &[String]) -> Option<Vec<Self>> {
        let times = column.as_primitive_opt::<TimestampMillisecondType>()?;
        let offset_seconds = times.timezone().and_then(parse_zone).unwrap_or(0);
        let time = |time: i64| Timestamp { seconds: time.div_euclid(1000), offset_seconds };
        Some(times.iter().map(|cell| cell.map(time)).collect())
    }
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
    fn articles_in_parts_are_the_same_rows_as_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let categories = ["a", "unused", "c"].map(str::to_owned).to_vec();
        let articles: Vec<Article> = (0..3000_u16)
            .map(|at| Article { published_at: None, ..article(&at.to_string(), at % 2 * 2, 0, Split::Train) })
            .collect();
        let provenance = Provenance(vec![("midashi.stage".into(), "ingest".into())]);
        let corpus = Corpus { categories, articles };
        let [whole, parts] = ["whole", "parts"].map(|name| folder.path().join(name));
        corpus.write(&whole, &provenance).unwrap();
        let mut chunks = corpus.articles.chunks(1024);
        Corpus::write_parts::<Error>(&parts, &corpus.categories, &provenance, || {
            Ok(chunks.next().map(<[_]>::to_vec))
        })
        .unwrap();
        assert_eq!(Corpus::read(&parts).unwrap(), corpus);
        assert_eq!(std::fs::read(&parts).unwrap(), std::fs::read(&whole).unwrap());
    }

    #[test]
    fn a_broken_file_is_named_with_the_command_that_remakes_it() {
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

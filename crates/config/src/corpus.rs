//! Section `[corpus]`: the texts and their splits.

use serde::{Deserialize, Serialize};

use crate::limits::CorpusLimits;
use crate::source::Source;

/// Where the texts are, how they are read and how they are split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Corpus {
    /// Path or URL of a table (CSV, TSV, JSON Lines, Parquet, Arrow IPC, also with `.gz` or `.zst`) or an archive of texts
    /// (`.tar.gz`, `.tar.zst`, `.tar`, `.zip`); path of a folder with one sub-folder per category, or with tables or category
    /// folders for each split; `hf://datasets/owner/name[@revision][/path]`.
    pub source: Source,
    /// Expected SHA-256 of a downloaded file; empty if it is not known.
    pub sha256: String,
    /// Layout of a text file of a folder or an archive.
    pub layout: Layout,
    /// Treatment of a file that cannot be read as an article, and of a row of a table that cannot be used.
    pub bad_files: BadFiles,
    /// Encoding of a CSV, TSV or JSON Lines file that is not UTF-8, such as `shift_jis` or `utf-16le`; empty is UTF-8, which is
    /// checked.
    pub encoding: String,
    /// The character between the fields of CSV; empty recognises `,`, `;`, `|` and the tab.
    pub delimiter: String,
    /// Names of the categories. A table's labels 0, 1, … are numbers in this list; labels that are texts must be in it. Empty
    /// takes the names from the dataset's features, or the labels themselves.
    pub labels: Vec<String>,
    /// Columns of a table.
    pub columns: CorpusColumns,
    /// Bounds of what is read.
    pub limits: CorpusLimits,
    /// Part of an article that the model reads. `ingest` stores the whole article; `tokenize` selects.
    pub text: TextChoice,
    /// Sizes of the splits.
    pub split: SplitShares,
}

/// Names of a table's columns. An empty name is recognised among the usual ones, such as `text`, `title`, `label` and
/// `category`; `ingest` prints which column is which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CorpusColumns {
    /// A unique name for each row; without such a column, rows are named by their numbers.
    pub id: String,
    /// The title, or the only text.
    pub title: String,
    /// The text below the title.
    pub body: String,
    /// The category: a text, or a number (see `corpus.labels`).
    pub label: String,
    /// The split: `train`, `validation` (or `valid`, `val`, `dev`) or `test`.
    pub split: String,
}

/// Layout of a text file of the corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Line 1 is the URL, line 2 the date, line 3 the title, then the body (livedoor news corpus).
    #[default]
    Livedoor,
    /// Line 1 is the title, then the body.
    TitleFirst,
}

/// Treatment of a file that cannot be read as an article.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadFiles {
    /// Stop and name the file or row.
    #[default]
    Error,
    /// Skip the file or row, count it and list it.
    Skip,
}

/// Part of an article that the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextChoice {
    /// The headline.
    #[default]
    Title,
    /// The text below it.
    Body,
    /// Both as a pair of texts, of which the body is truncated.
    #[serde(rename = "title+body")]
    TitleAndBody,
}

/// Shares of all articles; the rest is for training. A split that the corpus gives is kept, and only a missing one is taken
/// from the training texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitShares {
    /// Share of the test split, in [0, 1).
    pub test: f64,
    /// Share of the validation split, in [0, 1).
    pub validation: f64,
    /// Whether each category is split in these shares separately.
    pub stratified: bool,
    /// Seed of the shuffle, from 0 to 2⁶⁴ − 1; above 2⁶³ − 1 in quotes.
    #[serde(with = "crate::seed")]
    pub seed: u64,
}

impl Default for SplitShares {
    fn default() -> Self {
        Self { test: 0.2, validation: 0.0, stratified: false, seed: 0 }
    }
}

impl TextChoice {
    /// Whether the model reads the title.
    pub fn has_title(self) -> bool {
        self != Self::Body
    }

    /// Whether the model reads the body.
    pub fn has_body(self) -> bool {
        self != Self::Title
    }
}

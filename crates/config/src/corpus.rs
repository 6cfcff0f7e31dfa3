//! Section `[corpus]`: the texts and their splits.

use serde::{Deserialize, Serialize};

/// Where the texts are, how they are read and how they are split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Corpus {
    /// URL of a `.tar.gz`, path of one, or path of a folder with one sub-folder per category.
    pub source: String,
    /// Expected SHA-256 of a downloaded archive; empty if it is not known.
    pub sha256: String,
    /// Layout of a text file.
    pub layout: Layout,
    /// Treatment of a file that cannot be read as an article.
    pub bad_files: BadFiles,
    /// Part of an article that the model reads. `ingest` stores the whole article; `tokenize` selects.
    pub text: TextChoice,
    /// Sizes of the splits.
    pub split: SplitShares,
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
    /// Stop and name the file.
    #[default]
    Error,
    /// Skip the file, count it and list it.
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

/// Shares of all articles; the rest is for training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitShares {
    /// Share of the test split, in [0, 1).
    pub test: f64,
    /// Share of the validation split, in [0, 1).
    pub validation: f64,
    /// Whether each category is split in these shares separately.
    pub stratified: bool,
    /// Seed of the shuffle.
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

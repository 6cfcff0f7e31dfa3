//! What the report says, as one value without a word of HTML.
//!
//! [`Report::of`] is a pure function of the artifacts, and its result serialises: how it looks is
//! the templates' business, and another presentation can start from the same value. Its parts are
//! the [`crate::sections`].

use midashi_artifacts::Metrics;
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::explorer::Explorer;
use crate::gallery::Gallery;
use crate::sections::classification::{Comparison, PublishedResult};
use crate::sections::confusion::{ConfusionRow, confusion};
use crate::sections::duplicates::NearDuplicates;
use crate::sections::errors::Errors;
use crate::sections::faithfulness::Faithfulness;
use crate::sections::lengths::Lengths;
use crate::sections::training::Training;
use crate::sections::words::Words;
use crate::summary::Summary;

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `render.title`.
    pub title: String,
    /// `run.name`.
    pub run: String,
    /// Everything needed to repeat the run.
    pub summary: Summary,
    /// Accuracy and its relatives.
    pub metrics: Metrics,
    /// Whether the linear baseline differs by more than chance.
    pub comparison: Option<Comparison>,
    /// The published article's figures, when the corpus has its categories.
    pub published: Option<PublishedResult>,
    /// The course of the training.
    pub training: Training,
    /// How long the texts are.
    pub lengths: Lengths,
    /// The confusion matrix with the shares of its rows.
    pub confusion: Vec<ConfusionRow>,
    /// What the model is sure of and wrong about.
    pub errors: Errors,
    /// Titles of the test split that the training split has almost the same.
    pub duplicates: NearDuplicates,
    /// Whether the explanations say what the answers rest on, where that was measured.
    pub faithfulness: Option<Faithfulness>,
    /// The words that pull most towards each category, where texts were explained.
    pub words: Option<Words>,
    /// What the model attended to, for a page without a script.
    pub gallery: Gallery,
    /// Every test text. Written as data for the page's script, not by the template.
    #[serde(skip)]
    pub explorer: Explorer,
}

impl Report {
    /// Puts the artifacts of the run `run`, made by `configuration`, together.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(title: &str, run: &str, configuration: &str, artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { record, corpus, tokens, training, metrics, .. } = artifacts;
        Ok(Self {
            title: title.to_owned(),
            run: run.to_owned(),
            summary: Summary::of(record, corpus, tokens, configuration),
            metrics: metrics.clone(),
            comparison: Comparison::of(metrics),
            published: PublishedResult::beside(metrics, corpus.articles.len() as u64),
            training: Training::of(training),
            lengths: Lengths::of(&tokens.texts, record),
            confusion: confusion(metrics)?,
            errors: Errors::of(artifacts)?,
            duplicates: NearDuplicates::of(artifacts)?,
            faithfulness: metrics.faithfulness.as_ref().map(Faithfulness::of),
            words: Words::of(artifacts)?,
            explorer: Explorer::of(artifacts)?,
            gallery: Gallery::of(artifacts)?,
        })
    }
}

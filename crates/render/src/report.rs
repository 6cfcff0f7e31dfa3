//! What the report says, as one value without a word of HTML.
//!
//! [`Report::of`] is a pure function of the artifacts, and its result serialises: how it looks is
//! the templates' business, and another presentation can start from the same value.

use anyhow::ensure;
use midashi_pipeline::artifact::{Metrics, Split, StepRow, TokenizedText};
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::explorer::Explorer;
use crate::gallery::Gallery;
use crate::summary::{self, Fact, StageSummary};

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `render.title`.
    pub title: String,
    /// `run.name`.
    pub run: String,
    /// Data, model and hyperparameters.
    pub facts: Vec<Fact>,
    /// Each stage's cost and records.
    pub stages: Vec<StageSummary>,
    /// Accuracy and its relatives.
    pub metrics: Metrics,
    /// Whether the linear baseline differs by more than chance, in a sentence.
    pub comparison: Option<String>,
    /// The published article's figures, when the corpus has its categories.
    pub published: Option<PublishedResult>,
    /// The loss while training.
    pub training: Training,
    /// How long the texts are.
    pub lengths: Lengths,
    /// The confusion matrix with the shares of its rows.
    pub confusion: Vec<ConfusionRow>,
    /// What the model attended to, for a page without a script.
    pub gallery: Gallery,
    /// Every test text. Written as data for the page's script, not by the template.
    #[serde(skip)]
    pub explorer: Explorer,
}

/// What the published article reports of its own run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PublishedResult {
    /// Share of its test rows classified rightly, to two digits.
    pub accuracy: f64,
    /// Mean F1 of the categories, to two digits.
    pub macro_f1: f64,
    /// Its test rows, drawn from articles and licence files.
    pub test_rows: u64,
    /// Articles in its corpus; licence files are counted where this run counts them.
    pub articles: u64,
    /// Whether this run's corpus has as many.
    pub same_corpus: bool,
    /// This run's articles.
    pub own_articles: u64,
}

/// The loss while training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Training {
    /// One per optimiser step.
    pub steps: Vec<StepLoss>,
    /// One per epoch.
    pub epochs: Vec<Epoch>,
}

/// One optimiser step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StepLoss {
    /// Counted from 1 over all epochs.
    pub step: i64,
    /// Mean cross-entropy per text, in nats.
    pub loss: f64,
}

/// One epoch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: i64,
    /// Its first step.
    pub first_step: i64,
    /// Its last step.
    pub last_step: i64,
    /// Sum of its steps' losses, which is what the article prints.
    pub summed_loss: f64,
    /// Mean cross-entropy per training text, in nats.
    pub mean_loss: f64,
    /// Share of training texts classified rightly while learning.
    pub accuracy: f64,
    /// After the epoch, on the validation split.
    pub validation: Option<Validation>,
}

/// The validation split after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Validation {
    /// Mean cross-entropy per text, in nats.
    pub loss: f64,
    /// Share classified rightly.
    pub accuracy: f64,
}

/// Lengths of all texts in tokens, special tokens included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Number of texts.
    pub texts: usize,
    /// Mean length.
    pub mean: f64,
    /// Half of the texts are no longer.
    pub median: usize,
    /// 95 % of the texts are no longer.
    pub percentile_95: usize,
    /// The longest.
    pub longest: usize,
    /// Side by side, from the shortest to the longest.
    pub bins: Vec<Bin>,
}

/// Texts of `first..=last` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Least length.
    pub first: usize,
    /// Greatest length.
    pub last: usize,
    /// How many texts.
    pub texts: usize,
}

/// The texts of one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfusionRow {
    /// The true category.
    pub label: String,
    /// What they were classified as, one per category.
    pub cells: Vec<ConfusionCell>,
}

/// The texts of one category that were classified as one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfusionCell {
    /// The category they were classified as.
    pub predicted: String,
    /// How many.
    pub texts: u64,
    /// Their share of the true category's texts; 0 when it has none.
    pub share: f64,
    /// Whether they were classified rightly.
    pub correct: bool,
}

impl Report {
    /// Puts the artifacts of the run `run` together.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(title: &str, run: &str, artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { record, corpus, tokens, training, metrics, .. } = artifacts;
        Ok(Self {
            title: title.to_owned(),
            run: run.to_owned(),
            facts: summary::facts(record, corpus, tokens),
            stages: summary::stages(record),
            metrics: metrics.clone(),
            comparison: comparison(metrics),
            published: PublishedResult::beside(metrics, corpus.articles.len() as u64),
            training: Training::of(training),
            lengths: Lengths::of(&tokens.texts),
            confusion: confusion(metrics)?,
            explorer: Explorer::of(artifacts)?,
            gallery: Gallery::of(artifacts)?,
        })
    }
}

impl PublishedResult {
    /// The livedoor news corpus's categories, sorted.
    const CATEGORIES: [&str; 9] = [
        "dokujo-tsushin",
        "it-life-hack",
        "kaden-channel",
        "livedoor-homme",
        "movie-enter",
        "peachy",
        "smax",
        "sports-watch",
        "topic-news",
    ];
    /// Articles in the corpus's release of 2014-02-09.
    const ARTICLES: u64 = 7367;
    /// Licence files in it, one a category: with `compat.article` articles too.
    const LICENCES: u64 = 9;

    fn beside(metrics: &Metrics, own_articles: u64) -> Option<Self> {
        let mut labels: Vec<&str> = metrics.labels.iter().map(String::as_str).collect();
        labels.sort_unstable();
        let articles = Self::ARTICLES + if metrics.article.is_some() { Self::LICENCES } else { 0 };
        (labels == Self::CATEGORIES).then_some(Self {
            accuracy: 0.85,
            macro_f1: 0.84,
            test_rows: 1476,
            articles,
            same_corpus: own_articles == articles,
            own_articles,
        })
    }
}

impl Training {
    fn of(rows: &[StepRow]) -> Self {
        let of_split = |split| rows.iter().filter(move |row| row.split == split);
        let steps: Vec<&StepRow> = of_split(Split::Train).collect();
        let epochs = steps.chunk_by(|a, b| a.epoch == b.epoch).map(|steps| {
            let epoch = steps[0].epoch;
            let validation = of_split(Split::Validation).rfind(|row| row.epoch == epoch);
            Epoch::of(steps, validation)
        });
        Self {
            steps: steps.iter().map(|row| StepLoss { step: row.step, loss: row.loss }).collect(),
            epochs: epochs.collect(),
        }
    }
}

impl Epoch {
    /// `steps` holds at least one.
    fn of(steps: &[&StepRow], validation: Option<&StepRow>) -> Self {
        let texts: i64 = steps.iter().map(|row| row.texts).sum();
        let correct: i64 = steps.iter().map(|row| row.correct).sum();
        let loss_of_all: f64 = steps.iter().map(|row| row.loss * row.texts as f64).sum();
        Self {
            epoch: steps[0].epoch,
            first_step: steps[0].step,
            last_step: steps[steps.len() - 1].step,
            summed_loss: steps.iter().map(|row| row.loss).sum(),
            mean_loss: share(loss_of_all, texts as f64),
            accuracy: share(correct as f64, texts as f64),
            validation: validation.map(|row| Validation {
                loss: row.loss,
                accuracy: share(row.correct as f64, row.texts as f64),
            }),
        }
    }
}

impl Lengths {
    /// More bars than this do not get clearer.
    const MOST_BINS: usize = 40;

    fn of(texts: &[TokenizedText]) -> Self {
        let mut lengths: Vec<usize> = texts.iter().map(|text| text.input_ids.len()).collect();
        lengths.sort_unstable();
        let (Some(&shortest), Some(&longest)) = (lengths.first(), lengths.last()) else {
            return Self { texts: 0, mean: 0.0, median: 0, percentile_95: 0, longest: 0, bins: vec![] };
        };
        // Nearest rank: the least length that `percent` of the texts do not exceed.
        let percentile = |percent: usize| lengths[(lengths.len() * percent).div_ceil(100) - 1];
        let width = bin_width(longest - shortest + 1, Self::MOST_BINS);
        let bins = (shortest / width..=longest / width).map(|bin| {
            let (first, last) = (bin * width, (bin + 1) * width - 1);
            let up_to = |length: usize| lengths.partition_point(|&other| other <= length);
            let below = lengths.partition_point(|&other| other < first);
            Bin { first, last, texts: up_to(last) - below }
        });
        Self {
            texts: lengths.len(),
            mean: lengths.iter().sum::<usize>() as f64 / lengths.len() as f64,
            median: percentile(50),
            percentile_95: percentile(95),
            longest,
            bins: bins.collect(),
        }
    }
}

/// The least of 1, 2, 5, 10, 20, 50, … that divides `range` into at most `most` bins.
fn bin_width(range: usize, most: usize) -> usize {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_usize.pow(power)));
    steps.into_iter().find(|width| range.div_ceil(*width) <= most).unwrap_or(range)
}

/// Whether the fine-tuned model and the baseline differ by more than chance, in a sentence.
fn comparison(metrics: &Metrics) -> Option<String> {
    let mcnemar = metrics.baseline.as_ref()?.mcnemar;
    let (bert, linear) = (mcnemar.only_first_right, mcnemar.only_second_right);
    let verdict = match (mcnemar.is_significant(), bert > linear) {
        (false, _) => "their difference cannot be told from chance",
        (true, true) => "BERT is better, by more than chance explains",
        (true, false) => "the linear baseline is better, by more than chance explains",
    };
    Some(format!(
        "BERT alone is right on {bert} test texts, the linear baseline alone on {linear}: {verdict} ({mcnemar})."
    ))
}

fn confusion(metrics: &Metrics) -> anyhow::Result<Vec<ConfusionRow>> {
    let Metrics { labels, confusion, .. } = metrics;
    let count = labels.len();
    ensure!(
        confusion.len() == count && confusion.iter().all(|row| row.len() == count),
        "metrics.json: confusion is not {count} × {count}, one row and column per label; \
         run `make evaluate` again to remake it"
    );
    let rows = labels.iter().zip(confusion).enumerate().map(|(row, (label, texts))| {
        let support: u64 = texts.iter().sum();
        let cells = labels.iter().zip(texts).enumerate().map(|(column, (predicted, &texts))| ConfusionCell {
            predicted: predicted.clone(),
            texts,
            share: share(texts as f64, support as f64),
            correct: row == column,
        });
        ConfusionRow { label: label.clone(), cells: cells.collect() }
    });
    Ok(rows.collect())
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_pipeline::artifact::{
        ArticleMetrics, Averages, BaselineMetrics, CategoryId, ClassificationReport, Interval, Intervals,
        MaskedMetrics, McNemar, PaddingShares, Scores,
    };

    use super::*;

    fn step(step: i64, epoch: i64, split: Split, loss: f64, correct: i64, texts: i64) -> StepRow {
        StepRow {
            step,
            epoch,
            split,
            loss,
            correct,
            texts,
            tokens: 0,
            learning_rate_encoder: 0.0,
            learning_rate_classifier: 0.0,
            gradient_norm: None,
            batch: Vec::new(),
        }
    }

    fn metrics(labels: &[&str], confusion: Vec<Vec<u64>>) -> Metrics {
        Metrics {
            accuracy: 0.5,
            macro_f1: 0.5,
            weighted_f1: 0.5,
            macro_average: Averages::default(),
            weighted_average: Averages::default(),
            per_class: vec![],
            confusion,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            test_rows: 0,
            intervals: None,
            calibration: None,
            baseline: None,
            ensemble: None,
            faithfulness: None,
            article: None,
        }
    }

    fn article_metrics() -> ArticleMetrics {
        ArticleMetrics {
            swapped: ClassificationReport {
                macro_average: Averages::default(),
                weighted_average: Averages::default(),
                per_class: vec![],
            },
            masked: MaskedMetrics { accuracy: 0.5, macro_f1: 0.5, changed_predictions: 0 },
            padding: PaddingShares { positions: 0.0, attention: 0.0 },
        }
    }

    fn text(length: usize) -> TokenizedText {
        TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Train,
            original: String::new(),
            text: String::new(),
            input_ids: vec![0; length],
            token_type_ids: vec![],
            tokens: vec![],
            word_ids: vec![],
            offsets: vec![],
            original_offsets: vec![],
        }
    }

    #[test]
    fn an_epochs_mean_counts_texts_not_steps() {
        let rows = [
            step(1, 1, Split::Train, 2.0, 1, 3),
            step(2, 1, Split::Train, 1.0, 1, 1),
            step(2, 1, Split::Validation, 1.5, 3, 4),
            step(3, 2, Split::Train, 0.5, 4, 4),
        ];
        let training = Training::of(&rows);
        assert_eq!(training.steps.len(), 3);
        let first = Epoch {
            epoch: 1,
            first_step: 1,
            last_step: 2,
            summed_loss: 3.0,
            mean_loss: 1.75,
            accuracy: 0.5,
            validation: Some(Validation { loss: 1.5, accuracy: 0.75 }),
        };
        assert_eq!(training.epochs[0], first);
        assert_eq!((training.epochs[1].mean_loss, training.epochs[1].validation), (0.5, None));
    }

    #[test]
    fn bins_hold_every_text_once() {
        let texts: Vec<_> = (3..=120).chain([500]).map(text).collect();
        let lengths = Lengths::of(&texts);
        assert_eq!(lengths.bins.iter().map(|bin| bin.texts).sum::<usize>(), texts.len());
        assert_eq!(lengths.bins[0], Bin { first: 0, last: 19, texts: 17 });
        assert_eq!(lengths.bins.last(), Some(&Bin { first: 500, last: 519, texts: 1 }));
        assert_eq!((lengths.median, lengths.percentile_95, lengths.longest), (62, 116, 500));
        assert_eq!(Lengths::of(&[]).bins, []);
    }

    #[test]
    fn the_confusion_matrix_has_shares_of_its_rows() {
        let rows = confusion(&metrics(&["a", "b"], vec![vec![3, 1], vec![0, 0]])).unwrap();
        let shares: Vec<Vec<f64>> =
            rows.iter().map(|row| row.cells.iter().map(|cell| cell.share).collect()).collect();
        assert_eq!(shares, [[0.75, 0.25], [0.0, 0.0]]);
        assert!(rows[1].cells[1].correct && !rows[1].cells[0].correct);
        let error = confusion(&metrics(&["a", "b"], vec![vec![1, 2]])).unwrap_err().to_string();
        assert!(error.contains("2 × 2"), "{error}");
    }

    #[test]
    fn the_published_result_stands_only_beside_its_own_categories() {
        let nine = metrics(&PublishedResult::CATEGORIES, vec![]);
        assert!(PublishedResult::beside(&nine, 7367).is_some_and(|published| published.same_corpus));
        assert!(PublishedResult::beside(&nine, 540).is_some_and(|published| !published.same_corpus));
        assert!(PublishedResult::beside(&nine, 7376).is_some_and(|published| !published.same_corpus));
        let with_licences = Metrics { article: Some(article_metrics()), ..nine };
        assert!(PublishedResult::beside(&with_licences, 7376).is_some_and(|published| published.same_corpus));
        let without_licences = PublishedResult::beside(&with_licences, 7367).unwrap();
        assert_eq!((without_licences.articles, without_licences.same_corpus), (7376, false));
        assert_eq!(PublishedResult::beside(&metrics(&["a", "b"], vec![]), 7367), None);
    }

    #[test]
    fn the_comparison_says_who_is_better_only_where_chance_does_not_explain_it() {
        let sentence = |only_first_right, only_second_right, p_value| {
            let mcnemar = McNemar { only_first_right, only_second_right, p_value };
            let interval = Interval { low: 0.4, high: 0.6 };
            let intervals = Intervals { accuracy: interval, macro_f1: interval };
            let scores = Scores { accuracy: 0.5, macro_f1: 0.5, intervals };
            let baseline = Some(BaselineMetrics { scores, report: metrics(&["a"], vec![]).into(), mcnemar });
            comparison(&Metrics { baseline, ..metrics(&["a"], vec![]) }).unwrap()
        };
        assert_eq!(
            sentence(5, 15, 0.0414),
            "BERT alone is right on 5 test texts, the linear baseline alone on 15: the linear baseline is \
             better, by more than chance explains (McNemar's exact test, p = 0.0414)."
        );
        assert!(
            sentence(90, 15, 1e-9).contains("BERT is better")
                && sentence(90, 15, 1e-9).contains("p < 0.0001")
        );
        assert!(sentence(6, 15, 0.078).contains("cannot be told from chance"));
        assert_eq!(comparison(&metrics(&["a"], vec![])), None);
    }
}

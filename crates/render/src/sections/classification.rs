//! The classification report next to the published article's, and the comparison with the linear baseline.

use midashi_artifacts::{Metrics, hardest};
use minijinja::value::Serde;
use minijinja::{Value, context};
use serde::Serialize;

use crate::artifacts::Artifacts;
use midashi_page::Strings;

/// The published article's results.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct PublishedResult {
    /// Accuracy on its test rows, to two digits.
    accuracy: f64,
    /// Mean F1 of the categories, to two digits.
    macro_f1: f64,
    /// Number of test rows, which are articles and licence files.
    test_rows: u64,
    /// Number of articles in its corpus, with the licence files if this run includes them.
    articles: u64,
    /// Whether this run's corpus has the same number of articles.
    same_corpus: bool,
    /// Number of articles of this run.
    own_articles: u64,
}

/// The comparison of the fine-tuned model with the linear baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The fine-tuned model is significantly better.
    Bert,
    /// The fine-tuned model is not behind, and the difference is not significant.
    Ahead,
    /// The fine-tuned model is behind, and the difference is not significant.
    Behind,
    /// The linear baseline is significantly better.
    Linear,
}

/// The categories of the table, and the published article's results if the categories are the same.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    let articles = artifacts.corpus.articles.len() as u64;
    Ok(Some(context! {
        listed => hardest(&artifacts.metrics.per_class),
        published => Serde(PublishedResult::of(&artifacts.metrics, articles)),
    }))
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
    /// Licence files in it, one per category; `compat.article` counts them as articles.
    const LICENCES: u64 = 9;

    /// The article's results, for comparison with a run of `own_articles`; none if the categories differ.
    fn of(metrics: &Metrics, own_articles: u64) -> Option<Self> {
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

impl Verdict {
    /// The verdict of McNemar's test; none without a baseline.
    pub fn of(metrics: &Metrics) -> Option<Self> {
        let mcnemar = metrics.baseline.as_ref()?.mcnemar;
        let is_behind = mcnemar.only_first_right < mcnemar.only_second_right;
        Some(match (mcnemar.is_significant(), is_behind) {
            (true, false) => Self::Bert,
            (false, false) => Self::Ahead,
            (false, true) => Self::Behind,
            (true, true) => Self::Linear,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{
        ArticleMetrics, Averages, BaselineMetrics, ClassificationReport, Interval, Intervals, MaskedMetrics,
        McNemar, PaddingShares, Scores,
    };

    use super::*;
    use crate::sections::confusion::tests::metrics;

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

    #[test]
    fn the_published_result_is_shown_only_for_its_own_categories() {
        let nine = metrics(&PublishedResult::CATEGORIES, &[]);
        assert!(PublishedResult::of(&nine, 7367).is_some_and(|published| published.same_corpus));
        assert!(PublishedResult::of(&nine, 540).is_some_and(|published| !published.same_corpus));
        assert!(PublishedResult::of(&nine, 7376).is_some_and(|published| !published.same_corpus));
        let with_licences = Metrics { article: Some(article_metrics()), ..nine };
        assert!(PublishedResult::of(&with_licences, 7376).is_some_and(|published| published.same_corpus));
        let without_licences = PublishedResult::of(&with_licences, 7367).unwrap();
        assert_eq!((without_licences.articles, without_licences.same_corpus), (7376, false));
        assert_eq!(PublishedResult::of(&metrics(&["a", "b"], &[]), 7367), None);
    }

    #[test]
    fn a_model_is_better_only_if_the_difference_is_significant() {
        let verdict = |only_first_right, only_second_right, p_value| {
            let mcnemar = McNemar { only_first_right, only_second_right, p_value };
            let interval = Interval { low: 0.4, high: 0.6 };
            let intervals = Intervals { accuracy: interval, macro_f1: interval };
            let scores = Scores { accuracy: 0.5, macro_f1: 0.5, intervals };
            let report = metrics(&["a"], &[]).into();
            let baseline = Some(BaselineMetrics { scores, report, mcnemar });
            Verdict::of(&Metrics { baseline, ..metrics(&["a"], &[]) }).unwrap()
        };
        assert_eq!(verdict(5, 15, 0.0414), Verdict::Linear);
        assert_eq!(verdict(90, 15, 1e-9), Verdict::Bert);
        assert_eq!(verdict(6, 15, 0.078), Verdict::Behind);
        assert_eq!(verdict(15, 6, 0.078), Verdict::Ahead);
        assert_eq!(verdict(9, 9, 1.0), Verdict::Ahead);
        assert_eq!(Verdict::of(&metrics(&["a"], &[])), None);
    }
}

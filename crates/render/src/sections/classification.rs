//! What stands beside the run's own scores: the linear baseline and the published article.

use midashi_artifacts::Metrics;
use serde::Serialize;

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

/// Whether the fine-tuned model and the linear baseline differ by more than chance.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Test texts that only the fine-tuned model gets right.
    pub bert: u64,
    /// Test texts that only the linear baseline gets right.
    pub linear: u64,
    /// Of McNemar's exact test.
    pub p_value: f64,
    /// What that says.
    pub verdict: Verdict,
}

/// What a comparison says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The difference cannot be told from chance.
    Chance,
    /// The fine-tuned model is better.
    Bert,
    /// The linear baseline is better.
    Linear,
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

    /// Beside this run of `own_articles`; none where the categories are others.
    pub fn beside(metrics: &Metrics, own_articles: u64) -> Option<Self> {
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

impl Comparison {
    /// None without a baseline.
    pub fn of(metrics: &Metrics) -> Option<Self> {
        let mcnemar = metrics.baseline.as_ref()?.mcnemar;
        let (bert, linear) = (mcnemar.only_first_right, mcnemar.only_second_right);
        let verdict = match (mcnemar.is_significant(), bert > linear) {
            (false, _) => Verdict::Chance,
            (true, true) => Verdict::Bert,
            (true, false) => Verdict::Linear,
        };
        Some(Self { bert, linear, p_value: mcnemar.p_value, verdict })
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
    use crate::sections::tests::metrics;

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
    fn one_of_them_is_better_only_where_chance_does_not_explain_it() {
        let verdict = |only_first_right, only_second_right, p_value| {
            let mcnemar = McNemar { only_first_right, only_second_right, p_value };
            let interval = Interval { low: 0.4, high: 0.6 };
            let intervals = Intervals { accuracy: interval, macro_f1: interval };
            let scores = Scores { accuracy: 0.5, macro_f1: 0.5, intervals };
            let report = metrics(&["a"], vec![]).into();
            let baseline = Some(BaselineMetrics { scores, report, mcnemar });
            Comparison::of(&Metrics { baseline, ..metrics(&["a"], vec![]) }).unwrap().verdict
        };
        assert_eq!(verdict(5, 15, 0.0414), Verdict::Linear);
        assert_eq!(verdict(90, 15, 1e-9), Verdict::Bert);
        assert_eq!(verdict(6, 15, 0.078), Verdict::Chance);
        assert_eq!(Comparison::of(&metrics(&["a"], vec![])), None);
    }
}

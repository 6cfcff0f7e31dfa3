//! The article's way of measuring next to ours (`compat.article`): no attention mask, and a report
//! whose arguments are swapped.

use anyhow::Result;
use midashi_artifacts::{ArticleMetrics, MaskedMetrics, Metrics, PaddingShares, Predictions};

use crate::metrics::metrics;
use crate::statistics::mean;
use crate::table::classification_report;

/// How the article's choices change the metrics. `unmasked` are the predictions without an attention mask,
/// `masked` those of the same texts with padding masked, and `padding` has one entry per text.
///
/// # Errors
/// When a row names a category that does not exist.
pub fn article_metrics(
    unmasked: &Predictions,
    masked: &Predictions,
    padding: &[PaddingShares],
) -> Result<ArticleMetrics> {
    let swapped = metrics(&unmasked.swapped())?.into();
    let pairs = unmasked.rows.iter().zip(&masked.rows);
    let changed = pairs.filter(|(one, other)| one.predicted != other.predicted).count();
    let Metrics { accuracy, macro_f1, .. } = metrics(masked)?;
    Ok(ArticleMetrics {
        swapped,
        masked: MaskedMetrics { accuracy, macro_f1, changed_predictions: changed as u64 },
        padding: PaddingShares {
            positions: mean(padding.iter().map(|shares| shares.positions)),
            attention: mean(padding.iter().map(|shares| shares.attention)),
        },
    })
}

/// Both reports and their differences, for the terminal.
pub fn both_reports(metrics: &Metrics, article: &ArticleMetrics) -> String {
    let ArticleMetrics { swapped, masked, padding } = article;
    let as_printed_by_the_article = Metrics {
        macro_average: swapped.macro_average,
        weighted_average: swapped.weighted_average,
        per_class: swapped.per_class.clone(),
        ..metrics.clone()
    };
    format!(
        "  as the article prints it, without attention mask, classification_report(prediction, answer):\n{}\
         \n  the same predictions, classification_report(answer, prediction):\n{}\
         \n  the same weights with padding masked: accuracy {:.4}, macro F1 {:.4}; {} of {} predictions change\n\
         \x20 padding was {:.1} % of a text's positions and took {:.1} % of the attention of [CLS] in the last layer\n",
        classification_report(&as_printed_by_the_article),
        classification_report(metrics),
        masked.accuracy,
        masked.macro_f1,
        masked.changed_predictions,
        metrics.test_rows,
        100.0 * padding.positions,
        100.0 * padding.attention,
    )
}

#[cfg(test)]
mod tests {
    use midashi_artifacts::{CategoryId, Prediction};

    use super::*;
    use crate::metrics::tests::Reference;

    #[test]
    fn the_swapped_table_is_scikit_learns_of_swapped_arguments() {
        for case in Reference::all() {
            let predictions = case.predictions();
            let article = article_metrics(&predictions, &predictions, &[]).unwrap();
            let printed = both_reports(&case.metrics(), &article);
            let (_, tables) = printed.split_once(":\n").unwrap();
            assert!(tables.starts_with(&case.swapped), "{}:\n{tables}", case.name);
            assert!(tables.contains(&case.printed), "{}", case.name);
        }
    }

    #[test]
    fn changed_predictions_are_counted() {
        let predictions = |predicted: [u16; 4]| Predictions {
            categories: vec!["a".into(), "b".into()],
            rows: [0, 0, 1, 1]
                .into_iter()
                .zip(predicted)
                .map(|(label, predicted)| Prediction {
                    id: "x".into(),
                    label: CategoryId(label),
                    predicted: CategoryId(predicted),
                    probabilities: vec![],
                })
                .collect(),
        };
        let padding = [(0.5, 0.25), (0.0, 0.0)];
        let padding = padding.map(|(positions, attention)| PaddingShares { positions, attention });
        let article =
            article_metrics(&predictions([0, 1, 1, 1]), &predictions([0, 0, 0, 1]), &padding).unwrap();
        assert_eq!((article.masked.accuracy, article.masked.changed_predictions), (0.75, 2));
        assert_eq!(article.padding, PaddingShares { positions: 0.25, attention: 0.125 });
        // Two texts are a, one of them is predicted so: recall 1/2 and precision 1, swapped.
        let a = &article.swapped.per_class[0];
        assert_eq!((a.scores.precision, a.scores.recall, a.support), (0.5, 1.0, 1));
    }
}

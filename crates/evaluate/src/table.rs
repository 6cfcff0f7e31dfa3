//! The classification report as scikit-learn prints it with `digits=4`.
//!
//! Columns are as wide as scikit-learn's, which counts characters, so full-width names misalign in a terminal
//! as they do there. One difference: when no prediction is correct, scikit-learn 1.9 prints a support of 2 as 2.0.
//! Of many categories the table lists the hardest.

use std::fmt::Write;

use midashi_artifacts::{Averages, Metrics, hardest};
use midashi_text::shaped;

/// scikit-learn's longest row heading: the minimum width of the first column.
const WEIGHTED: &str = "weighted avg";

/// The table, ending in a line break.
pub fn classification_report(metrics: &Metrics) -> String {
    let classes = &metrics.per_class;
    let listed = hardest(classes);
    let names = listed.iter().map(|&at| shaped(&classes[at].label).chars().count());
    let width = names.max().unwrap_or(0).max(WEIGHTED.len());
    let row = |name: &str, scores: &Averages, support: u64| {
        let Averages { precision, recall, f1 } = scores;
        format!("{name:>width$}  {precision:>9.4} {recall:>9.4} {f1:>9.4} {support:>9}\n")
    };
    let mut table =
        format!("{:>width$}  {:>9} {:>9} {:>9} {:>9}\n\n", "", "precision", "recall", "f1-score", "support");
    for class in listed.iter().map(|&at| &classes[at]) {
        table += &row(&shaped(&class.label), &class.scores, class.support);
    }
    if listed.len() < classes.len() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "\nthese are the {} of {} categories with the lowest F1; metrics.json has all",
            listed.len(),
            classes.len()
        );
    }
    let rows = metrics.test_rows;
    // Writing to a string cannot fail.
    let _ =
        writeln!(table, "\n{:>width$}  {:>9} {:>9} {:>9.4} {rows:>9}", "accuracy", "", "", metrics.accuracy);
    table + &row("macro avg", &metrics.macro_average, rows) + &row(WEIGHTED, &metrics.weighted_average, rows)
}

#[cfg(test)]
mod tests {
    use midashi_artifacts::ClassMetrics;

    use super::*;
    use crate::metrics::tests::Reference;

    #[test]
    fn the_table_is_scikit_learns_to_the_character() {
        for case in Reference::all() {
            assert_eq!(classification_report(&case.metrics()), case.printed, "{}", case.name);
        }
    }

    #[test]
    fn of_many_categories_the_hardest_are_printed() {
        let class = |at: u64| ClassMetrics {
            label: format!("category {at}"),
            scores: Averages { f1: (5_000 - at) as f64 / 10_000.0, ..Averages::default() },
            support: 2,
        };
        let metrics = Metrics { per_class: (0..5_000).map(class).collect(), ..Metrics::default() };
        let table = classification_report(&metrics);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], "category 4999     0.0000    0.0000    0.0001         2");
        assert_eq!(lines.len(), 2 + 50 + 2 + 4, "{table}");
        assert_eq!(lines[53], "these are the 50 of 5000 categories with the lowest F1; metrics.json has all");
    }
}

//! The classification report as scikit-learn prints it with `digits=4`.
//!
//! Columns are as wide as scikit-learn's, which counts characters, so full-width names misalign in a terminal
//! as they do there. One difference: when no prediction is correct, scikit-learn 1.9 prints a support of 2 as 2.0.

use std::fmt::Write;

use midashi_artifacts::{Averages, Metrics};

/// scikit-learn's longest row heading: the minimum width of the first column.
const WEIGHTED: &str = "weighted avg";

/// The table, ending in a line break.
pub fn classification_report(metrics: &Metrics) -> String {
    let names = metrics.labels.iter().map(|label| label.chars().count());
    let width = names.max().unwrap_or(0).max(WEIGHTED.len());
    let row = |name: &str, scores: &Averages, support: u64| {
        let Averages { precision, recall, f1 } = scores;
        format!("{name:>width$}  {precision:>9.4} {recall:>9.4} {f1:>9.4} {support:>9}\n")
    };
    let mut table =
        format!("{:>width$}  {:>9} {:>9} {:>9} {:>9}\n\n", "", "precision", "recall", "f1-score", "support");
    for class in &metrics.per_class {
        table += &row(&class.label, &class.scores, class.support);
    }
    let rows = metrics.test_rows;
    // Writing to a string cannot fail.
    let _ =
        writeln!(table, "\n{:>width$}  {:>9} {:>9} {:>9.4} {rows:>9}", "accuracy", "", "", metrics.accuracy);
    table + &row("macro avg", &metrics.macro_average, rows) + &row(WEIGHTED, &metrics.weighted_average, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::Reference;

    #[test]
    fn the_table_is_scikit_learns_to_the_character() {
        for case in Reference::all() {
            assert_eq!(classification_report(&case.metrics()), case.printed, "{}", case.name);
        }
    }
}

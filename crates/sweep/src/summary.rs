//! Mean and spread per setting over the swept seeds, as a Markdown table.

use midashi_artifacts::{Sweep, SweepRow, SweepScores};
use midashi_text::shaped;
use serde_json::Value;

use crate::grid::SEEDS;

/// A measure: name, number of decimals, value of a run.
type Measure = (&'static str, usize, fn(&SweepScores) -> Option<f64>);

const MEASURES: [Measure; 6] = [
    ("accuracy", 4, |scores| Some(scores.accuracy)),
    ("macro F1", 4, |scores| Some(scores.macro_f1)),
    ("weighted F1", 4, |scores| Some(scores.weighted_f1)),
    ("validation accuracy", 4, |scores| scores.validation_accuracy),
    ("baseline accuracy", 4, |scores| scores.baseline_accuracy),
    ("ensemble accuracy", 4, |scores| scores.ensemble_accuracy),
];

/// Statistics of several runs of one setting.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    mean: f64,
    /// Sample standard deviation (divided by runs − 1); none for a single run.
    deviation: Option<f64>,
    least: f64,
    most: f64,
}

/// A table with one row per measure and setting; `seconds` are the durations of the runs.
pub fn table(sweep: &Sweep, seconds: &[Option<f64>]) -> String {
    let is_seed = |key: &&String| SEEDS.contains(&key.as_str());
    let (seeds, keys): (Vec<&String>, Vec<&String>) = sweep.keys.iter().partition(is_seed);
    let settings = settings(sweep);
    let mut header = vec!["measure".to_owned()];
    header.extend(keys.iter().map(|key| (*key).clone()));
    header.extend(["runs", "mean", "sd", "min", "max"].map(str::to_owned));
    let mut rows = vec![header];
    let mut add = |name: &str, decimals: usize, value: &dyn Fn(usize, &SweepRow) -> Option<f64>| {
        for (values, runs) in &settings {
            let numbers: Vec<f64> = runs.iter().filter_map(|&run| value(run, &sweep.rows[run])).collect();
            let spread = Spread::of(&numbers);
            let number =
                |number: Option<f64>| number.map_or("–".to_owned(), |it| format!("{it:.decimals$}"));
            let mut row = vec![name.to_owned()];
            row.extend(values.iter().map(|value| text(value)));
            row.push(if numbers.len() == runs.len() {
                runs.len().to_string()
            } else {
                format!("{} of {}", numbers.len(), runs.len())
            });
            row.extend([
                number(spread.map(|it| it.mean)),
                number(spread.and_then(|it| it.deviation)),
                number(spread.map(|it| it.least)),
                number(spread.map(|it| it.most)),
            ]);
            rows.push(row);
        }
    };
    for (name, decimals, score) in MEASURES {
        let score = |row: &SweepRow| row.scores.as_ref().and_then(score);
        if sweep.rows.iter().any(|row| score(row).is_some()) {
            add(name, decimals, &|_, row| score(row));
        }
    }
    add("seconds", 1, &|run, row| row.scores.and(seconds[run]));
    let over = seeds.iter().map(|key| key.as_str()).collect::<Vec<_>>().join(" and ");
    let note = if settings.iter().all(|(_, runs)| runs.len() == 1) {
        "One run per setting: no spread. A sweep over train.seed has one.".to_owned()
    } else {
        format!("Mean, sample standard deviation, least and most over {over}.")
    };
    format!("{}\n{note} Seconds are of train and evaluate.\n", markdown(&rows, 1 + keys.len()))
}

/// The settings without seeds, in the order of the runs, each with its runs.
fn settings(sweep: &Sweep) -> Vec<(Vec<&Value>, Vec<usize>)> {
    let mut settings: Vec<(Vec<&Value>, Vec<usize>)> = Vec::new();
    for (run, row) in sweep.rows.iter().enumerate() {
        let values = sweep.keys.iter().zip(&row.values);
        let values: Vec<&Value> =
            values.filter(|(key, _)| !SEEDS.contains(&key.as_str())).map(|(_, value)| value).collect();
        match settings.iter_mut().find(|(known, _)| *known == values) {
            Some((_, runs)) => runs.push(run),
            None => settings.push((values, vec![run])),
        }
    }
    settings
}

impl Spread {
    /// None for no numbers.
    fn of(numbers: &[f64]) -> Option<Self> {
        let runs = numbers.len();
        let mean = numbers.iter().sum::<f64>() / runs as f64;
        let squares = numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>();
        (runs > 0).then(|| Self {
            mean,
            deviation: (runs > 1).then(|| (squares / (runs - 1) as f64).sqrt()),
            least: numbers.iter().copied().fold(f64::INFINITY, f64::min),
            most: numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        })
    }
}

/// A value as text; small numbers in the form of learning rates, 5e-5.
fn text(value: &Value) -> String {
    match (value.as_str(), value.as_f64()) {
        (Some(word), _) => shaped(word),
        (None, Some(number)) if number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
        _ => value.to_string(),
    }
}

/// Rows of cells as a Markdown table. The first row is the header; the first `words` columns are text, aligned
/// left.
fn markdown(rows: &[Vec<String>], words: usize) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut lines = Vec::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate();
        lines.push(line(
            cells
                .map(
                    |(column, (cell, &width))| {
                        if column < words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                    },
                )
                .collect(),
        ));
    }
    let rule = widths.iter().enumerate().map(|(column, &width)| {
        if column < words { "-".repeat(width) } else { format!("{}:", "-".repeat(width - 1)) }
    });
    lines.insert(1, line(rule.collect()));
    lines.concat()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(values: Vec<Value>, accuracy: Option<f64>) -> SweepRow {
        let scores = accuracy.map(|accuracy| SweepScores {
            accuracy,
            macro_f1: accuracy / 2.0,
            weighted_f1: accuracy,
            validation_accuracy: None,
            baseline_accuracy: Some(0.875),
            baseline_macro_f1: None,
            ensemble_accuracy: None,
            ensemble_macro_f1: None,
        });
        SweepRow { run: String::new(), values, scores }
    }

    #[test]
    fn a_spread_is_that_of_a_sample() {
        // Deviations from 0.8: -0.02, 0, 0.02; squares sum to 0.0008, by 2 is 0.0004.
        let spread = Spread::of(&[0.78, 0.80, 0.82]).unwrap();
        assert!((spread.mean - 0.8).abs() < 1e-12);
        assert!((spread.deviation.unwrap() - 0.02).abs() < 1e-12);
        assert_eq!((spread.least, spread.most), (0.78, 0.82));
        assert_eq!(Spread::of(&[0.5]).unwrap().deviation, None, "one run has no spread");
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn seeds_repeat_a_setting_and_a_failed_run_is_left_out() {
        let sweep = Sweep {
            keys: vec!["train.seed".into(), "train.learning_rate.encoder".into()],
            rows: vec![
                row(vec![json!(1), json!(5e-5)], Some(0.78)),
                row(vec![json!(1), json!(3e-5)], Some(0.5)),
                row(vec![json!(2), json!(5e-5)], Some(0.82)),
                row(vec![json!(2), json!(3e-5)], None),
            ],
        };
        let table = table(&sweep, &[Some(10.0), Some(20.0), Some(11.0), Some(99.0)]);
        let expected = "\
| measure           | train.learning_rate.encoder |   runs |   mean |     sd |    min |    max |
| ----------------- | --------------------------- | -----: | -----: | -----: | -----: | -----: |
| accuracy          | 5e-5                        |      2 | 0.8000 | 0.0283 | 0.7800 | 0.8200 |
| accuracy          | 3e-5                        | 1 of 2 | 0.5000 |      – | 0.5000 | 0.5000 |
| macro F1          | 5e-5                        |      2 | 0.4000 | 0.0141 | 0.3900 | 0.4100 |
| macro F1          | 3e-5                        | 1 of 2 | 0.2500 |      – | 0.2500 | 0.2500 |
| weighted F1       | 5e-5                        |      2 | 0.8000 | 0.0283 | 0.7800 | 0.8200 |
| weighted F1       | 3e-5                        | 1 of 2 | 0.5000 |      – | 0.5000 | 0.5000 |
| baseline accuracy | 5e-5                        |      2 | 0.8750 | 0.0000 | 0.8750 | 0.8750 |
| baseline accuracy | 3e-5                        | 1 of 2 | 0.8750 |      – | 0.8750 | 0.8750 |
| seconds           | 5e-5                        |      2 |   10.5 |    0.7 |   10.0 |   11.0 |
| seconds           | 3e-5                        | 1 of 2 |   20.0 |      – |   20.0 |   20.0 |

Mean, sample standard deviation, least and most over train.seed. Seconds are of train and evaluate.
";
        assert_eq!(table, expected);
    }
}

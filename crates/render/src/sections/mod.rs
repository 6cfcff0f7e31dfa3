//! The report's sections, each a part of [`crate::report::Report`] made from the artifacts, and in
//! `templates/sections/` how it looks.

pub mod classification;
pub mod confusion;
pub mod duplicates;
pub mod errors;
pub mod faithfulness;
pub mod lengths;
pub mod training;
pub mod words;

/// `part` of `whole`; 0 of nothing.
fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
pub mod tests {
    use midashi_artifacts::{Averages, Metrics};

    pub fn metrics(labels: &[&str], confusion: Vec<Vec<u64>>) -> Metrics {
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
}

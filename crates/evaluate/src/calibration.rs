//! Calibration of the probabilities: expected calibration error and Brier score.

use midashi_artifacts::{Calibration, CalibrationBin, Prediction, Predictions};

use crate::statistics::mean;

/// As in the reliability diagrams of Guo et al. (2017).
const BINS: usize = 10;

/// Both scores, and the test texts in bins of equal width by the probability of their predicted category
/// (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2).
pub fn calibration(predictions: &Predictions) -> Calibration {
    let confidence = |row: &Prediction| row.probabilities[row.predicted.index()];
    let rows = &predictions.rows;
    let bins = (0..BINS).map(|at| {
        let in_bin: Vec<&Prediction> = rows.iter().filter(|row| bin(confidence(row)) == at).collect();
        CalibrationBin {
            low: at as f64 / BINS as f64,
            high: (at + 1) as f64 / BINS as f64,
            texts: in_bin.len() as u64,
            confidence: mean(in_bin.iter().map(|row| f64::from(confidence(row)))),
            accuracy: mean(in_bin.iter().map(|row| f64::from(u8::from(row.label == row.predicted)))),
        }
    });
    let bins: Vec<CalibrationBin> = bins.collect();
    let distance = |bin: &CalibrationBin| bin.texts as f64 * (bin.confidence - bin.accuracy).abs();
    Calibration {
        expected_calibration_error: bins.iter().map(distance).sum::<f64>() / rows.len().max(1) as f64,
        brier_score: mean(rows.iter().map(brier_score)),
        bins,
    }
}

/// The paper's bins are `((m - 1) / M, m / M]`. Computed in float32 like the probabilities, so that 0.3 is an edge.
fn bin(confidence: f32) -> usize {
    ((confidence * BINS as f32).ceil() as usize).clamp(1, BINS) - 1
}

fn brier_score(row: &Prediction) -> f64 {
    let truth = |at: usize| f64::from(u8::from(at == row.label.index()));
    let squares = row.probabilities.iter().enumerate().map(|(at, &p)| (f64::from(p) - truth(at)).powi(2));
    squares.sum()
}

#[cfg(test)]
mod tests {
    use midashi_artifacts::CategoryId;

    use super::*;

    fn predictions(rows: &[(u16, [f32; 3])]) -> Predictions {
        let row = |&(label, probabilities): &(u16, [f32; 3])| Prediction {
            id: String::new(),
            label: CategoryId(label),
            predicted: CategoryId(0),
            probabilities: probabilities.to_vec(),
        };
        Predictions {
            categories: ["a", "b", "c"].map(str::to_owned).to_vec(),
            rows: rows.iter().map(row).collect(),
        }
    }

    #[test]
    fn the_numbers_are_those_computed_by_hand() {
        // Category 0 is always the most probable; two texts share the bin from 0.7 to 0.8.
        let found = calibration(&predictions(&[
            (0, [0.75, 0.25, 0.0]),
            (1, [0.75, 0.125, 0.125]),
            (0, [0.5, 0.25, 0.25]),
            (0, [1.0, 0.0, 0.0]),
        ]));
        let texts: Vec<u64> = found.bins.iter().map(|bin| bin.texts).collect();
        assert_eq!(texts, [0, 0, 0, 0, 1, 0, 0, 2, 0, 1]);
        let seven = found.bins[7];
        assert_eq!((seven.low, seven.high, seven.confidence, seven.accuracy), (0.7, 0.8, 0.75, 0.5));
        // |0.5 − 1| · 1/4 + |0.75 − 0.5| · 2/4 + |1 − 1| · 1/4
        assert_eq!(found.expected_calibration_error, 0.25);
        // 0.0625 + 0.0625; 0.5625 + 0.765625 + 0.015625; 0.25 + 0.0625 + 0.0625; 0
        assert_eq!(found.brier_score, (0.125 + 1.34375 + 0.375) / 4.0);
    }

    #[test]
    fn a_bin_includes_its_upper_edge() {
        let bins = [0.0, 0.1, 0.100_001, 0.3, 0.7, 0.9, 0.900_001, 1.0].map(bin);
        assert_eq!(bins, [0, 0, 1, 2, 6, 8, 9, 9]);
    }

    #[test]
    fn no_texts_score_zero() {
        let none = calibration(&predictions(&[]));
        assert_eq!((none.expected_calibration_error, none.brier_score, none.bins.len()), (0.0, 0.0, 10));
    }
}

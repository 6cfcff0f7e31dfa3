//! Whether the model is as sure as it is right: expected calibration error and Brier score.

use midashi_artifacts::{Calibration, CalibrationBin, Prediction, Predictions};

/// As many as Guo et al. (2017) draw.
const BINS: usize = 10;

/// Puts the test texts into equally wide bins by the probability of their predicted category
/// (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2).
pub fn calibration(predictions: &Predictions) -> Calibration {
    let mut sums = [Sums::default(); BINS];
    for row in &predictions.rows {
        let confidence = row.probabilities[row.predicted.index()];
        sums[bin(confidence)].add(confidence, row.label == row.predicted);
    }
    let bins: Vec<CalibrationBin> = sums.iter().enumerate().map(|(at, sums)| sums.bin(at)).collect();
    let distance = |bin: &CalibrationBin| bin.texts as f64 * (bin.confidence - bin.accuracy).abs();
    let brier = predictions.rows.iter().map(brier_score).sum();
    Calibration {
        expected_calibration_error: mean(bins.iter().map(distance).sum(), predictions.rows.len()),
        brier_score: mean(brier, predictions.rows.len()),
        bins,
    }
}

/// The texts of one bin, added up.
#[derive(Clone, Copy, Default)]
struct Sums {
    texts: usize,
    right: usize,
    confidence: f64,
}

impl Sums {
    fn add(&mut self, confidence: f32, right: bool) {
        self.texts += 1;
        self.right += usize::from(right);
        self.confidence += f64::from(confidence);
    }

    fn bin(&self, at: usize) -> CalibrationBin {
        let edge = |at: usize| at as f64 / BINS as f64;
        CalibrationBin {
            low: edge(at),
            high: edge(at + 1),
            texts: self.texts as u64,
            confidence: mean(self.confidence, self.texts),
            accuracy: mean(self.right as f64, self.texts),
        }
    }
}

/// The paper's bins are `((m - 1) / M, m / M]`. In float32, as the probabilities are, so that 0.3 is an edge.
fn bin(confidence: f32) -> usize {
    ((confidence * BINS as f32).ceil() as usize).clamp(1, BINS) - 1
}

fn brier_score(row: &Prediction) -> f64 {
    let truth = |at: usize| f64::from(u8::from(at == row.label.index()));
    let squares = row.probabilities.iter().enumerate().map(|(at, &p)| (f64::from(p) - truth(at)).powi(2));
    squares.sum()
}

fn mean(sum: f64, count: usize) -> f64 {
    if count == 0 { 0.0 } else { sum / count as f64 }
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
    fn a_bin_holds_its_upper_edge() {
        let bins = [0.0, 0.1, 0.100_001, 0.3, 0.7, 0.9, 0.900_001, 1.0].map(bin);
        assert_eq!(bins, [0, 0, 1, 2, 6, 8, 9, 9]);
    }

    #[test]
    fn no_texts_are_no_error() {
        let none = calibration(&predictions(&[]));
        assert_eq!((none.expected_calibration_error, none.brier_score, none.bins.len()), (0.0, 0.0, 10));
    }
}

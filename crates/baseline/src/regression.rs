//! Multinomial logistic regression on sparse rows, fitted by L-BFGS (scikit-learn's `LogisticRegression`).

use rayon::prelude::*;

use crate::equal_columns::EqualColumns;
use crate::lbfgs::Lbfgs;
use crate::sparse::SparseRows;
use crate::vectors::{add_scaled, dot};

/// Inverse strength of the regularisation, scikit-learn's `C`.
const C: f64 = 30.0;
const MAX_ITERATIONS: usize = 2000;
/// L-BFGS stops when the norm of the gradient is this small. The loss is a mean over texts.
const GRADIENT_TOLERANCE: f64 = 3e-6;
/// A step has to lower the loss by this share of what its slope promises (Nocedal and Wright 2006, section 3.1).
const SUFFICIENT_DECREASE: f64 = 1e-4;
/// A step ends where the slope along it is at most this share of the slope at its beginning.
const SLOPE_LEFT: f64 = 0.5;
/// More trials than a convex function needs.
const MAX_TRIALS: usize = 30;

/// A fitted classifier.
pub struct LogisticRegression {
    /// Shape `[features + 1, categories]`, row by row; the last row is the intercept.
    weights: Vec<f64>,
    categories: usize,
}

impl LogisticRegression {
    /// Fits the `labels`, numbers below `categories`, of `rows`.
    pub fn fit(rows: &SparseRows, labels: &[usize], categories: usize) -> Self {
        let (equal, columns) = EqualColumns::merge(rows);
        let problem = Problem { rows: columns.transposed(), columns, labels, categories };
        let mut merged = problem.minimise();
        let intercept = merged.split_off(problem.intercept());
        let mut weights = equal.spread(&merged, categories);
        weights.extend(intercept);
        Self { weights, categories }
    }

    /// The probability of each category for each row, shape `[rows, categories]`.
    pub fn probabilities(&self, rows: &SparseRows) -> Vec<Vec<f64>> {
        let mut logits = products(rows, &self.weights, self.categories);
        logits.par_chunks_mut(self.categories).for_each(|row| {
            softmax(row);
        });
        logits.chunks(self.categories).map(<[f64]>::to_vec).collect()
    }
}

/// The function to minimise: mean cross-entropy + ‖weights‖² / (2·C·texts). The intercept is not regularised.
struct Problem<'a> {
    rows: SparseRows,
    columns: SparseRows,
    labels: &'a [usize],
    categories: usize,
}

/// The loss at a place on a line, and its derivative along the line.
struct Trial {
    loss: f64,
    slope: f64,
}

impl Problem<'_> {
    fn regularisation(&self) -> f64 {
        1.0 / (C * self.rows.len() as f64)
    }

    /// Index of the first weight of the intercept.
    fn intercept(&self) -> usize {
        self.rows.width() * self.categories
    }

    /// The weights with the smallest loss.
    fn minimise(&self) -> Vec<f64> {
        let mut weights = vec![0.0; self.intercept() + self.categories];
        let mut logits = vec![0.0; self.rows.len() * self.categories];
        let mut gradient = self.gradient(&weights, &logits);
        let mut memory = Lbfgs::default();
        for iteration in 0..MAX_ITERATIONS {
            let norm = dot(&gradient, &gradient).sqrt();
            if norm <= GRADIENT_TOLERANCE {
                break;
            }
            let mut direction = memory.direction(&gradient);
            // The first direction has no scale yet.
            let first = if iteration == 0 { (1.0 / norm).min(1.0) } else { 1.0 };
            let along = products(&self.rows, &direction, self.categories);
            let Some(length) = self.step_length(&weights, &direction, &logits, &along, first) else { break };
            direction.iter_mut().for_each(|number| *number *= length);
            add_scaled(&mut weights, 1.0, &direction);
            add_scaled(&mut logits, length, &along);
            let next = self.gradient(&weights, &logits);
            let change = next.iter().zip(&gradient).map(|(next, before)| next - before).collect();
            memory.add(direction, change);
            gradient = next;
        }
        weights
    }

    /// How far to go along `direction`, tried from `first` on; none if the loss does not fall any more. `along` are the
    /// direction's logits: logits are linear in the weights, so a trial needs no product with the texts.
    fn step_length(
        &self,
        weights: &[f64],
        direction: &[f64],
        logits: &[f64],
        along: &[f64],
        first: f64,
    ) -> Option<f64> {
        let [weights, direction] = [weights, direction].map(|vector| &vector[..self.intercept()]);
        let squares = [dot(weights, weights), dot(weights, direction), dot(direction, direction)];
        let trial = |length: f64| self.trial(logits, along, squares, length);
        let start = trial(0.0);
        if start.slope >= 0.0 {
            return None;
        }
        let (mut low, mut low_slope, mut high) = (0.0, start.slope, None);
        let mut length = first;
        for _ in 0..MAX_TRIALS {
            let Trial { loss, slope } = trial(length);
            let falls = loss <= start.loss + SUFFICIENT_DECREASE * length * start.slope;
            if falls && slope.abs() <= SLOPE_LEFT * start.slope.abs() {
                return Some(length);
            }
            // The loss is convex: its slope rises, and the minimum lies between a negative and a positive one.
            if slope < 0.0 && falls {
                (low, low_slope) = (length, slope);
            } else {
                high = Some((length, slope));
            }
            length = match high {
                None => 2.0 * length,
                Some((high, high_slope)) => {
                    let width = high - low;
                    let between = low - low_slope * width / (high_slope - low_slope);
                    let (from, to) = (low + 0.1 * width, high - 0.1 * width);
                    if between.is_finite() { between.clamp(from, to) } else { low + 0.5 * width }
                }
            };
        }
        // Rounding hides what is left: the best place so far, if there is one.
        (low > 0.0).then_some(low)
    }

    /// `squares` are the products of weights and weights, weights and direction, direction and direction.
    fn trial(&self, logits: &[f64], along: &[f64], squares: [f64; 3], length: f64) -> Trial {
        let of_row = |row: usize| {
            let range = row * self.categories..(row + 1) * self.categories;
            let along = &along[range.clone()];
            let mut logits: Vec<f64> =
                logits[range].iter().zip(along).map(|(logit, along)| logit + length * along).collect();
            let label = self.labels[row];
            let of_label = logits[label];
            let log_total = softmax(&mut logits);
            let mean: f64 = logits.iter().zip(along).map(|(probability, along)| probability * along).sum();
            (log_total - of_label, mean - along[label])
        };
        let texts = self.rows.len();
        let of_rows: Vec<(f64, f64)> = (0..texts).into_par_iter().map(of_row).collect();
        let (loss, slope) =
            of_rows.iter().fold((0.0, 0.0), |(loss, slope), of_row| (loss + of_row.0, slope + of_row.1));
        let [weights, both, direction] = squares;
        let regularisation = self.regularisation();
        Trial {
            loss: loss / texts as f64
                + 0.5 * regularisation * (weights + length * (2.0 * both + length * direction)),
            slope: slope / texts as f64 + regularisation * (both + length * direction),
        }
    }

    /// The gradient at `weights`, whose logits are `logits`.
    fn gradient(&self, weights: &[f64], logits: &[f64]) -> Vec<f64> {
        let (texts, categories) = (self.rows.len() as f64, self.categories);
        // The derivative of each text's loss by its logits: probabilities minus the one-hot label.
        let mut residuals = logits.to_vec();
        residuals.par_chunks_mut(categories).zip(self.labels).for_each(|(row, &label)| {
            softmax(row);
            row[label] -= 1.0;
        });
        // Column by column, so that the order of a sum does not depend on the number of threads.
        let (regularisation, intercept) = (self.regularisation(), self.intercept());
        let mut gradient = vec![0.0; weights.len()];
        gradient[..intercept].par_chunks_mut(categories).enumerate().for_each(|(column, sums)| {
            for (row, value) in self.columns.row(column) {
                add_row(sums, value, &residuals[row * categories..(row + 1) * categories]);
            }
            for (sum, weight) in sums.iter_mut().zip(&weights[column * categories..]) {
                *sum = *sum / texts + regularisation * weight;
            }
        });
        for residual in residuals.chunks(categories) {
            add_row(&mut gradient[intercept..], 1.0 / texts, residual);
        }
        gradient
    }
}

/// The logits of each row, shape `[rows, categories]`.
fn products(rows: &SparseRows, weights: &[f64], categories: usize) -> Vec<f64> {
    let intercept = &weights[weights.len() - categories..];
    let mut logits = vec![0.0; rows.len() * categories];
    logits.par_chunks_mut(categories).enumerate().for_each(|(row, logits)| {
        logits.copy_from_slice(intercept);
        for (column, value) in rows.row(row) {
            add_row(logits, value, &weights[column * categories..(column + 1) * categories]);
        }
    });
    logits
}

/// `sums += scale * row`
fn add_row(sums: &mut [f64], scale: f64, row: &[f64]) {
    sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += scale * value);
}

/// The softmax in place; returns the logarithm of the exponentials' sum. The largest logit is subtracted first, so that no
/// exponential overflows.
fn softmax(logits: &mut [f64]) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    let total: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|exponential| *exponential /= total);
    largest + total.ln()
}

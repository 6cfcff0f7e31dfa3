//! Multinomial logistic regression on sparse rows, fitted by L-BFGS (scikit-learn's `LogisticRegression`).

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use rayon::prelude::*;

use crate::Error;
use crate::sparse::SparseRows;

/// Inverse strength of the regularisation, scikit-learn's `C`.
const C: f64 = 30.0;
/// Steps that L-BFGS keeps to approximate the Hessian.
const MEMORY: usize = 10;
const MAX_ITERATIONS: u64 = 200;
/// L-BFGS stops when the norm of the gradient is this small. The loss is a mean over texts.
const GRADIENT_TOLERANCE: f64 = 1e-5;

/// A fitted classifier.
pub struct LogisticRegression {
    /// Shape `[features + 1, categories]`, row by row; the last row is the intercept.
    weights: Vec<f64>,
    categories: usize,
}

impl LogisticRegression {
    /// Fits the `labels`, numbers below `categories`, of `rows`.
    ///
    /// # Errors
    /// When the optimiser fails.
    pub fn fit(rows: &SparseRows, labels: &[usize], categories: usize) -> Result<Self, Error> {
        let failed = |error: argmin::core::Error| Error::Optimiser(error.to_string());
        let objective = Objective { rows, columns: rows.transposed(), labels, categories };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY);
        let solver = solver.with_tolerance_grad(GRADIENT_TOLERANCE).map_err(failed)?;
        let start = vec![0.0; (rows.width() + 1) * categories];
        let result = Executor::new(objective, solver)
            .configure(|state| state.param(start).max_iters(MAX_ITERATIONS))
            .run()
            .map_err(failed)?;
        let weights = result.state().get_best_param().cloned();
        let weights = weights.ok_or_else(|| Error::Optimiser("it found no weights".to_owned()))?;
        Ok(Self { weights, categories })
    }

    /// The probability of each category for each row, shape `[rows, categories]`.
    pub fn probabilities(&self, rows: &SparseRows) -> Vec<Vec<f64>> {
        let row = |row| probabilities(rows, row, &self.weights, self.categories);
        (0..rows.len()).into_par_iter().map(row).collect()
    }
}

/// The function to minimise: mean cross-entropy + ‖weights‖² / (2·C·texts). The intercept is not regularised.
struct Objective<'a> {
    rows: &'a SparseRows,
    columns: SparseRows,
    labels: &'a [usize],
    categories: usize,
}

impl Objective<'_> {
    fn regularisation(&self) -> f64 {
        1.0 / (C * self.rows.len() as f64)
    }

    /// Index of the first weight of the intercept.
    fn intercept(&self) -> usize {
        self.rows.width() * self.categories
    }
}

impl CostFunction for Objective<'_> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, weights: &Vec<f64>) -> Result<f64, argmin::core::Error> {
        let texts = self.rows.len();
        let losses: Vec<f64> = (0..texts)
            .into_par_iter()
            .map(|row| -probabilities(self.rows, row, weights, self.categories)[self.labels[row]].ln())
            .collect();
        let squares: f64 = weights[..self.intercept()].iter().map(|weight| weight * weight).sum();
        Ok(losses.iter().sum::<f64>() / texts as f64 + 0.5 * self.regularisation() * squares)
    }
}

impl Gradient for Objective<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let texts = self.rows.len() as f64;
        // The derivative of each text's loss by its logits: probabilities minus the one-hot label.
        let residuals: Vec<Vec<f64>> = (0..self.rows.len())
            .into_par_iter()
            .map(|row| {
                let mut residual = probabilities(self.rows, row, weights, self.categories);
                residual[self.labels[row]] -= 1.0;
                residual
            })
            .collect();
        // Column by column, so that the order of a sum does not depend on the number of threads.
        let (regularisation, intercept) = (self.regularisation(), self.intercept());
        let mut gradient = vec![0.0; weights.len()];
        gradient[..intercept].par_chunks_mut(self.categories).enumerate().for_each(|(column, sums)| {
            for (row, value) in self.columns.row(column) {
                add_scaled(sums, value, &residuals[row]);
            }
            for (sum, weight) in sums.iter_mut().zip(&weights[column * self.categories..]) {
                *sum = *sum / texts + regularisation * weight;
            }
        });
        for residual in &residuals {
            for (sum, residual) in gradient[intercept..].iter_mut().zip(residual) {
                *sum += residual / texts;
            }
        }
        Ok(gradient)
    }
}

/// The softmax of one row's logits, shape `[categories]`.
fn probabilities(rows: &SparseRows, row: usize, weights: &[f64], categories: usize) -> Vec<f64> {
    let mut logits = weights[weights.len() - categories..].to_vec();
    for (column, value) in rows.row(row) {
        add_scaled(&mut logits, value, &weights[column * categories..]);
    }
    softmax(&mut logits);
    logits
}

/// `sums += scale * vector`; elements of `vector` beyond the length of `sums` are ignored.
fn add_scaled(sums: &mut [f64], scale: f64, vector: &[f64]) {
    sums.iter_mut().zip(vector).for_each(|(sum, value)| *sum += scale * value);
}

/// The softmax in place. The largest logit is subtracted first, so that no exponential overflows.
fn softmax(logits: &mut [f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    let total: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|exponential| *exponential /= total);
}

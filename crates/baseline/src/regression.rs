//! Multinomial logistic regression on sparse rows, fitted by L-BFGS (scikit-learn's `LogisticRegression`).

use argmin::core::{CostFunction, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use rayon::prelude::*;

use crate::Error;
use crate::rows::Rows;

/// Inverse of the weight of the regularisation, scikit-learn's `C`.
const C: f64 = 30.0;
/// Steps that L-BFGS remembers.
const MEMORY: usize = 10;
const MOST_ITERATIONS: u64 = 200;
/// L-BFGS stops when the gradient's norm is this small; the loss is a mean over texts.
const GRADIENT_TOLERANCE: f64 = 1e-5;

/// A fitted classifier.
pub struct LogisticRegression {
    /// `[features + 1, categories]`, row by row; the last row is the intercept.
    weights: Vec<f64>,
    categories: usize,
}

impl LogisticRegression {
    /// Fits the categories `labels`, numbers below `categories`, of `rows`.
    ///
    /// # Errors
    /// When the optimiser fails.
    pub fn fit(rows: &Rows, labels: &[usize], categories: usize) -> Result<Self, Error> {
        let failed = |error: argmin::core::Error| Error::Optimiser(error.to_string());
        let problem = Problem { rows, columns: rows.transposed(), labels, categories };
        let solver = LBFGS::new(MoreThuenteLineSearch::new(), MEMORY);
        let solver = solver.with_tolerance_grad(GRADIENT_TOLERANCE).map_err(failed)?;
        let start = vec![0.0; (rows.width() + 1) * categories];
        let result = Executor::new(problem, solver)
            .configure(|state| state.param(start).max_iters(MOST_ITERATIONS))
            .run()
            .map_err(failed)?;
        let weights = result.state().get_best_param().cloned();
        let weights = weights.ok_or_else(|| Error::Optimiser("it found no weights".to_owned()))?;
        Ok(Self { weights, categories })
    }

    /// The probability of each category for each row.
    pub fn probabilities(&self, rows: &Rows) -> Vec<Vec<f64>> {
        (0..rows.len())
            .into_par_iter()
            .map(|row| probabilities(rows, row, &self.weights, self.categories))
            .collect()
    }
}

/// What is minimised: mean cross-entropy + ‖weights‖² / (2·C·texts), the intercept left out.
struct Problem<'a> {
    rows: &'a Rows,
    columns: Rows,
    labels: &'a [usize],
    categories: usize,
}

impl Problem<'_> {
    fn regularisation(&self) -> f64 {
        1.0 / (C * self.rows.len() as f64)
    }

    fn intercept(&self) -> usize {
        self.rows.width() * self.categories
    }
}

impl CostFunction for Problem<'_> {
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

impl Gradient for Problem<'_> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, weights: &Vec<f64>) -> Result<Vec<f64>, argmin::core::Error> {
        let texts = self.rows.len() as f64;
        // Derivative of each text's loss by its logits: probability minus one-hot answer.
        let residuals: Vec<Vec<f64>> = (0..self.rows.len())
            .into_par_iter()
            .map(|row| {
                let mut residual = probabilities(self.rows, row, weights, self.categories);
                residual[self.labels[row]] -= 1.0;
                residual
            })
            .collect();
        // Column by column, so that no sum depends on the number of threads.
        let (regularisation, intercept) = (self.regularisation(), self.intercept());
        let mut gradient = vec![0.0; weights.len()];
        gradient[..intercept].par_chunks_mut(self.categories).enumerate().for_each(|(column, sums)| {
            for (row, value) in self.columns.row(column) {
                sums.iter_mut().zip(&residuals[row]).for_each(|(sum, residual)| *sum += value * residual);
            }
            let weights = &weights[column * self.categories..];
            sums.iter_mut()
                .zip(weights)
                .for_each(|(sum, weight)| *sum = *sum / texts + regularisation * weight);
        });
        for residual in &residuals {
            gradient[intercept..]
                .iter_mut()
                .zip(residual)
                .for_each(|(sum, residual)| *sum += residual / texts);
        }
        Ok(gradient)
    }
}

/// Softmax of the logits of one row, computed from their differences to the largest so that none overflows.
fn probabilities(rows: &Rows, row: usize, weights: &[f64], categories: usize) -> Vec<f64> {
    let mut logits = weights[weights.len() - categories..].to_vec();
    for (column, value) in rows.row(row) {
        let weights = &weights[column * categories..(column + 1) * categories];
        logits.iter_mut().zip(weights).for_each(|(logit, weight)| *logit += value * weight);
    }
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
    let total: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|power| *power /= total);
    logits
}

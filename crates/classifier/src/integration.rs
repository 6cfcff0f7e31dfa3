//! The quadrature of integrated gradients: where on the path gradients are computed, and how many.
//!
//! On the path from a masked text to the text the gradient is almost constant near both ends and large somewhere between
//! them, where the prediction changes. Gauss's rules have their points near the ends, where they are not needed. The rule
//! here is the trapezoidal rule after a substitution that puts the points nearer to each other in the middle. Twice the
//! sections use all points again, so the number of sections is doubled until the attributions are complete.

use std::f64::consts::TAU;

/// Sections that a path is divided into at first.
const SECTIONS: usize = 12;

/// How much nearer the points in the middle are: the distances are `1 − MIDDLE` of equal ones in the middle and
/// `1 + MIDDLE` at the ends. With a real model, 0.5 to 0.8 need about the same number of points, and a third fewer than 0.
const MIDDLE: f64 = 0.7;

/// How exact integrated gradients have to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integration {
    /// At most this many points; at least 2.
    pub points: usize,
    /// No more points are added when the attributions miss the difference of the two logits by at most this share of the
    /// sum of their absolute values.
    pub error: f64,
}

/// Integrated gradients of one text.
#[derive(Clone, Debug)]
pub struct IntegratedGradients {
    /// `[tokens]`
    pub weights: Vec<f32>,
    /// Points at which the gradient was computed.
    pub points: usize,
    /// By how much the weights' sum misses the difference of the two logits, as a share of the sum of the weights' absolute
    /// values.
    pub error: f64,
}

/// A sum over the points of one path, to which points are added.
pub(crate) struct PathIntegral {
    accuracy: Integration,
    sections: usize,
    /// Whether the points between those of half as many sections are the only ones that are missing.
    is_refined: bool,
    /// `[tokens]`, the sum over all points so far, not yet divided by the sections.
    sum: Vec<f64>,
    /// The logit at the start and at the end of the path.
    ends: [f64; 2],
}

impl PathIntegral {
    /// Nothing has been added yet.
    pub(crate) fn new(tokens: usize, accuracy: Integration) -> Self {
        let sections = SECTIONS.min(accuracy.points.saturating_sub(1)).max(1);
        Self { accuracy, sections, is_refined: false, sum: vec![0.0; tokens], ends: [0.0; 2] }
    }

    /// The points that have to be added next.
    pub(crate) fn wanted(&self) -> Vec<PathPoint> {
        let step = if self.is_refined { 2 } else { 1 };
        let first = step - 1;
        (first..=self.sections).step_by(step).map(|at| PathPoint { at, sections: self.sections }).collect()
    }

    /// Adds the `logit` at a point, and for each token the product of the gradient there with the whole path.
    pub(crate) fn add(&mut self, point: PathPoint, logit: f32, products: &[f32]) {
        if point.at == 0 {
            self.ends[0] = f64::from(logit);
        }
        if point.at == point.sections {
            self.ends[1] = f64::from(logit);
        }
        let weight = point.weight();
        self.sum.iter_mut().zip(products).for_each(|(sum, &product)| *sum += weight * f64::from(product));
    }

    /// When all wanted points were added: whether these are enough. Otherwise others are wanted.
    pub(crate) fn is_complete(&mut self) -> bool {
        let next = 2 * self.sections;
        if self.error() <= self.accuracy.error || next + 1 > self.accuracy.points {
            return true;
        }
        (self.sections, self.is_refined) = (next, true);
        false
    }

    /// The attributions from the points so far.
    pub(crate) fn attributions(&self) -> IntegratedGradients {
        let weights = self.sum.iter().map(|sum| (sum / self.sections as f64) as f32).collect();
        IntegratedGradients { weights, points: self.sections + 1, error: self.error() }
    }

    fn error(&self) -> f64 {
        let [start, end] = self.ends;
        let sections = self.sections as f64;
        let (total, absolute) = self.sum.iter().fold((0.0, 0.0), |(total, absolute), sum| {
            (total + sum / sections, absolute + sum.abs() / sections)
        });
        let missing = (total - (end - start)).abs();
        if missing == 0.0 { 0.0 } else { missing / absolute.max(missing) }
    }
}

/// A point of a path that is divided into sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathPoint {
    at: usize,
    sections: usize,
}

impl PathPoint {
    /// The same place where equal sections end, in [0, 1].
    fn even(self) -> f64 {
        self.at as f64 / self.sections as f64
    }

    /// The place on the path: 0 is its start and 1 its end.
    pub(crate) fn place(self) -> f64 {
        let even = self.even();
        even + MIDDLE * (TAU * even).sin() / TAU
    }

    /// The derivative of [`place`](Self::place), and half of it at both ends.
    fn weight(self) -> f64 {
        let density = 1.0 + MIDDLE * (TAU * self.even()).cos();
        if self.at == 0 || self.at == self.sections { 0.5 * density } else { density }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Integrates the derivative `slope` of `value` over [0, 1], and counts the points.
    fn integrate(
        value: fn(f64) -> f64,
        slope: fn(f64) -> f64,
        points: usize,
        error: f64,
    ) -> (IntegratedGradients, usize) {
        let mut integral = PathIntegral::new(1, Integration { points, error });
        let mut count = 0;
        loop {
            for point in integral.wanted() {
                let place = point.place();
                integral.add(point, value(place) as f32, &[slope(place) as f32]);
                count += 1;
            }
            if integral.is_complete() {
                return (integral.attributions(), count);
            }
        }
    }

    /// A step of width 0.05 in the middle, as a model changes its prediction: a logistic function and its derivative.
    fn step(x: f64) -> f64 {
        1.0 / (1.0 + (-(x - 0.55) / 0.05).exp())
    }

    fn step_slope(x: f64) -> f64 {
        step(x) * (1.0 - step(x)) / 0.05
    }

    #[test]
    fn a_smooth_path_needs_the_first_points_alone() {
        // ∫ of 3x² over [0, 1] is 1.
        let (found, count) = integrate(|x| x * x * x, |x| 3.0 * x * x, 49, 0.02);
        assert_eq!((found.points, count), (13, 13));
        assert!((found.weights[0] - 1.0).abs() < 0.02 && found.error < 0.02, "{found:?}");
    }

    #[test]
    fn points_are_doubled_until_the_sum_is_the_difference_and_none_is_computed_twice() {
        let (found, count) = integrate(step, step_slope, 1000, 1e-4);
        assert_eq!((found.points - 1) % SECTIONS, 0);
        assert_eq!(found.points, count, "each point once");
        assert!(found.points > 13 && found.error <= 1e-4, "{found:?}");
        assert!((f64::from(found.weights[0]) - (step(1.0) - step(0.0))).abs() < 2e-4, "{found:?}");
    }

    #[test]
    fn no_more_points_are_used_than_allowed_and_the_error_is_stated() {
        let (found, count) = integrate(step, step_slope, 30, 1e-9);
        assert_eq!((found.points, count), (25, 25));
        let missing = (f64::from(found.weights[0]) - (step(1.0) - step(0.0))).abs();
        assert!((found.error - missing / f64::from(found.weights[0])).abs() < 1e-6, "{found:?}");
        // Two points are the trapezoidal rule, with the weights 0.85 and 0.85 of the substitution.
        let (found, count) = integrate(|x| x, |_| 1.0, 2, 0.0);
        assert_eq!(count, 2);
        assert!((found.weights[0] - 1.7).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn a_path_on_which_nothing_changes_has_no_error() {
        let (found, _) = integrate(|_| 3.0, |_| 0.0, 13, 0.01);
        assert_eq!((found.weights[0], found.error), (0.0, 0.0));
    }
}

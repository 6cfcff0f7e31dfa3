//! L-BFGS: steps toward a minimum from the gradients before it (Nocedal and Wright 2006, algorithms 7.4 and 7.5).

use std::collections::VecDeque;

use crate::vectors::{add_scaled, dot};

/// Steps that are kept to approximate the Hessian. On 5,893 titles, 10 of them need as many iterations and most of the time.
const MEMORY: usize = 3;

/// The steps before the current point, and how the gradient changed along them.
#[derive(Default)]
pub struct Lbfgs(VecDeque<Step>);

struct Step {
    /// What was added to the point.
    step: Vec<f64>,
    /// What it added to the gradient.
    change: Vec<f64>,
    /// 1 / their scalar product
    scale: f64,
}

impl Lbfgs {
    /// Remembers a step and the change of the gradient along it. A step along which the slope does not rise is left out:
    /// the approximated Hessian would not be positive.
    pub fn add(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let product = dot(&step, &change);
        if product > f64::EPSILON * dot(&change, &change) {
            self.0.truncate(MEMORY - 1);
            self.0.push_front(Step { step, change, scale: 1.0 / product });
        }
    }

    /// The direction to go from a point with this gradient: the approximated Hessian's inverse times `−gradient`.
    pub fn direction(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
        let mut factors = Vec::with_capacity(self.0.len());
        for Step { step, change, scale } in &self.0 {
            let factor = scale * dot(step, &direction);
            add_scaled(&mut direction, -factor, change);
            factors.push(factor);
        }
        if let Some(Step { change, scale, .. }) = self.0.front() {
            let factor = 1.0 / (scale * dot(change, change));
            direction.iter_mut().for_each(|number| *number *= factor);
        }
        for (Step { step, change, scale }, factor) in self.0.iter().zip(factors).rev() {
            let other = scale * dot(change, &direction);
            add_scaled(&mut direction, factor - other, step);
        }
        direction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_steps_the_direction_is_steepest_descent() {
        assert_eq!(Lbfgs::default().direction(&[1.0, -2.0]), [-1.0, 2.0]);
    }

    #[test]
    fn the_direction_fulfils_the_secant_equation() {
        // H·change = step for the last step, so the direction from the gradient `−change` is the step.
        let mut memory = Lbfgs::default();
        memory.add(vec![1.0, 0.0, 0.5], vec![2.0, 0.5, 0.0]);
        memory.add(vec![0.0, 1.0, 0.25], vec![0.25, 3.0, 1.0]);
        let direction = memory.direction(&[-0.25, -3.0, -1.0]);
        for (found, expected) in direction.iter().zip([0.0, 1.0, 0.25]) {
            assert!((found - expected).abs() < 1e-12, "{direction:?}");
        }
    }

    #[test]
    fn a_step_along_which_the_slope_falls_is_left_out() {
        let mut memory = Lbfgs::default();
        memory.add(vec![1.0, 0.0], vec![-1.0, 0.0]);
        assert_eq!(memory.direction(&[1.0, 1.0]), [-1.0, -1.0]);
    }
}

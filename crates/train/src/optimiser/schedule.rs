//! The schedule of the learning rates, as in transformers.

use std::f64::consts::PI;

use midashi_config::{LearningRates, Schedule};

/// The factor of the learning rates at each step of a training.
pub struct LearningRateSchedule {
    schedule: Schedule,
    warmup_steps: usize,
    steps: usize,
}

impl LearningRateSchedule {
    /// For a training of `steps` optimiser steps.
    pub fn new(rates: &LearningRates, steps: usize) -> Self {
        let warmup_steps = (rates.warmup * steps as f64).ceil() as usize;
        Self { schedule: rates.schedule, warmup_steps, steps }
    }

    /// Factor at `step`, counted from 0. It rises linearly from 0 during the warm-up, so the first step
    /// changes nothing; then it is 1, or falls to 0 by the end (`get_linear_schedule_with_warmup`,
    /// `get_cosine_schedule_with_warmup`).
    pub fn factor(&self, step: usize) -> f64 {
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps as f64;
        }
        let rest = (self.steps - self.warmup_steps).max(1);
        let progress = ((step - self.warmup_steps) as f64 / rest as f64).min(1.0);
        match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Linear => 1.0 - progress,
            Schedule::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: Schedule, warmup: f64) -> Vec<f64> {
        let rates =
            LearningRateSchedule::new(&LearningRates { schedule, warmup, ..LearningRates::default() }, 10);
        (0..10).map(|step| rates.factor(step)).collect()
    }

    #[test]
    fn factors_are_those_of_transformers() {
        // get_linear_schedule_with_warmup(optimizer, 2, 10), get_cosine_schedule_with_warmup(optimizer, 2, 10),
        // get_constant_schedule_with_warmup(optimizer, 2): the learning rate of 1 at each step.
        let linear = [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125];
        let cosine = [0.0, 0.5, 1.0, 0.961_940, 0.853_553, 0.691_342, 0.5, 0.308_658, 0.146_447, 0.038_060];
        let constant = [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        for (schedule, expected) in
            [(Schedule::Linear, linear), (Schedule::Cosine, cosine), (Schedule::Constant, constant)]
        {
            for (found, expected) in factors(schedule, 0.2).iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{schedule:?}: {found}, transformers has {expected}"
                );
            }
        }
        assert!(factors(Schedule::Constant, 0.0).iter().all(|factor| *factor == 1.0));
    }
}

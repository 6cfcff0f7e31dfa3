//! Adam (Kingma & Ba 2015, algorithm 1) with PyTorch's defaults, fused: one parallel pass over
//! weight, gradient and both moments.

use rayon::prelude::*;

/// Decay of the first moment; the paper's and PyTorch's default.
const BETA_1: f32 = 0.9;
/// Decay of the second moment.
const BETA_2: f32 = 0.999;
/// Keeps the division defined.
const EPSILON: f32 = 1e-8;
/// Numbers that one task handles: a few pages, so that tasks are neither many nor uneven.
const CHUNK: usize = 1 << 14;

/// The moments of one tensor.
pub struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Moments {
    /// For a tensor of `length` numbers that has made no step.
    pub fn new(length: usize) -> Self {
        Self { first: vec![0.0; length], second: vec![0.0; length] }
    }

    /// Makes the `step`-th step, counted from 1, of `weights` against `gradient`.
    pub fn step(&mut self, step: i32, learning_rate: f64, weights: &mut [f32], gradient: &[f32]) {
        let correction_1 = 1.0 - f64::from(BETA_1).powi(step);
        let correction_2 = 1.0 - f64::from(BETA_2).powi(step);
        let size = (learning_rate / correction_1) as f32;
        let root = (1.0 / correction_2.sqrt()) as f32;
        weights
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(self.first.par_chunks_mut(CHUNK).zip(self.second.par_chunks_mut(CHUNK)))
            .for_each(|((weights, gradient), (first, second))| {
                for (((weight, &gradient), first), second) in
                    weights.iter_mut().zip(gradient).zip(first).zip(second)
                {
                    *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
                    *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
                    *weight -= size * *first / (second.sqrt() * root + EPSILON);
                }
            });
    }
}

/// Sum of squares, in an order that does not depend on the number of threads.
pub fn sum_of_squares(numbers: &[f32]) -> f64 {
    let parts: Vec<f64> = numbers
        .par_chunks(CHUNK)
        .map(|chunk| chunk.iter().map(|&number| f64::from(number) * f64::from(number)).sum())
        .collect();
    parts.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// torch.optim.Adam([w], lr=0.1) on w = [1, -2, 0.5, 3] with gradient w² + i·0.1 at step i
    /// (i = 1 … 5), PyTorch 2, float64: the weights after each step.
    const PYTORCH: [[f64; 4]; 5] = [
        [0.9000000009090909, -2.0999999997560974, 0.40000000285714277, 2.9000000001098902],
        [0.800313013908513, -2.2001337399107777, 0.29993650610474953, 2.800182438872945],
        [0.7010608645928073, -2.3004925918601855, 0.1996622253873161, 2.700671394670629],
        [0.6022842195205248, -2.4011663448988245, 0.09904994145874617, 2.6015911250744423],
        [0.5039390556017016, -2.5022415954474484, -0.001973162970582615, 2.5030646116232025],
    ];

    #[test]
    fn steps_are_pytorch() {
        let mut weights = vec![1.0_f32, -2.0, 0.5, 3.0];
        let mut moments = Moments::new(weights.len());
        for (step, expected) in (1..).zip(PYTORCH) {
            let gradient: Vec<f32> = weights.iter().map(|w| w * w + step as f32 * 0.1).collect();
            moments.step(step, 0.1, &mut weights, &gradient);
            for (found, expected) in weights.iter().zip(expected) {
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-6,
                    "step {step}: {found}, PyTorch {expected}"
                );
            }
        }
    }

    #[test]
    fn long_tensors_step_like_short_ones() {
        let length = 3 * CHUNK + 5;
        let (mut long, mut short) = (vec![1.0_f32; length], vec![1.0_f32]);
        let (mut long_moments, mut short_moments) = (Moments::new(length), Moments::new(1));
        for step in 1..4 {
            long_moments.step(step, 0.01, &mut long, &vec![0.5; length]);
            short_moments.step(step, 0.01, &mut short, &[0.5]);
        }
        assert!(long.iter().all(|weight| *weight == short[0]));
        assert_eq!(sum_of_squares(&vec![2.0; length]), 4.0 * length as f64);
    }
}

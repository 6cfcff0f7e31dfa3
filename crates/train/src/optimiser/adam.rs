//! The step of AdamW (Kingma & Ba 2015, algorithm 1; decay as in Loshchilov & Hutter 2019) with PyTorch's
//! defaults, fused: one parallel pass over weight, gradient and both moments.

use rayon::prelude::*;

/// Decay of the first moment; the paper's and PyTorch's default.
pub const BETA_1: f32 = 0.9;
/// Decay of the second moment.
pub const BETA_2: f32 = 0.999;
/// Added to the divisor, which may be 0.
pub const EPSILON: f32 = 1e-8;
/// Numbers per task: large enough to outweigh a task's overhead, small enough to balance the threads.
const CHUNK: usize = 1 << 14;

/// The moments of one tensor.
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
}

/// One step of a tensor.
#[derive(Clone, Copy)]
pub struct Step {
    /// Number of the step, counted from 1.
    pub number: i32,
    pub learning_rate: f64,
    /// The step subtracts this share of the weight, times the learning rate.
    pub weight_decay: f64,
    /// Factor of the gradient: less than 1 if it is clipped.
    pub gradient_scale: f32,
}

impl Moments {
    /// Before the first step of a tensor of `length` numbers.
    pub fn new(length: usize) -> Self {
        Self { first: vec![0.0; length], second: vec![0.0; length] }
    }

    /// Updates the moments and `weights` with `gradient`.
    pub fn step(&mut self, step: Step, weights: &mut [f32], gradient: &[f32]) {
        let correction_1 = 1.0 - f64::from(BETA_1).powi(step.number);
        let correction_2 = 1.0 - f64::from(BETA_2).powi(step.number);
        let size = (step.learning_rate / correction_1) as f32;
        let root = (1.0 / correction_2.sqrt()) as f32;
        let decay = (1.0 - step.learning_rate * step.weight_decay) as f32;
        let scale = step.gradient_scale;
        weights
            .par_chunks_mut(CHUNK)
            .zip(gradient.par_chunks(CHUNK))
            .zip(self.first.par_chunks_mut(CHUNK).zip(self.second.par_chunks_mut(CHUNK)))
            .for_each(|((weights, gradient), (first, second))| {
                for (((weight, &gradient), first), second) in
                    weights.iter_mut().zip(gradient).zip(first).zip(second)
                {
                    let gradient = scale * gradient;
                    *first = BETA_1 * *first + (1.0 - BETA_1) * gradient;
                    *second = BETA_2 * *second + (1.0 - BETA_2) * gradient * gradient;
                    *weight = decay * *weight - size * *first / (second.sqrt() * root + EPSILON);
                }
            });
    }
}

/// Sum of squares. The order of the sum does not depend on the number of threads.
pub fn sum_of_squares(numbers: &[f32]) -> f64 {
    let square = |number: &f32| f64::from(*number) * f64::from(*number);
    let of_chunk = |chunk: &[f32]| {
        // An addition waits for the one before it, so there are several sums.
        let (rows, rest) = chunk.as_chunks::<16>();
        let mut sums = [0.0; 16];
        for row in rows {
            sums.iter_mut().zip(row).for_each(|(sum, number)| *sum += square(number));
        }
        sums.iter().sum::<f64>() + rest.iter().map(square).sum::<f64>()
    };
    let parts: Vec<f64> = numbers.par_chunks(CHUNK).map(of_chunk).collect();
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

    /// torch.optim.AdamW([w], lr=0.1, weight_decay=0.3) on the same, the gradient clipped to a norm
    /// of 2 (torch.nn.utils.clip_grad_norm_).
    const PYTORCH_DECAYED: [[f64; 4]; 5] = [
        [0.8700000045670512, -2.0399999987746935, 0.3850000143535881, 2.810000000552061],
        [0.7440887577449483, -2.078916141430327, 0.2733232876601862, 2.6258046126665278],
        [0.6221880048560543, -2.116874954268915, 0.16477818048441417, 2.4473594772340626],
        [0.5041379309045109, -2.1540054331182383, 0.05929760584889303, 2.2746599881188625],
        [0.3896998529838109, -2.1904304905402636, -0.04312040224911329, 2.1077539908056764],
    ];

    fn step(number: i32, learning_rate: f64) -> Step {
        Step { number, learning_rate, weight_decay: 0.0, gradient_scale: 1.0 }
    }

    #[test]
    fn steps_are_pytorch() {
        for (weight_decay, clip, expected) in [(0.0, f64::INFINITY, PYTORCH), (0.3, 2.0, PYTORCH_DECAYED)] {
            let mut weights = vec![1.0_f32, -2.0, 0.5, 3.0];
            let mut moments = Moments::new(weights.len());
            for (number, expected) in (1..).zip(expected) {
                let gradient: Vec<f32> = weights.iter().map(|w| w * w + number as f32 * 0.1).collect();
                let gradient_scale = (clip / sum_of_squares(&gradient).sqrt()).min(1.0) as f32;
                let step = Step { weight_decay, gradient_scale, ..step(number, 0.1) };
                moments.step(step, &mut weights, &gradient);
                for (found, expected) in weights.iter().zip(expected) {
                    assert!(
                        (f64::from(*found) - expected).abs() < 2e-6,
                        "step {number}: {found}, PyTorch {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn long_tensors_step_like_short_ones() {
        let length = 3 * CHUNK + 5;
        let (mut long, mut short) = (vec![1.0_f32; length], vec![1.0_f32]);
        let (mut long_moments, mut short_moments) = (Moments::new(length), Moments::new(1));
        for number in 1..4 {
            long_moments.step(step(number, 0.01), &mut long, &vec![0.5; length]);
            short_moments.step(step(number, 0.01), &mut short, &[0.5]);
        }
        assert!(long.iter().all(|weight| *weight == short[0]));
        assert_eq!(sum_of_squares(&vec![2.0; length]), 4.0 * length as f64);
    }
}

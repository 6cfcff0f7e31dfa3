//! Sums over long vectors. Their order does not depend on the number of threads.

use rayon::prelude::*;

/// Numbers per task: small enough for a core's cache, large enough to be worth a task.
const CHUNK: usize = 1 << 13;
/// Sums that are added up side by side, because each addition waits for the one before it.
const LANES: usize = 8;

/// The scalar product.
pub fn dot(one: &[f64], other: &[f64]) -> f64 {
    let parts = one.par_chunks(CHUNK).zip(other.par_chunks(CHUNK)).map(|(one, other)| dot_chunk(one, other));
    parts.collect::<Vec<f64>>().iter().sum()
}

fn dot_chunk(one: &[f64], other: &[f64]) -> f64 {
    let (ones, rest) = one.as_chunks::<LANES>();
    let (others, other_rest) = other.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (one, other) in ones.iter().zip(others) {
        sums.iter_mut().zip(one.iter().zip(other)).for_each(|(sum, (one, other))| *sum += one * other);
    }
    sums.iter().sum::<f64>() + rest.iter().zip(other_rest).map(|(one, other)| one * other).sum::<f64>()
}

/// `sums += scale * vector`
pub fn add_scaled(sums: &mut [f64], scale: f64, vector: &[f64]) {
    let chunks = sums.par_chunks_mut(CHUNK).zip(vector.par_chunks(CHUNK));
    chunks.for_each(|(sums, vector)| {
        sums.iter_mut().zip(vector).for_each(|(sum, value)| *sum += scale * value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scalar_product_is_the_sum_over_all_numbers() {
        // Σ i·2 for i below n is n(n − 1), exact in float64.
        for count in [0, 1, 7, 8, 9, 20_001] {
            let one: Vec<f64> = (0..count).map(f64::from).collect();
            let other = vec![2.0; one.len()];
            assert_eq!(dot(&one, &other), f64::from(count) * (f64::from(count) - 1.0));
        }
    }

    #[test]
    fn a_scaled_vector_is_added_to_every_number() {
        let mut sums = vec![1.0; 20_001];
        add_scaled(&mut sums, 0.5, &vec![4.0; 20_001]);
        assert!(sums.iter().all(|&sum| sum == 3.0));
    }
}

//! Dropout masks from a counter-based generator: a mask depends only on the seed, the run and its place in
//! the model, so it is the same on every device and in a resumed training.

use midashi_config::Dropout;
use midashi_encoder::{BatchSizes, Graph, dropout_masks};
use ndarray::{ArrayD, IxDyn};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Upper limit of the masks of a run. The generator's streams below this number belong to the order of
/// the batches, one per epoch.
const PLACES: u64 = 1 << 16;

/// The masks of the `number`-th run of the training graph, counted from 1.
pub fn masks(
    graph: &Graph,
    dropout: Dropout,
    seed: u64,
    number: u64,
    sizes: BatchSizes,
) -> Vec<(String, ArrayD<f32>)> {
    let shapes = dropout_masks(graph, sizes);
    let mask = |(place, (name, shape)): (usize, (String, Vec<usize>))| {
        let rate = if name.ends_with(".attention.self") { dropout.attention } else { dropout.hidden };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number * PLACES + place as u64);
        (name, mask(&mut rng, &shape, rate))
    };
    shapes.into_par_iter().enumerate().map(mask).collect()
}

/// 0 with probability `rate`, else 1 / (1 − rate), so that the mean is 1.
fn mask(rng: &mut ChaCha8Rng, shape: &[usize], rate: f64) -> ArrayD<f32> {
    let dropped_below = (rate * f64::from(u32::MAX)) as u32;
    let scale = (1.0 / (1.0 - rate)) as f32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || if rng.next_u32() < dropped_below { 0.0 } else { scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_dropped_and_the_mean_stays() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let drawn = mask(&mut rng, &[100, 1000], 0.1);
        let dropped = drawn.iter().filter(|number| **number == 0.0).count();
        assert!((9_700..10_300).contains(&dropped), "{dropped} of 100,000");
        assert!((drawn.mean().unwrap() - 1.0).abs() < 0.01);
        assert!(mask(&mut rng, &[1000], 0.0).iter().all(|number| *number == 1.0));
    }
}

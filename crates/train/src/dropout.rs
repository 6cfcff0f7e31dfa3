//! Dropout masks from a generator that counts: the seed, the step and the place in the model decide a
//! mask, whatever was drawn before, on whatever device it is used.

use midashi_bert::{BatchSizes, Graph, dropout_masks};
use midashi_config::Dropout;
use ndarray::{ArrayD, IxDyn};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Places that a model may have; they are far fewer. The generator's streams below this number are those
/// of the batches' order, one an epoch.
const PLACES: u64 = 1 << 16;

/// The masks of the `number`-th run of the training graph, counted from 1.
pub fn masks(
    graph: &Graph,
    dropout: Dropout,
    seed: u64,
    number: u64,
    sizes: BatchSizes,
) -> Vec<(String, ArrayD<f32>)> {
    let places = dropout_masks(graph, sizes);
    let mask = |(place, (name, shape)): (usize, (String, Vec<usize>))| {
        let share = if name.ends_with(".attention.self") { dropout.attention } else { dropout.hidden };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number * PLACES + place as u64);
        (name, mask(&mut rng, &shape, share))
    };
    places.into_par_iter().enumerate().map(mask).collect()
}

/// 0 for a share of the numbers, 1 / (1 − share) for the others, so that their mean is 1.
fn mask(rng: &mut ChaCha8Rng, shape: &[usize], share: f64) -> ArrayD<f32> {
    let dropped_below = (share * f64::from(u32::MAX)) as u32;
    let kept = (1.0 / (1.0 - share)) as f32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || if rng.next_u32() < dropped_below { 0.0 } else { kept })
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

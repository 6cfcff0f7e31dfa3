//! Dropout masks from a generator that counts: the seed, the step and the place in the model decide a
//! mask, whatever was drawn before, on whatever device it is used.

use midashi_bert::{Graph, dropout_masks};
use midashi_pipeline::config::Dropout;
use ndarray::{ArrayD, IxDyn};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Masks that one step may have: the places of a model are far fewer.
const PLACES: u64 = 1 << 16;

/// The masks of the `number`-th run of the training graph, of `texts` texts, the longest of which has
/// `longest` tokens and all together `tokens`.
pub fn masks(
    graph: &Graph,
    dropout: Dropout,
    seed: u64,
    number: u64,
    [texts, longest, tokens]: [usize; 3],
) -> Vec<(String, ArrayD<f32>)> {
    let places = dropout_masks(graph, texts, longest, tokens);
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

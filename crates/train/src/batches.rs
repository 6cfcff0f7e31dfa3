//! The order in which texts are learned from.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// `texts` in batches of `size` (the last may be smaller), shuffled anew each epoch.
///
/// The order depends on the seed and the epoch alone, so that any epoch can be reached without
/// going through the ones before it.
pub fn shuffled(texts: &[usize], size: usize, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch as u64);
    let mut order = texts.to_vec();
    order.shuffle(&mut rng);
    order.chunks(size).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_sees_every_text_once_in_an_order_of_its_own() {
        let texts: Vec<usize> = (10..45).collect();
        let first = shuffled(&texts, 8, 0, 1);
        assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 8, 8, 3]);
        let mut seen = first.concat();
        seen.sort_unstable();
        assert_eq!(seen, texts);
        assert_eq!(first, shuffled(&texts, 8, 0, 1));
        assert_ne!(first, shuffled(&texts, 8, 0, 2));
        assert_ne!(first, shuffled(&texts, 8, 1, 1));
    }
}

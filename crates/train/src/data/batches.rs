//! The order of the training texts, and their batches.

use midashi_config::Train;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Number of batches whose texts are sorted by length together, as in transformers' `group_by_length`.
const GROUPED: usize = 50;

/// Divides a split into batches, in another order each epoch.
pub struct Batches<'a> {
    /// Rows of the split, which are texts or windows, and their lengths in tokens.
    pub texts: Vec<(usize, usize)>,
    pub train: &'a Train,
}

impl Batches<'_> {
    /// The batches of an epoch, counted from 1.
    ///
    /// They depend only on the seed and the epoch, so a resumed training need not repeat earlier epochs.
    pub fn epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        let Train { batch_size, group_by_length, seed, .. } = *self.train;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(epoch as u64);
        let mut order = self.texts.clone();
        order.shuffle(&mut rng);
        if !group_by_length {
            return self.cut(&order);
        }
        for group in order.chunks_mut(GROUPED * batch_size) {
            group.sort_by_key(|(_, length)| *length);
        }
        let mut batches = self.cut(&order);
        batches.shuffle(&mut rng);
        batches
    }

    /// Batches of consecutive texts: `batch_size` texts, or fewer if padded they would have more than
    /// `batch_tokens` positions.
    fn cut(&self, order: &[(usize, usize)]) -> Vec<Vec<usize>> {
        let Train { batch_size, batch_tokens, .. } = *self.train;
        let mut batches: Vec<Vec<usize>> = Vec::new();
        let mut longest = 0;
        for &(text, length) in order {
            longest = longest.max(length);
            let fits = |batch: &&mut Vec<usize>| {
                let positions = (batch.len() + 1) * longest;
                batch.len() < batch_size && (batch_tokens == 0 || positions <= batch_tokens)
            };
            match batches.last_mut().filter(fits) {
                Some(batch) => batch.push(text),
                None => {
                    batches.push(vec![text]);
                    longest = length;
                }
            }
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(train: &Train, epoch: usize) -> Vec<Vec<usize>> {
        // Text 10 has 1 token, text 44 has 35.
        Batches { texts: (10..45).map(|text| (text, text - 9)).collect(), train }.epoch(epoch)
    }

    fn seen_once(batches: &[Vec<usize>]) -> bool {
        let mut seen = batches.concat();
        seen.sort_unstable();
        seen == (10..45).collect::<Vec<_>>()
    }

    #[test]
    fn each_epoch_sees_every_text_once_in_an_order_of_its_own() {
        let train = Train { batch_size: 8, ..Train::default() };
        let first = cut(&train, 1);
        assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [8, 8, 8, 8, 3]);
        assert!(seen_once(&first));
        assert_eq!(first, cut(&train, 1));
        assert_ne!(first, cut(&train, 2));
        assert_ne!(first, cut(&Train { seed: 1, ..train }, 1));
    }

    #[test]
    fn a_budget_of_tokens_makes_smaller_batches() {
        let train = Train { batch_size: 8, batch_tokens: 60, ..Train::default() };
        let batches = cut(&train, 1);
        assert!(seen_once(&batches));
        for batch in &batches {
            let longest = batch.iter().map(|text| text - 9).max().unwrap();
            assert!(longest * batch.len() <= 60 && batch.len() <= 8, "{batch:?}");
        }
        let alone = Train { batch_tokens: 10, ..train };
        assert!(seen_once(&cut(&alone, 1)), "a text over the budget is a batch of its own");
    }

    #[test]
    fn grouped_batches_hold_neighbours_in_length_and_come_in_random_order() {
        let train = Train { batch_size: 5, group_by_length: true, ..Train::default() };
        let batches = cut(&train, 1);
        assert!(seen_once(&batches));
        assert!(
            batches.iter().all(|batch| batch.windows(2).all(|pair| pair[1] == pair[0] + 1)),
            "{batches:?}"
        );
        let first: Vec<usize> = batches.iter().map(|batch| batch[0]).collect();
        assert!(!first.is_sorted(), "{first:?}");
    }
}

//! The order in which texts are learned from, and which of them make a step together.

use midashi_config::Train;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// So many batches' texts are sorted by length together, as transformers' `group_by_length` has it.
const GROUPED: usize = 50;

/// Cuts a split into batches, anew each epoch.
pub struct Batches<'a> {
    /// Texts and their lengths in tokens.
    pub texts: Vec<(usize, usize)>,
    pub train: &'a Train,
}

impl Batches<'_> {
    /// The batches of an epoch, counted from 1.
    ///
    /// They depend on the seed and the epoch alone, so that any epoch can be reached without going
    /// through the ones before it.
    pub fn of_epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        let Train { batch_size, length_grouped, seed, .. } = *self.train;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(epoch as u64);
        let mut order = self.texts.clone();
        order.shuffle(&mut rng);
        if !length_grouped {
            return self.cut(&order);
        }
        for group in order.chunks_mut(GROUPED * batch_size) {
            group.sort_by_key(|(_, length)| *length);
        }
        let mut batches = self.cut(&order);
        batches.shuffle(&mut rng);
        batches
    }

    /// Batches of neighbours: of `batch_size` texts, or fewer where they would have more positions than
    /// `batch_tokens`.
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
        Batches { texts: (10..45).map(|text| (text, text - 9)).collect(), train }.of_epoch(epoch)
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
        let train = Train { batch_size: 5, length_grouped: true, ..Train::default() };
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

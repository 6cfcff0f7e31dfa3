//! The single attention head that explains best.

use anyhow::Result;
use midashi_artifacts::{BestHead, TokenizedText};
use midashi_classifier::Prediction;
use midashi_stage::Progress;

use super::eraser::{Eraser, Erasures};
use super::erasure::{Mode, SHARES, Selection, sums_by_unit, top_shares, units_of};
use crate::statistics::mean;

/// Which texts each round adds: every so many, from an index on. Each round spans all texts, because those of a corpus are
/// often ordered by category.
const ROUNDS: [(usize, usize); 3] = [(0, 4), (2, 4), (1, 2)];

/// The head of the last layer with the highest comprehensiveness on `texts`, whose units are masked.
///
/// It is found by successive halving (Karnin et al. 2013): all heads are measured on a quarter of the texts, the better half
/// of them on a second quarter too, and the better half of these on the rest. That is half of the erasures.
pub fn best_head(eraser: &mut Eraser<'_, '_>, texts: &[&TokenizedText]) -> Result<BestHead> {
    let predictions = eraser.classify(texts)?;
    let units: Vec<_> = texts.iter().map(|text| units_of(&text.encoding, eraser.unit)).collect();
    let count = predictions.first().map_or(0, |prediction| prediction.attention.nrows());
    let mut race = Race::new(count);
    let sizes = ROUNDS.map(|(first, step)| (first..texts.len()).step_by(step).count());
    let erasures = race.sizes(sizes.len()).zip(sizes).map(|(heads, texts)| heads * texts * SHARES.len());
    let total = erasures.sum::<usize>() as u64;
    let mut progress = Progress::new("choosing a head", total, "erasures");
    for (first, step) in ROUNDS {
        let added: Vec<usize> = (first..texts.len()).step_by(step).collect();
        let erasures: Vec<Erasures<'_>> = added
            .iter()
            .map(|&at| Erasures {
                text: texts[at],
                category: predictions[at].category.index(),
                units: &units[at],
                erasures: of_heads(&predictions[at], &units[at], race.heads()),
            })
            .collect();
        let drops = eraser.drops(&erasures, &mut progress)?;
        for drops in &drops {
            race.add(drops.chunks(SHARES.len()).map(|drops| mean(drops.iter().copied())));
        }
        race.halve();
    }
    progress.finish();
    Ok(BestHead { head: race.best() as u64, texts: texts.len() as u64 })
}

/// The erasures of each of the `heads`, one after the other.
fn of_heads(prediction: &Prediction, units: &[Vec<usize>], heads: &[usize]) -> Vec<(Mode, Selection)> {
    let of_head = |&head: &usize| top_shares(&sums_by_unit(units, &prediction.attention.row(head).to_vec()));
    heads.iter().flat_map(of_head).map(|selection| (Mode::Masked, selection)).collect()
}

/// Successive halving.
struct Race {
    /// The heads that are left, in their order.
    heads: Vec<usize>,
    /// Their scores, summed over the texts so far.
    totals: Vec<f64>,
}

impl Race {
    fn new(heads: usize) -> Self {
        Self { heads: (0..heads).collect(), totals: vec![0.0; heads] }
    }

    fn heads(&self) -> &[usize] {
        &self.heads
    }

    /// How many heads take part in each of so many rounds from now.
    fn sizes(&self, rounds: usize) -> impl Iterator<Item = usize> + use<> {
        std::iter::successors(Some(self.heads.len()), |heads| Some(heads.div_ceil(2))).take(rounds)
    }

    /// Adds the scores of one text for the heads that are left.
    fn add(&mut self, scores: impl Iterator<Item = f64>) {
        self.totals.iter_mut().zip(scores).for_each(|(total, score)| *total += score);
    }

    /// Leaves the better half of the heads, and of equal ones the first.
    fn halve(&mut self) {
        let mut order: Vec<usize> = (0..self.heads.len()).collect();
        order.sort_by(|&one, &other| self.totals[other].total_cmp(&self.totals[one]));
        order.truncate(self.heads.len().div_ceil(2));
        order.sort_unstable();
        self.heads = order.iter().map(|&at| self.heads[at]).collect();
        self.totals = order.iter().map(|&at| self.totals[at]).collect();
    }

    /// The best head so far, and of equal ones the first.
    fn best(&self) -> usize {
        let better = |best: usize, at: usize| if self.totals[at] > self.totals[best] { at } else { best };
        self.heads.get((0..self.heads.len()).fold(0, better)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_half_goes_on_and_keeps_its_scores() {
        let mut race = Race::new(5);
        assert_eq!(race.sizes(3).collect::<Vec<_>>(), [5, 3, 2]);
        race.add([0.125, 0.5, 0.25, 0.5, 0.125].into_iter());
        race.halve();
        assert_eq!(race.heads(), [1, 2, 3]);
        race.add([0.0, 0.375, 0.25].into_iter());
        race.halve();
        assert_eq!(race.heads(), [2, 3], "0.625 and 0.75, not 0.5");
        assert_eq!(race.best(), 3);
        race.add([0.25, 0.0].into_iter());
        assert_eq!(race.best(), 2);
    }

    #[test]
    fn every_text_is_in_one_round() {
        for texts in [1, 2, 3, 4, 50] {
            let mut all: Vec<usize> =
                ROUNDS.iter().flat_map(|&(first, step)| (first..texts).step_by(step)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..texts).collect::<Vec<_>>());
        }
    }
}

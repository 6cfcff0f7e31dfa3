//! The categories of one text, without the attention to its words.

use midashi_artifacts::CategoryId;
use midashi_encoder::{argmax, softmax};
use ndarray::ArrayView1;

/// The categories of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The most probable category.
    pub category: CategoryId,
    /// The classifier's output before the softmax, in the order of the model's labels.
    pub logits: Vec<f32>,
    /// Probability of each category, in the same order.
    pub probabilities: Vec<f32>,
    /// Whether the end of the text was truncated.
    pub truncated: bool,
}

impl Scores {
    pub(crate) fn new(logits: ArrayView1<'_, f32>, truncated: bool) -> Self {
        Self {
            category: CategoryId(argmax(logits) as u16),
            logits: logits.to_vec(),
            probabilities: softmax(logits),
            truncated,
        }
    }

    /// Probability of the most probable category.
    pub fn probability(&self) -> f32 {
        self.probabilities[self.category.index()]
    }
}

/// The `most` most probable categories, the most probable first; equal ones in the order of the labels. Of thousands of
/// categories, only these are sorted.
pub fn ranking(probabilities: &[f32], most: usize) -> Vec<CategoryId> {
    let mut ranking: Vec<CategoryId> = (0..probabilities.len()).map(|id| CategoryId(id as u16)).collect();
    let probability = |id: &CategoryId| probabilities[id.index()];
    let order = |one: &CategoryId, other: &CategoryId| {
        probability(other).total_cmp(&probability(one)).then_with(|| one.index().cmp(&other.index()))
    };
    if most < ranking.len() {
        ranking.select_nth_unstable_by(most, order);
        ranking.truncate(most);
    }
    ranking.sort_unstable_by(order);
    ranking
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_ranking_begins_with_the_prediction() {
        let scores = Scores::new(array![0.0, 2.0, -1.0, 2.0].view(), false);
        let places =
            |most| ranking(&scores.probabilities, most).iter().map(|id| id.index()).collect::<Vec<_>>();
        assert_eq!(places(4), [1, 3, 0, 2]);
        assert_eq!(places(9), [1, 3, 0, 2]);
        for most in 0..4 {
            assert_eq!(places(most), [1, 3, 0, 2][..most], "equal ones are cut in their order");
        }
        assert_eq!(scores.category.index(), 1);
        // e² / (2e² + 1 + 1/e)
        assert!((scores.probability() - 0.457_640).abs() < 1e-5, "{}", scores.probability());
    }
}

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

/// All categories, the most probable first; equal ones in the order of the labels.
pub fn ranking(probabilities: &[f32]) -> Vec<CategoryId> {
    let mut ranking: Vec<CategoryId> = (0..probabilities.len()).map(|id| CategoryId(id as u16)).collect();
    let probability = |id: &CategoryId| probabilities[id.index()];
    ranking.sort_by(|one, other| probability(other).total_cmp(&probability(one)));
    ranking
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_ranking_begins_with_the_prediction() {
        let scores = Scores::new(array![0.0, 2.0, -1.0, 2.0].view(), false);
        let ranking = ranking(&scores.probabilities);
        assert_eq!(ranking.iter().map(|id| id.index()).collect::<Vec<_>>(), [1, 3, 0, 2]);
        assert_eq!(scores.category, ranking[0]);
        // e² / (2e² + 1 + 1/e)
        assert!((scores.probability() - 0.457_640).abs() < 1e-5, "{}", scores.probability());
    }
}

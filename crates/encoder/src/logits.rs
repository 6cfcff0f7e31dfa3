//! From a text's logits to probabilities and a category.

use ndarray::ArrayView1;

/// The category of the largest logit or probability; of equal ones the first.
pub fn argmax(row: ArrayView1<'_, f32>) -> usize {
    (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}

/// Probabilities of logits, computed from their differences to the largest so that none overflows.
pub fn softmax(logits: ArrayView1<'_, f32>) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / total) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn argmax_is_the_first_of_equal_categories() {
        assert_eq!(argmax(array![0.25, 0.5, 0.5].view()), 1);
    }

    #[test]
    fn probabilities_sum_to_one_however_large_the_logits() {
        let probabilities = softmax(array![1000.0, 999.0, -1000.0].view());
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // 1 / (1 + 1/e)
        assert!((probabilities[0] - 0.731_058_6).abs() < 1e-6);
    }
}

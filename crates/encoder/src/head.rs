//! What computes the logits from the last hidden state of `[CLS]`, and its form in a written model.
//!
//! `BertForSequenceClassification` of transformers always has a pooler: `classifier(tanh(pooler(h)))`. A linear head is
//! written in that form as a pooler of [`SCALE`] times the identity without bias, and a classifier whose weights are
//! divided by `SCALE`. The tanh of such small numbers is linear, so the logits stay the same up to rounding. `SCALE` is
//! a power of two, so a reader recovers the classifier's weights bit for bit.

use ndarray::{ArrayD, Axis, Ix1, Ix2};

use crate::config::{EncoderConfig, POOLER};
use crate::error::{Error, Result};
use crate::weights::Weights;

/// The factor of the identity in the pooler of a written linear head: 2⁻¹².
///
/// With a real checkpoint, powers from 2⁻¹⁰ to 2⁻¹⁴ change a logit by no more than float32 rounds it, and lose nothing in
/// float16 either. The middle one leaves room for larger hidden states (the error grows with their square) and for larger
/// weights (float16 ends at 65,504).
pub const SCALE: f32 = 1.0 / 4096.0;

/// What computes the logits from the last hidden state of `[CLS]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of logits.
    pub labels: usize,
    /// Whether a pooler (linear layer and tanh) comes before the linear classifier, as in
    /// `BertForSequenceClassification`.
    pub pooler: bool,
}

impl Head {
    /// A linear classifier on `[CLS]`.
    pub fn linear(labels: usize) -> Self {
        Self { labels, pooler: false }
    }

    /// A pooler and a linear classifier on it.
    pub fn with_pooler(labels: usize) -> Self {
        Self { labels, pooler: true }
    }

    /// Names and shapes of its tensors.
    pub fn tensors(self, config: &EncoderConfig) -> Vec<(String, Vec<usize>)> {
        let pooler = config.pooler_tensors().into_iter().filter(|_| self.pooler);
        pooler.chain(classifier_tensors(self.labels, config.hidden_size)).collect()
    }

    /// The head of `weights` as `BertForSequenceClassification` has it: pooler and classifier.
    ///
    /// # Errors
    /// When a tensor of the head is missing.
    pub fn to_bert(self, config: &EncoderConfig, weights: &Weights) -> Result<Weights> {
        let mut head = Weights::default();
        for (name, _) in self.tensors(config) {
            let tensor = weights.get(&name).ok_or_else(|| Error::Unfilled(name.clone()))?;
            head.insert(name, tensor.clone());
        }
        if !self.pooler {
            for (name, shape) in config.pooler_tensors() {
                let mut tensor = ArrayD::zeros(shape);
                if tensor.ndim() == 2 {
                    tensor.diag_mut().fill(SCALE);
                }
                head.insert(name, tensor);
            }
            head.multiply(CLASSIFIER_WEIGHT, 1.0 / SCALE);
        }
        Ok(head)
    }

    /// Undoes [`to_bert`](Self::to_bert) for a linear head in `weights`. Returns whether they are without a pooler now:
    /// one that is no multiple of the identity stays.
    pub(crate) fn undo(weights: &mut Weights) -> bool {
        let names = ["weight", "bias"].map(|part| format!("{POOLER}.{part}"));
        let [Some(weight), Some(bias)] = names.each_ref().map(|name| weights.get(name)) else {
            return !weights.has_pooler();
        };
        let Some(scale) = identity_scale(weight, bias) else { return false };
        for name in &names {
            weights.remove(name);
        }
        weights.multiply(CLASSIFIER_WEIGHT, scale);
        true
    }
}

/// The matrix of the linear classifier, `[labels, hidden_size]`.
const CLASSIFIER_WEIGHT: &str = "classifier.weight";

fn classifier_tensors(labels: usize, hidden_size: usize) -> [(String, Vec<usize>); 2] {
    [(CLASSIFIER_WEIGHT.to_owned(), vec![labels, hidden_size]), ("classifier.bias".to_owned(), vec![labels])]
}

/// The factor of a pooler that is a power of two, 1 at most, times the identity without bias; `None` for every other
/// pooler.
pub(crate) fn identity_scale(weight: &ArrayD<f32>, bias: &ArrayD<f32>) -> Option<f32> {
    /// The bits of a float32's mantissa.
    const MANTISSA: u32 = (1 << (f32::MANTISSA_DIGITS - 1)) - 1;
    let matrix = weight.view().into_dimensionality::<Ix2>().ok()?;
    let bias = bias.view().into_dimensionality::<Ix1>().ok()?;
    let scale = *matrix.first()?;
    let is_power_of_two = scale.is_normal() && scale.to_bits() & MANTISSA == 0;
    if !is_power_of_two || !(0.0..=1.0).contains(&scale) || bias.iter().any(|number| *number != 0.0) {
        return None;
    }
    let is_right = |row: usize, column: usize, number: f32| {
        if row == column { number == scale } else { number == 0.0 }
    };
    let rows = matrix.axis_iter(Axis(0)).enumerate();
    let mut numbers = rows
        .flat_map(|(row, numbers)| numbers.into_iter().enumerate().map(move |(column, n)| (row, column, *n)));
    numbers.all(|(row, column, number)| is_right(row, column, number)).then_some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EncoderConfig {
        serde_json::from_str(
            r#"{"model_type": "bert", "vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1,
                "num_attention_heads": 2, "intermediate_size": 4, "max_position_embeddings": 4}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_linear_head_is_recovered_bit_for_bit() {
        let config = config();
        let mut weights = Weights::default();
        weights.add_classifier(3, config.hidden_size, 7);
        // The smallest and the largest numbers that a training could reach.
        if let Some(numbers) = weights.get_mut(CLASSIFIER_WEIGHT).and_then(|tensor| tensor.as_slice_mut()) {
            numbers[..4].copy_from_slice(&[f32::MIN_POSITIVE / 8.0, -0.0, 1e30, -1e-30]);
        }
        let written = Head::linear(3).to_bert(&config, &weights).unwrap();
        assert_eq!(written.get("bert.pooler.dense.weight").unwrap().sum(), 8.0 * SCALE);
        assert_ne!(written.get(CLASSIFIER_WEIGHT), weights.get(CLASSIFIER_WEIGHT));
        let mut read = written;
        assert!(Head::undo(&mut read));
        let bits = |weights: &Weights| -> Vec<(String, Vec<u32>)> {
            let of = |(name, tensor): (&str, &ArrayD<f32>)| {
                (name.to_owned(), tensor.iter().map(|number| number.to_bits()).collect())
            };
            weights.iter().map(of).collect()
        };
        assert_eq!(bits(&read), bits(&weights));
    }

    #[test]
    fn only_a_power_of_two_times_the_identity_is_undone() {
        let identity =
            |scale: f32| ArrayD::from_shape_fn(vec![4, 4], |at| if at[0] == at[1] { scale } else { 0.0 });
        let zeros = ArrayD::zeros(vec![4]);
        assert_eq!(identity_scale(&identity(0.125), &zeros), Some(0.125));
        assert_eq!(identity_scale(&identity(0.1), &zeros), None, "not a power of two");
        assert_eq!(identity_scale(&identity(2.0), &zeros), None, "the tanh is not linear there");
        assert_eq!(identity_scale(&identity(-0.125), &zeros), None);
        assert_eq!(identity_scale(&identity(0.0), &zeros), None);
        assert_eq!(identity_scale(&identity(0.125), &ArrayD::ones(vec![4])), None, "a bias");
        let mut other = identity(0.125);
        other[[1, 2]] = 1e-9;
        assert_eq!(identity_scale(&other, &zeros), None);
        other = identity(0.125);
        other[[3, 3]] = 0.25;
        assert_eq!(identity_scale(&other, &zeros), None);
    }
}

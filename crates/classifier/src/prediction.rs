//! The model's prediction for one text.

use midashi_artifacts::{CategoryId, PaddingShares};
use midashi_encoder::{ATTENTION, LOGITS, argmax, softmax};
use midashi_runtime::Outputs;
use ndarray::{Array2, ArrayView1, s};

use crate::Result;

/// The model's prediction for one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable category.
    pub category: CategoryId,
    /// The classifier's output before the softmax, in the order of the model's labels.
    pub logits: Vec<f32>,
    /// Probability of each category, in the same order.
    pub probabilities: Vec<f32>,
    /// Attention of `[CLS]` in the last layer, `[heads, tokens]`; rows sum to 1 less the share of padding.
    pub attention: Array2<f32>,
    /// Share of the padding; 0 where padding is masked and no text of the batch is longer.
    pub padding: PaddingShares,
}

impl Prediction {
    pub(crate) fn new(logits: Vec<f32>, attention: Array2<f32>, padding: PaddingShares) -> Self {
        let view = ArrayView1::from(&logits);
        let (category, probabilities) = (CategoryId(argmax(view) as u16), softmax(view));
        Self { category, logits, probabilities, attention, padding }
    }

    /// The predictions of a batch from the outputs of a classifier graph; `lengths` are the texts' tokens.
    pub(crate) fn of_batch(outputs: &Outputs, lengths: &[usize]) -> Result<Vec<Self>> {
        let (logits, attention) = (outputs.finite(LOGITS)?, outputs.finite(ATTENTION)?);
        let (heads, longest) = (attention.shape()[1] as f64, attention.shape()[2] as f64);
        let prediction = |(row, &tokens): (usize, &usize)| {
            let padding = PaddingShares {
                positions: 1.0 - tokens as f64 / longest,
                attention: f64::from(attention.slice(s![row, .., tokens..]).sum()) / heads,
            };
            let attention = attention.slice(s![row, .., ..tokens]).to_owned();
            Self::new(logits.slice(s![row, ..]).iter().copied().collect(), attention, padding)
        };
        Ok(lengths.iter().enumerate().map(prediction).collect())
    }
}

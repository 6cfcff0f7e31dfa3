//! The model's prediction for one text.

use midashi_artifacts::{CategoryId, PaddingShares};
use midashi_encoder::{ATTENTION, LOGITS, argmax, softmax};
use midashi_runtime::Outputs;
use ndarray::{Array2, s};

use crate::Result;

/// The model's prediction for one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The most probable category.
    pub category: CategoryId,
    /// Probability of each category, in the order of the model's labels.
    pub probabilities: Vec<f32>,
    /// Attention of `[CLS]` in the last layer, `[heads, tokens]`; rows sum to 1 less the share of padding.
    pub attention: Array2<f32>,
    /// Share of the padding; 0 where padding is masked and no text of the batch is longer.
    pub padding: PaddingShares,
}

impl Prediction {
    /// The predictions of a batch from the outputs of a classifier graph; `lengths` are the texts' tokens.
    pub(crate) fn of_batch(outputs: &Outputs, lengths: &[usize]) -> Result<Vec<Self>> {
        let (logits, attention) = (outputs.float32(LOGITS)?, outputs.float32(ATTENTION)?);
        let (heads, longest) = (attention.shape()[1] as f64, attention.shape()[2] as f64);
        let prediction = |(row, &tokens): (usize, &usize)| Self {
            category: CategoryId(argmax(logits.slice(s![row, ..])) as u16),
            probabilities: softmax(logits.slice(s![row, ..])),
            attention: attention.slice(s![row, .., ..tokens]).to_owned(),
            padding: PaddingShares {
                positions: 1.0 - tokens as f64 / longest,
                attention: f64::from(attention.slice(s![row, .., tokens..]).sum()) / heads,
            },
        };
        Ok(lengths.iter().enumerate().map(prediction).collect())
    }
}

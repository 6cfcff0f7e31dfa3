//! The methods that weigh a text's tokens.

use serde::Serialize;

use crate::{Error, ModelFolder, Result};

/// A method that gives every token a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Attention of `[CLS]`.
    Attention {
        /// The layer, counted from 0; none for the last.
        layer: Option<usize>,
        /// The head, counted from 0; none for the sum over all heads.
        head: Option<usize>,
    },
    /// Attention rollout (Abnar and Zuidema 2020).
    Rollout,
    /// Gradient of the predicted category's logit with respect to the word embeddings, times the embeddings.
    GradientXInput,
    /// Integrated gradients from the text with all words masked (Sundararajan et al. 2017).
    IntegratedGradients,
}

impl Method {
    /// Attention of `[CLS]` in the last layer, summed over the heads, as in the article.
    pub const ATTENTION: Self = Self::Attention { layer: None, head: None };

    /// Whether negative weights count against the predicted category.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::GradientXInput | Self::IntegratedGradients)
    }

    /// Checks that the model has the layer and the head.
    ///
    /// # Errors
    /// [`Error::NoSuch`] when it has not.
    pub fn check(self, model: &ModelFolder) -> Result<()> {
        let Self::Attention { layer, head } = self else { return Ok(()) };
        let config = model.config();
        for (what, found, count) in
            [("layer", layer, config.num_hidden_layers), ("head", head, config.num_attention_heads)]
        {
            if let Some(found) = found.filter(|&found| found >= count) {
                return Err(Error::NoSuch { what, found, count });
            }
        }
        Ok(())
    }
}

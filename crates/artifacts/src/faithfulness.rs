//! Section `faithfulness` of `metrics.json`: how well a method's weights identify the units that a prediction
//! depends on, measured as in ERASER (DeYoung et al. 2020).

use midashi_text::Unit;
use serde::{Deserialize, Serialize};

use crate::interval::Interval;

/// Faithfulness of all methods on the same sample of test texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Faithfulness {
    /// Number of sampled texts.
    pub texts: u64,
    /// The unit that is masked or removed.
    pub units: Unit,
    /// The token that replaces each token of a masked unit: the mask token, or the unknown token if the
    /// tokenizer has no mask token.
    pub replacement: String,
    /// Mean number of units per text.
    pub mean_units: f64,
    /// Shares of a text's units that are masked or removed; comprehensiveness and sufficiency are means over
    /// these shares (AOPC).
    pub shares: Vec<f64>,
    /// One entry per method; `random` is the reference.
    pub methods: Vec<MethodFaithfulness>,
    /// The head of `best_head`.
    pub best_head: BestHead,
    /// How exact `integrated_gradients` are; older runs do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integration: Option<Integration>,
}

/// How exact integrated gradients are. Their error is the difference between their sum and the difference of the logits of
/// the text and of its baseline, as a share of the sum of their absolute values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Integration {
    /// Mean number of points per text, or per window, at which the gradient was computed.
    pub mean_points: f64,
    /// Mean error.
    pub mean_error: f64,
    /// Largest error.
    pub largest_error: f64,
}

/// A method of explanation: how much each token mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Attention of `[CLS]` in the last layer, summed over the heads, as in the article.
    Attention,
    /// Attention of `[CLS]` in the last layer, in the head that is best on other texts.
    BestHead,
    /// Attention rollout.
    Rollout,
    /// Gradient × input.
    GradientXInput,
    /// Integrated gradients.
    IntegratedGradients,
    /// Random numbers.
    Random,
}

/// The best head and the texts it was chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestHead {
    /// Its index in the last layer, from 0.
    pub head: u64,
    /// Number of texts on which it has the highest comprehensiveness: of the validation split, or of the
    /// training split if there is no validation split.
    pub texts: u64,
}

/// Faithfulness of one method.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodFaithfulness {
    /// The method.
    pub method: Method,
    /// Erasure by replacing each token of a unit with `replacement`.
    pub masked: Erasure,
    /// Erasure by removing units.
    pub removed: Erasure,
    /// Kendall's τ-b between the method's weights and the loss of probability when one unit is replaced.
    pub leave_one_out: Measure,
}

/// Loss of the predicted category's probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// Loss without the units of the largest weights: higher is better.
    pub comprehensiveness: Measure,
    /// Loss with only the units of the largest weights: lower is better.
    pub sufficiency: Measure,
}

/// A mean over the texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The mean.
    pub mean: f64,
    /// Its confidence interval.
    pub interval: Interval,
    /// The mean difference to `random` on the same texts; none for `random` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_random: Option<Difference>,
    /// The mean difference to `attention` on the same texts; none for `attention` and `random`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_attention: Option<Difference>,
}

/// A mean of differences on the same texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// Its confidence interval.
    pub interval: Interval,
    /// Whether it is significant at 5 %.
    #[serde(default)]
    pub significant: bool,
}

impl Faithfulness {
    /// The entry of a method; none if it was not measured.
    pub fn of(&self, method: Method) -> Option<&MethodFaithfulness> {
        self.methods.iter().find(|row| row.method == method)
    }
}

impl Difference {
    /// Fewest texts of which a difference can be significant: that all of five have the same sign happens by chance in 6 %
    /// of cases.
    const LEAST_TEXTS: usize = 6;

    /// A mean over `texts` texts. It is significant if 0 is outside the interval.
    pub fn new(mean: f64, interval: Interval, texts: usize) -> Self {
        let is_outside = interval.low > 0.0 || interval.high < 0.0;
        Self { mean, interval, significant: is_outside && texts >= Self::LEAST_TEXTS }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_texts_are_never_significant() {
        let significant = |low, high, texts| Difference::new(0.1, Interval { low, high }, texts).significant;
        assert!(significant(0.05, 0.15, 6) && significant(-0.15, -0.05, 6));
        assert!(!significant(0.05, 0.15, 5) && !significant(0.1, 0.1, 1));
        assert!(!significant(-0.05, 0.25, 1000), "0 is inside");
    }
}

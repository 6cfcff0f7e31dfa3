//! Section `[evaluate]`: predictions, metrics and explanations.

use serde::{Deserialize, Serialize};

use crate::all;
use crate::device::DeviceChoice;

/// What is computed on the test split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluate {
    /// Number of test texts whose attention is stored, evenly spaced over the split, or `"all"`.
    pub attention_texts: TextCount,
    /// Tokens per batch. On a CPU each thread computes a quarter of them at a time.
    pub batch_tokens: usize,
    /// Device of evaluation.
    pub device: DeviceChoice,
    /// Whether the baseline, a linear model on character n-grams, is fitted on the same texts.
    pub baseline: bool,
    /// Whether the mean of both models' probabilities is scored too.
    pub ensemble: bool,
    /// Weight of the fine-tuned model in that mean, in [0, 1]; the rest is the baseline's.
    pub ensemble_weight: f64,
    /// Explanations of the predictions.
    pub explain: Explain,
}

/// How much each token mattered for a prediction, and how faithful these explanations are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explain {
    /// Number of test texts that are explained by every layer's attention, attention rollout and gradient
    /// × input, evenly spaced over the split, or `"all"`.
    pub texts: TextCount,
    /// Number of those for which integrated gradients and faithfulness are computed.
    pub faithfulness_texts: usize,
    /// Number of those for which the attention of every token to every token in every head is stored.
    pub matrices: usize,
    /// Most integration points of integrated gradients between the masked baseline and the text. Every text has 13 of them;
    /// 25, 49 and so on are used for those that need them to reach `integration_error`.
    pub integration_points: usize,
    /// Largest accepted error of integrated gradients: the difference between their sum and the difference of the logits,
    /// as a share of the sum of their absolute values, in [0, 1].
    pub integration_error: f64,
    /// Most memory in GiB for the attention of all layers, which gradients and stored matrices need: 12 bytes × layers × heads ×
    /// tokens². A text that needs more is an error; 0 is no limit.
    pub memory_gib: f64,
}

/// A number of texts, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of texts, or \"all\"")]
pub enum TextCount {
    /// No more than these.
    AtMost(usize),
    /// All.
    #[serde(with = "all")]
    All,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            attention_texts: TextCount::All,
            batch_tokens: 2048,
            device: DeviceChoice::default(),
            baseline: true,
            ensemble: false,
            ensemble_weight: 0.5,
            explain: Explain::default(),
        }
    }
}

impl Default for Explain {
    fn default() -> Self {
        Self {
            texts: TextCount::AtMost(300),
            faithfulness_texts: 25,
            matrices: 12,
            integration_points: 49,
            integration_error: 0.1,
            memory_gib: 16.0,
        }
    }
}

impl Explain {
    /// No explanations.
    pub fn nothing() -> Self {
        Self { texts: TextCount::AtMost(0), faithfulness_texts: 0, matrices: 0, ..Self::default() }
    }
}

impl TextCount {
    /// The number of texts if there are `texts`.
    pub fn of(self, texts: usize) -> usize {
        match self {
            Self::AtMost(count) => count.min(texts),
            Self::All => texts,
        }
    }
}

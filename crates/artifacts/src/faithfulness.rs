//! Section `faithfulness` of `metrics.json`: whether a method's weights say what the model's answer
//! rests on, as ERASER measures it (DeYoung et al. 2020).

use serde::{Deserialize, Serialize};

use crate::Interval;

/// All methods on the same sample of test texts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Faithfulness {
    /// Number of sampled texts.
    pub texts: u64,
    /// What is taken from a text, one at a time or several.
    pub units: Unit,
    /// The token that stands for a unit that is masked: the mask token, or where the tokenizer has none the
    /// unknown token.
    pub replacement: String,
    /// Units of a text, on average.
    pub mean_units: f64,
    /// Shares of a text's units that are taken; comprehensiveness and sufficiency are means over them (AOPC).
    pub shares: Vec<f64>,
    /// One entry for each method; `random` is the floor.
    pub methods: Vec<MethodFaithfulness>,
    /// The head that `best_head` is.
    pub best_head: BestHead,
}

/// What is taken from a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The tokenizer's words.
    Words,
    /// Tokens: the tokenizer knows no words, only what stands between spaces.
    Tokens,
}

/// A way of saying how much each token mattered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Attention of `[CLS]` in the last layer, summed over the heads, as in the article.
    Attention,
    /// Attention of `[CLS]` in the last layer in the one head that does best on other texts.
    BestHead,
    /// Attention rollout.
    Rollout,
    /// Gradient × input.
    GradientXInput,
    /// Integrated gradients.
    IntegratedGradients,
    /// Numbers drawn at random.
    Random,
}

/// The one head, and on what it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestHead {
    /// Its number in the last layer, from 0.
    pub head: u64,
    /// Number of texts on which it had the highest comprehensiveness; they are of the validation split, or of
    /// the training split where there is none.
    pub texts: u64,
}

/// What one method scores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodFaithfulness {
    /// Which.
    pub method: Method,
    /// With units replaced by `replacement`, token by token.
    pub masked: Erasure,
    /// With units left out.
    pub removed: Erasure,
    /// Kendall's τ-b between the method's weights and how much of the probability is lost with each unit
    /// alone, replaced.
    pub leave_one_out: Measure,
}

/// What is left of the predicted category's probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Erasure {
    /// How much is lost without the heaviest units: the more, the better they are chosen.
    pub comprehensiveness: Measure,
    /// How much is lost with the heaviest units alone: the less, the better they are chosen.
    pub sufficiency: Measure,
}

/// A mean over the texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The mean.
    pub mean: f64,
    /// How sure it is.
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
    /// How sure it is; a difference is told from chance where 0 is outside.
    pub interval: Interval,
}

impl Faithfulness {
    /// What a method scores; none if it was not measured.
    pub fn of(&self, method: Method) -> Option<&MethodFaithfulness> {
        self.methods.iter().find(|row| row.method == method)
    }
}

impl Difference {
    /// Whether it can be told from chance, at the usual 5 %.
    pub fn is_significant(&self) -> bool {
        self.interval.low > 0.0 || self.interval.high < 0.0
    }
}

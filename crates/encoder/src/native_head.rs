//! The head of an architecture's class for sequence classification in transformers, as data.

use crate::geometry::Activation;

/// `classifier(dropout(norm(activation(dense(x)))))` on the pooled hidden state `x`; some have no norm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NativeHead {
    /// The class, `BertForSequenceClassification`.
    pub(crate) class: String,
    /// The name of the first linear layer, `[hidden_size, hidden_size]`.
    pub(crate) dense: String,
    /// Whether the first linear layer has a bias.
    pub(crate) has_bias: bool,
    /// The function after it.
    pub(crate) activation: Activation,
    /// Layer normalisation after the function: its name and whether it has a bias.
    pub(crate) norm: Option<(String, bool)>,
    /// The name of the second linear layer, `[labels, hidden_size]`.
    pub(crate) classifier: String,
    /// Whether the input of the first linear layer has dropout. The input of the second always has.
    pub(crate) drops_input: bool,
    /// The key of `config.json` for the dropout before the second linear layer.
    pub(crate) dropout_key: &'static str,
    /// The key of `config.json` that selects the pooling; none where `[CLS]` is always read.
    pub(crate) pooling_key: Option<&'static str>,
}

//! Names of the graphs' inputs and outputs.

/// Input of the token ids, int64 `[batch, tokens]`.
pub const INPUT_IDS: &str = "input_ids";
/// Input of the word embeddings where a graph starts at them, float32 `[batch, tokens, hidden_size]`: the
/// rows of the table [`word_embeddings`](crate::EncoderConfig::word_embeddings) that [`INPUT_IDS`] names, or points between them.
pub const INPUTS_EMBEDS: &str = "inputs_embeds";
/// Input that tells the texts of a pair apart, int64 `[batch, tokens]`: rows of the token type embeddings,
/// 0 for single texts.
pub const TOKEN_TYPE_IDS: &str = "token_type_ids";
/// Input that is 1 for tokens and 0 for padding, int64 `[batch, tokens]`.
pub const ATTENTION_MASK: &str = "attention_mask";
/// The tail's input of the trunk's hidden states, float32 `[batch, tokens, hidden_size]`, and the trunk's
/// output, which has no padding: text after text, `[all tokens, hidden_size]`.
pub const HIDDEN_STATES: &str = "hidden_states";
/// The training graph's input of how much each category counts for each text, float32 `[batch, labels]`. A
/// 1 at the text's category, divided by the number of texts, makes the loss their mean cross-entropy. Label
/// smoothing and class weights are other numbers.
pub const TARGETS: &str = "targets";
/// The classifier's output before the softmax, float32 `[batch, labels]`.
pub const LOGITS: &str = "logits";
/// The classifier's output of attention from `[CLS]` in the last layer, float32 `[batch, heads, tokens]`; each
/// head's row sums to 1.
pub const ATTENTION: &str = "attention";
/// The training graph's output `−Σ targets · log softmax(logits)`, a float32 scalar.
pub const LOSS: &str = "loss";
/// The encoder's output after the last layer, float32 `[batch, tokens, hidden_size]`.
pub const LAST_HIDDEN_STATE: &str = "last_hidden_state";
/// The pooler's output, float32 `[batch, hidden_size]`.
pub const POOLER_OUTPUT: &str = "pooler_output";
/// Input that the learning rates are multiplied with, a float32 scalar.
pub const RATE_FACTOR: &str = "rate_factor";
/// Input [`RATE_FACTOR`] `/ (1 − β₁ᵗ)` of step `t`, a float32 scalar.
pub const STEP_SIZE: &str = "step_size";
/// Input `1 / √(1 − β₂ᵗ)` of step `t`, a float32 scalar.
pub const BIAS_CORRECTION: &str = "bias_correction";
/// Output of the Euclidean norm of all gradients together before clipping, a float32 scalar.
pub const GRADIENT_NORM: &str = "gradient_norm";

/// Output of a layer's attention, float32 `[batch, heads, tokens, tokens]`: from each token in the third axis
/// to all tokens in the fourth, where it sums to 1.
pub fn attentions_name(layer: usize) -> String {
    format!("attentions.{layer}")
}

/// Output of a layer's attention from `[CLS]`, float32 `[batch, heads, tokens]`.
pub fn cls_attention_name(layer: usize) -> String {
    format!("cls_attention.{layer}")
}

/// Output of a layer's attention, mean over the heads, float32 `[batch, tokens, tokens]`. With gradients, it is of the last
/// layer the row of `[CLS]` alone, `[batch, 1, tokens]`.
pub fn mean_attention_name(layer: usize) -> String {
    format!("mean_attention.{layer}")
}

/// Output of the gradient with respect to the parameter or input `name`, in its shape.
pub fn gradient_name(name: &str) -> String {
    format!("gradient.{name}")
}

/// Input of the gradient of the parameter `name`, summed over the step's micro-batches so far.
pub fn gradient_sum_name(name: &str) -> String {
    format!("gradient_sum.{name}")
}

/// Input of the first moment of the parameter `name`, in its shape.
pub fn first_moment_name(name: &str) -> String {
    format!("first_moment.{name}")
}

/// Input of the second moment of the parameter `name`, in its shape.
pub fn second_moment_name(name: &str) -> String {
    format!("second_moment.{name}")
}

/// Output that is the input `name` of the next run.
pub fn next_name(name: &str) -> String {
    format!("next.{name}")
}

/// Input of the dropout mask of hidden states at a place in the model, such as `bert.encoder.layer.0.output`.
pub(crate) fn hidden_dropout_name(place: &str) -> String {
    format!("hidden_dropout.{place}")
}

/// Input of the dropout mask of attention weights at a place in the model.
pub(crate) fn attention_dropout_name(place: &str) -> String {
    format!("attention_dropout.{place}")
}

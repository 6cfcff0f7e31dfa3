//! Attention of `[CLS]` alone, without keys and values of the other tokens.
//!
//! With one query `q` per text and head, the products can be taken in another order:
//!
//! - The score of token `t` is `q·(W_k·x_t + b_k) = (W_kᵀ·q)·x_t + q·b_k`. The last term is the same for all tokens, so
//!   softmax ignores it, and the bias of the keys has no part in the result.
//! - The mean of the values with the weights `a_t` is `Σ a_t·(W_v·x_t + b_v) = W_v·(Σ a_t·x_t) + b_v·Σ a_t`. The weights
//!   sum to 1 unless some are dropped.
//!
//! `W_k` and `W_v` are multiplied with a row per text, and the hidden states `x_t` with a row per text and head. Keys and
//! values of all tokens would take `head_size` times as many operations, and so would the gradients of their weights.

use midashi_onnx::Value;

use crate::geometry::Geometry;
use crate::nodes::Nodes;
use crate::padding::{BATCH, TOKENS};

/// The layer whose attention is computed, by its names.
pub(super) struct ClsAttention<'n> {
    /// The place where attention weights are dropped.
    pub(super) place: &'n str,
    /// The linear layer of the keys.
    pub(super) key: &'n str,
    /// The linear layer of the values.
    pub(super) value: &'n str,
}

impl ClsAttention<'_> {
    /// From the queries of `[CLS]`, `[batch, hidden_size]`, and all hidden states, `[batch, tokens, hidden_size]`: the means of
    /// the values, `[batch, hidden_size]`, and the attention, `[batch, heads, 1, tokens]`. The hidden states of padding may be
    /// any finite numbers. The products are float32 in every precision of the graph: there are too few for integers to be faster.
    pub(super) fn of<'g>(&self, nodes: Nodes<'g>, query: Value<'g>, hidden: Value<'g>) -> [Value<'g>; 2] {
        let Geometry { hidden_size: width, num_attention_heads: heads, .. } = *nodes.geometry;
        let size = nodes.geometry.head_size();
        // A matrix `[head_size, hidden_size]` for each head.
        let matrices = |layer: &str| {
            let weight = nodes.graph.parameter(&format!("{layer}.weight"), &[width, width]);
            weight.reshape(&[heads.into(), size.into(), width.into()])
        };
        // Texts and heads exchanged. ONNX Runtime fuses this into the products.
        let exchanged = |x: Value<'g>| x.transpose(&[1, 0, 2]);
        let last_exchanged = |x: Value<'g>| x.transpose(&[0, 2, 1]);

        let query = exchanged(query.reshape(&[BATCH.into(), heads.into(), size.into()]));
        let of_hidden = exchanged(query.matmul(matrices(self.key)));
        let scores = of_hidden.matmul(last_exchanged(hidden)) * (1.0 / (size as f32).sqrt());
        let by_query = [BATCH.into(), heads.into(), 1.into(), TOKENS.into()];
        let attention = (scores.reshape(&by_query) + nodes.padding.bias).softmax();
        let weights = nodes.drop_attention(self.place, attention);
        let weights = weights.reshape(&[BATCH.into(), heads.into(), TOKENS.into()]);

        let mean = exchanged(weights.matmul(hidden));
        let of_values = exchanged(mean.matmul(last_exchanged(matrices(self.value))));
        let bias = nodes.graph.parameter(&format!("{}.bias", self.value), &[width]);
        let bias = bias.reshape(&[heads.into(), size.into()]);
        let bias = if nodes.dropout.attention { weights.reduce_sum(&[2], true) * bias } else { bias };
        [(of_values + bias).reshape(&[BATCH.into(), width.into()]), attention]
    }
}

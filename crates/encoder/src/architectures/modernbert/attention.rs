//! ModernBERT's attention: of every third layer to all tokens (global), of the others to those at most 64 tokens away
//! (local).
//!
//! Local attention is computed in blocks, so that it costs no more than its window on long texts. Where a graph has the
//! layer's attention as an output, it is computed as a matrix of all tokens, in which the tokens outside of the window are
//! masked.

use midashi_onnx::Value;

use super::blocks::Blocks;
use super::rotary::Theta;
use super::scores::{NOTHING, is_further, scaled};
use crate::nodes::{Factor, Nodes, Rows};
use crate::padding::TOKENS;

/// The attention of one layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// The base of its rotary positions.
    pub(super) theta: Theta,
    /// Whether its linear layers have biases.
    pub(super) bias: bool,
    /// How many tokens away from its own a token attends to; all of them without.
    pub(super) reach: Option<usize>,
}

impl Attention {
    /// `Wo·softmax(Q·Kᵀ/√d)·V` of normalised hidden states, with rotated queries and keys, and the attention weights.
    pub(super) fn of<'g>(
        self,
        nodes: Nodes<'g>,
        name: &str,
        hidden: Value<'g>,
        rows: Rows,
    ) -> (Value<'g>, Value<'g>) {
        let width = nodes.geometry.hidden_size;
        let part = |x: Value<'g>, at: usize| {
            let (name, range) = (format!("{name}.Wqkv"), at * width..(at + 1) * width);
            nodes.linear_part(&name, x, [width, 3 * width], range, self.bias, Factor::Hidden)
        };
        let query = match rows {
            Rows::All => self.theta.rotate(nodes, part(hidden, 0)),
            // [CLS] is at position 0, where all angles are 0.
            Rows::Cls => part(nodes.cls_rows(hidden), 0),
        };
        let (key, value) = (self.theta.rotate(nodes, part(hidden, 1)), part(hidden, 2));
        let matrix = self.matrix(nodes, query, key, rows);
        let context = match (self.reach, rows) {
            (Some(reach), Rows::All) if !nodes.outputs_attention => {
                Blocks::new(nodes, reach).attention(name, [query, key, value])
            }
            _ => {
                let value = nodes.by_head(value, Rows::All, &[0, 2, 1, 3]);
                nodes.join_heads(nodes.drop_attention(name, matrix).matmul(value), rows)
            }
        };
        let output = nodes.linear(&format!("{name}.Wo"), context, [width, width], self.bias, Factor::Context);
        (nodes.drop_hidden(&format!("{name}.out_drop"), output), matrix)
    }

    /// The weights of all tokens, `[batch, heads, rows, tokens]`. Graphs that do not use them leave them out.
    fn matrix<'g>(self, nodes: Nodes<'g>, query: Value<'g>, key: Value<'g>, rows: Rows) -> Value<'g> {
        let query = nodes.by_head(query, rows, &[0, 2, 1, 3]);
        let key = nodes.by_head(key, Rows::All, &[0, 2, 1, 3]);
        let scores = scaled(nodes, query.matmul(key.transpose(&[0, 1, 3, 2])));
        let padding = nodes.padding.bias;
        let bias = self.reach.map_or(padding, |reach| padding + out_of_reach(nodes, reach, rows));
        (scores + bias).softmax()
    }
}

/// Added to scores, `[rows, tokens]`.
fn out_of_reach(nodes: Nodes<'_>, reach: usize, rows: Rows) -> Value<'_> {
    let graph = nodes.graph;
    let name = match rows {
        Rows::All => "out_of_reach",
        Rows::Cls => "out_of_reach_of_cls",
    };
    graph.shared(name, || {
        let key = graph.range(TOKENS);
        let distance = match rows {
            Rows::All => graph.range(TOKENS).reshape(&[TOKENS.into(), 1.into()]) - key,
            Rows::Cls => key.reshape(&[1.into(), TOKENS.into()]),
        };
        is_further(graph, distance, reach).to_float() * NOTHING
    })
}

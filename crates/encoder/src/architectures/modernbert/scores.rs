//! Attention scores in both forms of local attention: as a matrix and in blocks.

use midashi_onnx::{GraphBuilder, Value};

use crate::nodes::Nodes;

/// Added to the scores of what gets no attention: `e` to this is 0 whatever the score, and sums of it are finite.
pub(super) const NOTHING: f32 = -1e30;

/// `scores/√d`
pub(super) fn scaled<'g>(nodes: Nodes<'g>, scores: Value<'g>) -> Value<'g> {
    scores * (1.0 / (nodes.geometry.head_size() as f32).sqrt())
}

/// 1 where the absolute distance is greater than `reach`, 0 elsewhere; int64.
pub(super) fn is_further<'g>(graph: &'g GraphBuilder, distance: Value<'g>, reach: usize) -> Value<'g> {
    let beyond = distance.abs() - graph.integers(&[reach as i64]);
    beyond.maximum(graph.integers(&[0])).minimum(graph.integers(&[1]))
}

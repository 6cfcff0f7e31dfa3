//! Linear layers as graph nodes.

use std::ops::Range;

use midashi_onnx::{GraphBuilder, Value};

/// A linear layer, or the part of one that computes some of its outputs.
pub(crate) struct Linear<'g, 'n> {
    pub(crate) graph: &'g GraphBuilder,
    pub(crate) name: &'n str,
    pub(crate) input: usize,
    pub(crate) output: usize,
    /// The outputs that are computed.
    pub(crate) part: Range<usize>,
    pub(crate) has_bias: bool,
}

impl<'g> Linear<'g, '_> {
    /// `x·Wᵀ + b` with the parameters `name.weight` `[out, in]` and `name.bias` `[out]`.
    pub(crate) fn in_float32(self, x: Value<'g>) -> Value<'g> {
        let weight = self.parameter("weight", &[self.output, self.input]);
        x.gemm(self.cut(0, weight), self.bias(), false, true)
    }

    /// The part of the parameter `name.bias` `[out]`, if there is one.
    pub(crate) fn bias(&self) -> Option<Value<'g>> {
        self.has_bias.then(|| self.cut(0, self.parameter("bias", &[self.output])))
    }

    /// The layer's part of `x`, which has all outputs along `axis`.
    pub(crate) fn cut(&self, axis: usize, x: Value<'g>) -> Value<'g> {
        if self.part == (0..self.output) { x } else { x.part(axis, self.part.start, self.part.end) }
    }

    /// The parameter `name.kind`, which several parts share.
    pub(crate) fn parameter(&self, kind: &str, shape: &[usize]) -> Value<'g> {
        let name = format!("{}.{kind}", self.name);
        self.graph.shared(&name, || self.graph.parameter(&name, shape))
    }
}

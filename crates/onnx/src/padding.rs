//! Rows that hold something and rows that are padding: a padded matrix without its padding, and back.

use crate::builder::Value;
use crate::node::{ElementType, Op, RowIds};
use crate::shape::Dim;

/// The rows of a padded matrix that are no padding, and where they are on both sides.
#[derive(Clone, Copy, Debug)]
pub struct UnpaddedRows<'g> {
    /// 0 for padding and 1 elsewhere, int64 `[padded]`.
    mask: Value<'g>,
    padded: Value<'g>,
    unpadded: Value<'g>,
}

impl<'g> UnpaddedRows<'g> {
    /// The rows where `mask`, an int64 vector `[padded]`, is 1 and not 0; `symbol` names the axis of their
    /// count.
    pub fn new(mask: Value<'g>, symbol: &'static str) -> Self {
        let (graph, shape) = (mask.graph, mask.shape());
        if shape.len() != 1 || mask.element() != ElementType::Int64 {
            let nothing = graph.misfit("NonZero", &[mask], "an int64 vector of 0 and 1");
            return Self { mask, padded: nothing, unpadded: nothing };
        }
        let count = Dim::symbol(symbol);
        let padded = mask.apply(Op::NonZero, &[], vec![1.into(), count.clone()]).reshape(&[count]);
        let (first, one) = (graph.integers(&[0]), graph.integers(&[1]));
        let unpadded = mask.apply(Op::CumSum, &[first], shape) - one;
        Self { mask, padded, unpadded }
    }

    /// For each unpadded row its number in the padded matrix, int64 `[unpadded]`.
    pub fn in_padded(self) -> Value<'g> {
        self.padded
    }

    /// For each padded row its number among the unpadded rows, int64 `[padded]`; not defined in padding.
    pub fn in_unpadded(self) -> Value<'g> {
        self.unpadded
    }

    /// `x` without padding: `[padded, …]` to `[unpadded, …]`.
    pub fn unpad(self, x: Value<'g>) -> Value<'g> {
        x.gather_by(Op::UnpadRows(self.ids()), self.padded)
    }

    /// `x` with padding: `[unpadded, …]` to `[padded, …]`. What padding holds is not defined, and no result
    /// may depend on it. So what these rows were taken from is returned as it is.
    pub fn pad(self, x: Value<'g>) -> Value<'g> {
        let before = self.before_unpadding(x);
        before.unwrap_or_else(|| x.gather_by(Op::PadRows(self.ids()), self.unpadded))
    }

    /// What `x` is the unpadded rows of, if it is that.
    fn before_unpadding(self, x: Value<'g>) -> Option<Value<'g>> {
        let graph = x.graph.graph();
        let node = graph.nodes.iter().find(|node| node.outputs.contains(&x.id))?;
        let is_unpadding = matches!(node.op, Op::UnpadRows(rows) if rows == self.ids());
        let padded = node.inputs.first().filter(|_| is_unpadding)?;
        Some(x.graph.value(*padded))
    }

    /// The matrix `x` with zeros for padding: `[unpadded, n]` to `[padded, n]`.
    pub fn pad_with_zeros(self, x: Value<'g>) -> Value<'g> {
        let column = [self.mask.shape(), vec![1.into()]].concat();
        self.pad(x) * self.mask.to_float().reshape(&column)
    }

    /// The rows that a node remembers.
    pub(crate) fn of(x: Value<'g>, ids: RowIds) -> Self {
        let [mask, padded, unpadded] = [ids.mask, ids.padded, ids.unpadded].map(|id| x.graph.value(id));
        Self { mask, padded, unpadded }
    }

    fn ids(self) -> RowIds {
        RowIds { mask: self.mask.id, padded: self.padded.id, unpadded: self.unpadded.id }
    }
}

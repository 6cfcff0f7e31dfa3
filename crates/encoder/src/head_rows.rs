//! Attention's view of unpadded hidden states: the parts of their rows that belong to one head.
//!
//! A hidden state is one part of `head_size` numbers for each head. Attention needs the parts text by text and head by
//! head, with padding. Picking them takes one `Gather` on all threads. Padding whole rows and then transposing them would
//! move all numbers twice, the second time on one thread (ONNX Runtime 1.31).

use midashi_onnx::{Dim, Place, UnpaddedRows, Value};

use crate::padding::{BATCH, Padding, TOKENS, UNPADDED};

/// Where the heads' parts of the hidden states are.
#[derive(Clone, Copy)]
pub(crate) struct HeadRows<'g> {
    /// For each place in `[batch, heads, tokens]` its part in `[present · heads]`; not defined in padding.
    by_head: Value<'g>,
    /// For each part, `[present, heads]`, its place in `[batch · heads · tokens]`.
    in_rows: Value<'g>,
    /// 1 at the places of tokens and 0 in padding, float32 `[batch · heads · tokens]`.
    is_token: Value<'g>,
    heads: usize,
}

fn product(dims: &[Dim]) -> Dim {
    dims.iter().product()
}

impl<'g> HeadRows<'g> {
    /// Those of a graph, which are computed once. `rows` are the unpadded rows of `padding`.
    pub(crate) fn of(padding: Padding<'g>, rows: UnpaddedRows<'g>, heads: usize) -> Self {
        let graph = padding.mask.graph();
        let numbers: Vec<i64> = (0..heads as i64).collect();
        let (head, count) = (graph.integers(&numbers), graph.integers(&[heads as i64]));
        let by_head = graph.shared("places of parts by head", || {
            let row = rows.in_unpadded().reshape(&[BATCH.into(), 1.into(), TOKENS.into()]);
            row * count + head.reshape(&[1.into(), heads.into(), 1.into()])
        });
        let in_rows = graph.shared("places of parts by row", || {
            let tokens = graph.size(TOKENS);
            let (text, token) = (rows.in_padded() / tokens, rows.in_padded().modulo_size(TOKENS));
            let [text, token] = [text, token].map(|of_row| of_row.reshape(&[UNPADDED.into(), 1.into()]));
            (text * count + head.reshape(&[1.into(), heads.into()])) * tokens + token
        });
        let is_token = graph.shared("tokens by head", || {
            let mask = padding.mask.to_float().reshape(&[BATCH.into(), 1.into(), TOKENS.into()]);
            let by_head = mask * graph.floats(&[1, heads, 1], &vec![1.0; heads]);
            by_head.reshape(&[product(&[BATCH.into(), heads.into(), TOKENS.into()])])
        });
        Self { by_head, in_rows, is_token, heads }
    }

    /// `[present, heads · size]` as `[batch, heads, tokens, size]`. Padding is not defined, and no result may depend on it.
    pub(crate) fn split(self, x: Value<'g>, size: usize) -> Value<'g> {
        let parts = product(&[UNPADDED.into(), self.heads.into()]);
        let places = [Place { index: self.in_rows.reshape(std::slice::from_ref(&parts)), factor: None }];
        x.reshape(&[parts, size.into()]).pick_rows(self.by_head, &places)
    }

    /// The inverse of [`split`](Self::split).
    pub(crate) fn join(self, x: Value<'g>, size: usize) -> Value<'g> {
        let places = product(&[BATCH.into(), self.heads.into(), TOKENS.into()]);
        let index = self.by_head.reshape(std::slice::from_ref(&places));
        let parts = x.reshape(&[places, size.into()]);
        let joined = parts.pick_rows(self.in_rows, &[Place { index, factor: Some(self.is_token) }]);
        joined.reshape(&[UNPADDED.into(), (self.heads * size).into()])
    }
}

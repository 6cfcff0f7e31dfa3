//! What in a batch is padding.

use midashi_onnx::{Dim, GraphBuilder, UnpaddedRows, Value};

/// Axis of the texts in a batch.
pub(crate) const BATCH: &str = "batch";
/// Axis of the tokens of the longest text in the batch.
pub(crate) const TOKENS: &str = "tokens";
/// Axis of the unpadded rows, by its name in written models.
pub(crate) const UNPADDED: &str = "present";

/// What in a batch is padding.
#[derive(Clone, Copy)]
pub(crate) struct Padding<'g> {
    /// 1 for tokens and 0 for padding, int64 `[batch, tokens]`.
    pub(crate) mask: Value<'g>,
    /// Added to attention scores, `[batch, 1, 1, tokens]`: 0 for tokens and the lowest float for padding, so
    /// that padding gets no attention.
    pub(crate) bias: Value<'g>,
    /// The rows of the hidden states where these are unpadded.
    pub(crate) rows: Option<UnpaddedRows<'g>>,
}

/// All positions of the padded batch: `batch·tokens`.
pub(crate) fn positions() -> Dim {
    [&BATCH.into(), &TOKENS.into()].into_iter().product()
}

impl<'g> Padding<'g> {
    /// Padding has rows in the hidden states, but gets no attention.
    pub(crate) fn masked(graph: &'g GraphBuilder, attention_mask: Value<'g>) -> Self {
        graph.scope("attention_mask", || {
            let bias = (1.0 - attention_mask.to_float()) * f32::MIN;
            let bias = bias.reshape(&[BATCH.into(), 1.into(), 1.into(), TOKENS.into()]);
            Self { mask: attention_mask, bias, rows: None }
        })
    }

    /// Padding has no rows in the hidden states either: in a batch of texts in random order almost half of
    /// all positions are padding, and nothing is computed for them.
    pub(crate) fn unpadded(graph: &'g GraphBuilder, attention_mask: Value<'g>) -> Self {
        let masked = Self::masked(graph, attention_mask);
        graph.scope("attention_mask", || {
            let rows = UnpaddedRows::new(attention_mask.reshape(&[positions()]), UNPADDED);
            Self { rows: Some(rows), ..masked }
        })
    }

    /// Number of rows of the hidden states.
    pub(crate) fn count(self) -> Dim {
        if self.rows.is_some() { UNPADDED.into() } else { positions() }
    }

    /// `x`, which has a row for every position, with the rows of the hidden states.
    pub(crate) fn unpad(self, x: Value<'g>) -> Value<'g> {
        self.rows.map_or(x, |rows| rows.unpad(x))
    }

    /// Hidden states with a row for every position; those of padding are zeros.
    pub(crate) fn pad_with_zeros(self, hidden: Value<'g>) -> Value<'g> {
        match self.rows {
            Some(rows) => rows.pad_with_zeros(hidden),
            None => hidden * self.mask.to_float().reshape(&[positions(), 1.into()]),
        }
    }

    /// Hidden states with a row for every position; those of padding are not defined.
    pub(crate) fn pad(self, hidden: Value<'g>) -> Value<'g> {
        self.rows.map_or(hidden, |rows| rows.pad(hidden))
    }
}

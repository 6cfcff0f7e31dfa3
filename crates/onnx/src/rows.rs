//! Rows that are there and rows that are not: a padded matrix without its padding, and back.

use crate::Result;
use crate::graph::{Attribute, ElementType, Graph, Value};
use crate::shape::Dim;

/// The rows of a padded matrix that a mask marks as present.
#[derive(Clone, Copy, Debug)]
pub struct PresentRows {
    /// Number in the padded matrix of each present row, int64 `[present]`.
    pub(crate) padded: Value,
    /// Number among the present rows of each padded row, int64 `[padded]`; of an absent row, any.
    pub(crate) present: Value,
}

/// How the gradient of rows picked by one side of [`PresentRows`] finds its way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inverse {
    /// The other side.
    pub(crate) indices: Value,
    /// 1 for present and 0 for absent rows, int64 `[padded]`, where the result has both.
    pub(crate) mask: Option<Value>,
}

impl PresentRows {
    /// The present rows' numbers in the padded matrix, int64 `[present]`.
    pub fn numbers(&self) -> Value {
        self.padded
    }

    /// The padded rows' numbers among the present ones, int64 `[padded]`; any for an absent row.
    pub fn numbers_of_padded(&self) -> Value {
        self.present
    }
}

impl Graph {
    /// The rows where the int64 vector `mask` is 1; `symbol` names the axis of their count.
    ///
    /// # Errors
    /// When `mask` is no vector of integers.
    pub fn present_rows(&mut self, mask: Value, symbol: &'static str) -> Result<PresentRows> {
        let [rows] = self.shape(mask) else {
            return Err(self.misfit("NonZero", &[mask], "a vector of 0 and 1"));
        };
        let (rows, count) = (rows.clone(), Dim::symbol(symbol));
        let int64 = |shape: &[Dim]| [(ElementType::Int64, shape.to_vec())];
        let found = self.node("NonZero", &[mask], vec![], &int64(&[1.into(), count.clone()]))[0];
        let padded = self.reshape(found, &[count])?;
        let (first, one) = (self.integers(&[0]), self.integers(&[1]));
        let so_far = self.node("CumSum", &[mask, first], vec![], &int64(std::slice::from_ref(&rows)))[0];
        let present = self.sub(so_far, one)?;
        self.inverses.insert(padded, Inverse { indices: present, mask: Some(mask) });
        self.inverses.insert(present, Inverse { indices: padded, mask: None });
        Ok(PresentRows { padded, present })
    }

    /// The present rows of the matrix `x`, `[padded, n]` to `[present, n]`.
    ///
    /// # Errors
    /// When `x` is no matrix.
    pub fn without_padding(&mut self, x: Value, rows: PresentRows) -> Result<Value> {
        self.gather(x, rows.padded)
    }

    /// The matrix `x` with padding, `[present, n]` to `[padded, n]`. What stands in the absent rows is
    /// not defined, and nothing that matters may depend on it.
    ///
    /// # Errors
    /// When `x` is no matrix.
    pub fn with_padding(&mut self, x: Value, rows: PresentRows) -> Result<Value> {
        self.gather(x, rows.present)
    }

    /// `x` modulo the size of the axis `symbol`, for integers that are not negative.
    ///
    /// # Errors
    /// When no input has such an axis.
    pub fn modulo_size(&mut self, x: Value, symbol: &'static str) -> Result<Value> {
        let size = self.size(symbol)?;
        let like = (ElementType::Int64, self.shape(x).to_vec());
        Ok(self.node("Mod", &[x, size], vec![("fmod", Attribute::Int(0))], &[like])[0])
    }
}

//! The operators that formulas are made of. Each checks its operands and infers the shape of its result.
//! Semantics are those of the ONNX operator of the same name, operator set 20.
//!
//! Operands that do not fit are an error that [`GraphBuilder::finish`] returns.

use std::iter::once;
use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::builder::{GraphBuilder, Place, Value};
use crate::node::ElementType::{Float32, Int8, Int32, Int64, Uint8};
use crate::node::{Gelu, Op, PlaceIds, Reduction};
use crate::shape::{Dim, Shape, broadcast, display};

/// Arithmetic with values and with float32 scalars, broadcast.
macro_rules! arithmetic {
    ($($op:ident::$method:ident)*) => {$(
        impl $op for Value<'_> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                match broadcast(&self.shape(), &other.shape()) {
                    Some(shape) if self.element() == other.element() => self.apply(Op::$op, &[other], shape),
                    _ => {
                        let expected = "shapes that broadcast, and one element type";
                        self.graph.misfit(stringify!($op), &[self, other], expected)
                    }
                }
            }
        }

        impl $op<f32> for Value<'_> {
            type Output = Self;

            fn $method(self, other: f32) -> Self {
                self.$method(self.graph.scalar(other))
            }
        }

        impl<'g> $op<Value<'g>> for f32 {
            type Output = Value<'g>;

            fn $method(self, other: Value<'g>) -> Value<'g> {
                other.graph.scalar(self).$method(other)
            }
        }
    )*};
}

arithmetic!(Add::add Sub::sub Mul::mul Div::div);

impl Neg for Value<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self * -1.0
    }
}

/// Functions whose result has the shape of their operand.
macro_rules! functions {
    ($($(#[$documentation:meta])* $name:ident => $op:expr;)*) => {
        impl Value<'_> {$(
            $(#[$documentation])*
            pub fn $name(self) -> Self {
                self.apply($op, &[], self.shape())
            }
        )*}
    };
}

functions! {
    /// `|x|`.
    abs => Op::Abs;
    /// The cosine of an angle in radians.
    cos => Op::Cos;
    /// The error function.
    erf => Op::Erf;
    /// `eˣ`.
    exp => Op::Exp;
    /// `x`, as another value.
    identity => Op::Identity;
    /// Logarithm of the softmax over the last axis.
    log_softmax => Op::LogSoftmax;
    /// `max(x, 0)`.
    relu => Op::Relu;
    /// `-1`, `0` or `1`.
    sign => Op::Sign;
    /// The sine of an angle in radians.
    sin => Op::Sin;
    /// Softmax over the last axis.
    softmax => Op::Softmax;
    /// `√x`.
    sqrt => Op::Sqrt;
    /// The hyperbolic tangent.
    tanh => Op::Tanh;
}

impl GraphBuilder {
    /// The int64 numbers 0, 1, … as many as the axis `symbol` is long.
    pub fn range(&self, symbol: &'static str) -> Value<'_> {
        let [start, end, step] =
            [self.integers(&[0]), self.size(symbol), self.integers(&[1])].map(|vector| vector.reshape(&[]));
        start.apply(Op::Range, &[end, step], vec![symbol.into()])
    }

    /// Sum of float32 tensors, broadcast; there must be at least one.
    pub fn sum<'g>(&'g self, tensors: &[Value<'g>]) -> Value<'g> {
        let shape = tensors.iter().try_fold(Shape::new(), |sum, tensor| broadcast(&sum, &tensor.shape()));
        match shape.filter(|_| !tensors.is_empty()) {
            Some(shape) if tensors.iter().all(|tensor| tensor.element() == Float32) => {
                self.node(Op::Sum, tensors, &[(Float32, shape)])[0]
            }
            _ => self.misfit("Sum", tensors, "float32 tensors whose shapes broadcast"),
        }
    }

    /// An int64 vector for `Reshape`: the last size that is unknown now is `-1`, which ONNX computes; those
    /// before it are computed from the inputs' shapes.
    fn reshape_target(&self, shape: &[Dim]) -> Value<'_> {
        let last_unknown = shape.iter().rposition(|dim| dim.fixed().is_none());
        let computed = shape.iter().take(last_unknown.unwrap_or(0)).any(|dim| dim.fixed().is_none());
        let sizes: Vec<i64> = shape.iter().map(|dim| dim.fixed().map_or(-1, |size| size as i64)).collect();
        if !computed {
            return self.integers(&sizes);
        }
        let size = |(at, dim): (usize, &Dim)| {
            let known = dim.fixed().is_some() || Some(at) == last_unknown;
            if known { self.integers(&sizes[at..=at]) } else { self.computed_size(dim) }
        };
        let parts: Vec<Value<'_>> = shape.iter().enumerate().map(size).collect();
        self.node(Op::Concat, &parts, &[(Int64, vec![parts.len().into()])])[0]
    }

    /// The size of an axis as an int64 vector of one number, computed from the inputs' shapes.
    pub(crate) fn computed_size(&self, dim: &Dim) -> Value<'_> {
        let (factor, symbols) = dim.parts();
        let factor = (factor != 1).then(|| self.integers(&[factor as i64]));
        let sizes = factor.into_iter().chain(symbols.iter().map(|symbol| self.size(symbol)));
        sizes.reduce(|product, size| product * size).unwrap_or_else(|| self.integers(&[1]))
    }
}

impl<'g> Value<'g> {
    /// GELU.
    pub fn gelu(self, formula: Gelu) -> Self {
        self.apply(Op::Gelu(formula), &[], self.shape())
    }

    /// Integers as float32.
    pub fn to_float(self) -> Self {
        self.apply_as(Op::Cast(Float32), &[], Float32, self.shape())
    }

    /// `round(x) + zero` as uint8. Halves are rounded to even; what is below 0 or above 255 becomes that.
    pub fn to_uint8(self, zero: u8) -> Self {
        let operands = [self.graph.scalar(1.0), self.graph.constant(Uint8, &[], vec![zero])];
        self.apply_as(Op::QuantizeLinear, &operands, Uint8, self.shape())
    }

    /// `op(a)·op(b) + c` of matrices, where `op` transposes if asked; `c` broadcasts.
    pub fn gemm(self, b: Self, c: Option<Self>, transpose_a: bool, transpose_b: bool) -> Self {
        let operands: Vec<Self> = once(b).chain(c).collect();
        let shape = (|| {
            let (rows, inner) = matrix(&self.shape(), transpose_a)?;
            let (other_inner, columns) = matrix(&b.shape(), transpose_b)?;
            let shape = vec![rows, columns];
            let fits = c.is_none_or(|c| broadcast(&shape, &c.shape()).as_ref() == Some(&shape));
            (inner == other_inner && fits).then_some(shape)
        })();
        match shape {
            Some(shape) => self.apply(Op::Gemm { transpose_a, transpose_b }, &operands, shape),
            None => self.misfit("Gemm", &operands, "matrices that can be multiplied"),
        }
    }

    /// Product of the matrices in the last two axes; the axes before them are the same in both.
    pub fn matmul(self, b: Self) -> Self {
        let (left, right) = (self.shape(), b.shape());
        match (&left[..], &right[..]) {
            ([leading @ .., rows, inner], [other @ .., other_inner, columns])
                if leading == other && inner == other_inner =>
            {
                let shape = [leading, &[rows.clone(), columns.clone()]].concat();
                self.apply(Op::MatMul, &[b], shape)
            }
            _ => self.misfit("MatMul", &[b], "matrices that can be multiplied"),
        }
    }

    /// `(a − zero)·b` of a uint8 and an int8 matrix, summed in int32.
    pub fn matmul_integer(self, b: Self, zero: u8) -> Self {
        match (&self.shape()[..], &b.shape()[..]) {
            ([rows, inner], [other_inner, columns])
                if inner == other_inner && (self.element(), b.element()) == (Uint8, Int8) =>
            {
                let operands = [b, self.graph.constant(Uint8, &[], vec![zero])];
                self.apply_as(Op::MatMulInteger, &operands, Int32, vec![rows.clone(), columns.clone()])
            }
            _ => self.misfit("MatMulInteger", &[b], "a uint8 and an int8 matrix that can be multiplied"),
        }
    }

    /// `(a − zero)·b · scale + bias` of a uint8 and an int8 matrix, with a scale and a bias for each column.
    ///
    /// ONNX Runtime scales the sums while they are in the processor's cache. This is its own operator, so a graph that has it
    /// is not for other programs.
    pub fn scaled_matmul_integer(self, b: Self, zero: u8, scale: Self, bias: Option<Self>) -> Self {
        let of_columns = |value: Self, columns: &Dim| {
            value.element() == Float32 && value.shape() == std::slice::from_ref(columns)
        };
        match (&self.shape()[..], &b.shape()[..]) {
            ([rows, inner], [other_inner, columns])
                if inner == other_inner
                    && (self.element(), b.element()) == (Uint8, Int8)
                    && once(scale).chain(bias).all(|value| of_columns(value, columns)) =>
            {
                let constant = |element, zero| self.graph.constant(element, &[], vec![zero]);
                let (zeros, one) = ([constant(Uint8, zero), constant(Int8, 0)], self.graph.scalar(1.0));
                let operands: Vec<Self> = [b, one, scale].into_iter().chain(zeros).chain(bias).collect();
                let shape = vec![rows.clone(), columns.clone()];
                self.apply_as(Op::MatMulIntegerToFloat, &operands, Float32, shape)
            }
            _ => {
                let operands: Vec<Self> = [b, scale].into_iter().chain(bias).collect();
                let expected = "a uint8 and an int8 matrix that can be multiplied, and a float32 per column";
                self.misfit("MatMulIntegerToFloat", &operands, expected)
            }
        }
    }

    /// Axes in another order: axis `i` of the result is axis `perm[i]` of `x`. The transpose of a transpose is the value itself
    /// if its order is back.
    pub fn transpose(self, perm: &[usize]) -> Self {
        let (shape, mut sorted) = (self.shape(), perm.to_vec());
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..shape.len()) {
            return self.misfit("Transpose", &[], &format!("a permutation of its axes, not {perm:?}"));
        }
        if let Some((before, first)) = self.transposition()
            && perm.iter().map(|&axis| first[axis]).eq(0..first.len())
        {
            return before;
        }
        let shape = perm.iter().map(|&axis| shape[axis].clone()).collect();
        self.apply(Op::Transpose { perm: perm.to_vec() }, &[], shape)
    }

    /// What this is the transpose of, and the order of its axes, if it is one.
    pub(crate) fn transposition(self) -> Option<(Self, Vec<usize>)> {
        let graph = self.graph.graph();
        let node = graph.nodes.iter().find(|node| node.outputs.contains(&self.id))?;
        let Op::Transpose { perm } = &node.op else { return None };
        Some((self.graph.value(*node.inputs.first()?), perm.clone()))
    }

    /// The same numbers in another shape. It must hold as many, and sizes that are not known now must be
    /// those of inputs, but for the last.
    pub fn reshape(self, shape: &[Dim]) -> Self {
        let (found, wanted): (Dim, Dim) = (self.shape().iter().product(), shape.iter().product());
        if found != wanted {
            return self.misfit("Reshape", &[], &format!("as many numbers as {}", display(shape)));
        }
        let target = self.graph.reshape_target(shape);
        self.apply(Op::Reshape, &[target], shape.to_vec())
    }

    /// Rows of this table picked by int64 `indices`: their shape, then the rest of the table's.
    pub fn gather(self, indices: Self) -> Self {
        self.gather_by(Op::Gather, indices)
    }

    pub(crate) fn gather_by(self, op: Op, indices: Self) -> Self {
        match &self.shape()[..] {
            [_, row @ ..] if indices.element() == Int64 => {
                let shape = [&indices.shape(), row].concat();
                self.apply(op, &[indices], shape)
            }
            _ => self.misfit("Gather", &[indices], "a table and int64 indices"),
        }
    }

    /// The rows `index` of this table, int64 of any shape, where the reverse is known too: `places` says where each row
    /// is in the result. No result may depend on other places, which repeat a row to fill a block.
    ///
    /// The gradient is then a sum of `Gather`s too. That of [`gather`](Self::gather) adds row by row on one thread.
    pub fn pick_rows(self, index: Self, places: &[Place<'g>]) -> Self {
        let shape = self.shape();
        let rows = shape.first().map(std::slice::from_ref).unwrap_or_default();
        let fits = |place: &Place<'g>| {
            let of_rows = |value: Self, element| value.element() == element && value.shape() == rows;
            of_rows(place.index, Int64) && place.factor.is_none_or(|factor| of_rows(factor, Float32))
        };
        if places.is_empty() || !places.iter().all(fits) {
            return self.misfit(
                "Gather",
                &[index],
                "a table, int64 indices, and places for each of its rows",
            );
        }
        let ids = places
            .iter()
            .map(|place| PlaceIds { index: place.index.id, factor: place.factor.map(|factor| factor.id) });
        self.gather_by(Op::PickRows(ids.collect()), index)
    }

    /// The smaller of two int64 numbers at each place, broadcast.
    pub fn minimum(self, other: Self) -> Self {
        self.limited(Op::Min, other)
    }

    /// The larger of two int64 numbers at each place, broadcast.
    pub fn maximum(self, other: Self) -> Self {
        self.limited(Op::Max, other)
    }

    fn limited(self, op: Op, other: Self) -> Self {
        match broadcast(&self.shape(), &other.shape()) {
            Some(shape) if (self.element(), other.element()) == (Int64, Int64) => {
                self.apply(op, &[other], shape)
            }
            _ => self.misfit(op.name(), &[other], "int64 tensors whose shapes broadcast"),
        }
    }

    /// The numbers from `start` to before `end` along `axis`, whose size must be known now.
    pub fn part(self, axis: usize, start: usize, end: usize) -> Self {
        let mut shape = self.shape();
        match shape.get_mut(axis) {
            Some(dim) if start < end && dim.fixed().is_some_and(|size| end <= size) => {
                *dim = (end - start).into()
            }
            _ => return self.misfit("Slice", &[], &format!("{start} to {end} to lie within axis {axis}")),
        }
        let operands = [start, end, axis].map(|number| self.graph.integers(&[number as i64]));
        self.apply(Op::Part { axis, start }, &operands, shape)
    }

    /// The reverse order along `axis`, whose size must be known now.
    pub fn flip(self, axis: usize) -> Self {
        let shape = self.shape();
        let Some(size) = shape.get(axis).and_then(Dim::fixed) else {
            return self.misfit("Gather", &[], &format!("axis {axis} to have a known size"));
        };
        let order: Vec<i64> = (0..size as i64).rev().collect();
        self.apply(Op::Flip { axis }, &[self.graph.integers(&order)], shape)
    }

    /// The first `count` along `axis`, which must not be shorter if its size is known now.
    pub fn take_first(self, axis: usize, count: usize) -> Self {
        let mut shape = self.shape();
        match shape.get_mut(axis) {
            Some(dim) if dim.fixed().is_none_or(|size| size >= count) => *dim = count.into(),
            _ => return self.misfit("Slice", &[], &format!("at least {count} along axis {axis}")),
        }
        let [start, end, axis] = [0, count, axis].map(|number| self.graph.integers(&[number as i64]));
        self.apply(Op::Slice, &[start, end, axis], shape)
    }

    /// The first rows of `x`, as many as the axis `symbol` of the inputs is long.
    pub fn take_as_many(self, symbol: &'static str) -> Self {
        let mut shape = self.shape();
        let Some(rows) = shape.first_mut() else { return self.misfit("Slice", &[], "a tensor with an axis") };
        *rows = Dim::symbol(symbol);
        let operands = [self.graph.integers(&[0]), self.graph.size(symbol), self.graph.integers(&[0])];
        self.apply(Op::Slice, &operands, shape)
    }

    /// `x` modulo the size of the axis `symbol` of the inputs, for int64 that is not negative.
    pub fn modulo_size(self, symbol: &'static str) -> Self {
        self.apply(Op::Mod, &[self.graph.size(symbol)], self.shape())
    }

    /// Sum over `axes`; they stay as axes of size 1 if `keep`.
    pub fn reduce_sum(self, axes: &[usize], keep: bool) -> Self {
        self.reduce(Reduction::Sum, axes, keep)
    }

    /// Mean over `axes`; they stay as axes of size 1 if `keep`.
    pub fn reduce_mean(self, axes: &[usize], keep: bool) -> Self {
        self.reduce(Reduction::Mean, axes, keep)
    }

    /// Largest number along `axes`; they stay as axes of size 1 if `keep`.
    pub fn reduce_max(self, axes: &[usize], keep: bool) -> Self {
        self.reduce(Reduction::Max, axes, keep)
    }

    /// Sum of the squares over `axes`; they stay as axes of size 1 if `keep`.
    pub fn reduce_sum_square(self, axes: &[usize], keep: bool) -> Self {
        self.reduce(Reduction::SumSquare, axes, keep)
    }

    fn reduce(self, how: Reduction, axes: &[usize], keep: bool) -> Self {
        let op = Op::Reduce { how, axes: axes.to_vec(), keep };
        let shape = self.shape();
        if axes.iter().any(|&axis| axis >= shape.len()) {
            return self.misfit(op.name(), &[], &format!("axes {axes:?}"));
        }
        let axis = |(axis, dim)| match (axes.contains(&axis), keep) {
            (false, _) => Some(dim),
            (true, true) => Some(1.into()),
            (true, false) => None,
        };
        let shape = shape.into_iter().enumerate().filter_map(axis).collect();
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        self.apply(op, &[self.graph.integers(&axes)], shape)
    }

    /// Layer normalisation over the last axis (Ba, Kiros & Hinton 2016):
    /// `(x − mean) / √(variance + epsilon) · weight + bias`, with weight and bias as long as that axis.
    /// The bias may be left out.
    pub fn layer_normalization(self, weight: Self, bias: impl Into<Option<Self>>, epsilon: f32) -> Self {
        self.layer_normalization_outputs(weight, bias, epsilon)[0]
    }

    /// The normalised rows, and the mean and the inverse deviation of each row.
    pub(crate) fn layer_normalization_outputs(
        self,
        weight: Self,
        bias: impl Into<Option<Self>>,
        epsilon: f32,
    ) -> [Self; 3] {
        let shape = self.shape();
        let parameters: Vec<Self> = once(weight).chain(bias.into()).collect();
        let fits = |value: &Self| shape.last().is_some_and(|last| value.shape() == [last.clone()]);
        if !parameters.iter().all(fits) {
            let expected = "weight and bias as long as the last axis";
            return [self.misfit("LayerNormalization", &parameters, expected); 3];
        }
        let mut row = shape.clone();
        row[shape.len() - 1] = 1.into();
        let outputs = [(Float32, shape), (Float32, row.clone()), (Float32, row)];
        let operands = [&[self], &parameters[..]].concat();
        let outputs = self.graph.node(Op::LayerNormalization { epsilon }, &operands, &outputs);
        [outputs[0], outputs[1], outputs[2]]
    }

    /// `x` repeated to the shape of `like`.
    pub(crate) fn expand_like(self, like: Self) -> Self {
        let shape = like.shape();
        if broadcast(&self.shape(), &shape).as_ref() != Some(&shape) {
            return self.misfit("Expand", &[like], "a shape that broadcasts to the second");
        }
        self.apply(Op::Expand, &[like.shape_as_vector()], shape)
    }

    /// Zeros in the shape of `x`.
    pub(crate) fn zeros_like(self) -> Self {
        self.shape_as_vector().apply_as(Op::ConstantOfShape, &[], Float32, self.shape())
    }

    /// `x` with zeros after its end along every axis, up to the shape of `like`.
    pub(crate) fn pad_end_like(self, like: Self) -> Self {
        let rank = self.shape().len();
        let (short, long) = (self.shape_as_vector(), like.shape_as_vector());
        let after = long - short;
        let before = self.graph.integers(&vec![0; rank]);
        let pads = before.apply(Op::Concat, &[after], vec![(2 * rank).into()]);
        self.apply(Op::Pad, &[pads], like.shape())
    }

    /// `x` with zeros before `start` and after its end along `axis`, up to the shape of `like`, whose size there is known.
    pub(crate) fn pad_along(self, axis: usize, start: usize, like: Self) -> Self {
        let (shape, long) = (self.shape(), like.shape());
        let size = |shape: &[Dim]| shape.get(axis).and_then(Dim::fixed);
        let after = size(&long).zip(size(&shape)).and_then(|(long, short)| long.checked_sub(short + start));
        let Some(after) = after else {
            return self.misfit("Pad", &[like], &format!("known sizes of axis {axis}"));
        };
        let mut pads = vec![0; 2 * shape.len()];
        (pads[axis], pads[shape.len() + axis]) = (start as i64, after as i64);
        self.apply(Op::Pad, &[self.graph.integers(&pads)], long)
    }

    /// Rows like those of `table` as one table, however many axes count them.
    pub(crate) fn flatten_to_rows_of(self, table: Self) -> Self {
        let (shape, row) = (self.shape(), table.shape().split_off(1));
        let count: Dim = shape.iter().take(shape.len() - row.len()).product();
        self.reshape(&[&[count], &row[..]].concat())
    }

    /// This vector of a number per row as a column that broadcasts over the rows of `rows`.
    pub(crate) fn as_column_of(self, rows: Self) -> Self {
        let mut shape = self.shape();
        shape.resize(rows.shape().len().max(1), 1.into());
        self.reshape(&shape)
    }

    /// Zeros like this table with `rows` added at `indices`; a row met twice is added twice.
    ///
    /// Not `ScatterND`, although it would take the indices as they are: ONNX Runtime (1.31, CPU) adds its
    /// slices in parallel without a lock, so that on several threads additions to the same row are lost.
    /// `ScatterElements` adds them one after the other.
    pub(crate) fn scatter_add(self, indices: Self, rows: Self) -> Self {
        let width = self.shape().split_off(1);
        let count: Dim = indices.shape().iter().product();
        let rows = rows.reshape(&[std::slice::from_ref(&count), &width].concat());
        let column = [vec![count], vec![1.into(); width.len()]].concat();
        let indices = indices.reshape(&column).expand_like(rows);
        self.zeros_like().apply(Op::ScatterAdd, &[indices, rows], self.shape())
    }

    /// The shape as an int64 vector; a constant where it is known.
    pub(crate) fn shape_as_vector(self) -> Self {
        let shape = self.shape();
        let sizes: Option<Vec<i64>> = shape.iter().map(|dim| dim.fixed().map(|size| size as i64)).collect();
        match sizes {
            Some(sizes) => self.graph.integers(&sizes),
            None => self.apply_as(Op::Shape, &[], Int64, vec![shape.len().into()]),
        }
    }

    fn misfit(self, op: &'static str, others: &[Self], expected: &str) -> Self {
        self.graph.misfit(op, &[&[self], others].concat(), expected)
    }
}

/// Rows and columns of a matrix.
fn matrix(shape: &[Dim], transposed: bool) -> Option<(Dim, Dim)> {
    match (shape, transposed) {
        ([rows, columns], false) => Some((rows.clone(), columns.clone())),
        ([columns, rows], true) => Some((rows.clone(), columns.clone())),
        _ => None,
    }
}

//! The operators a graph is made of: one method each, which checks its operands and infers the
//! shape of its result. Semantics are those of the ONNX operator of the same name, opset 20.

use crate::Result;
use crate::graph::{Attribute, ElementType, Graph, Value};
use crate::shape::{Dim, Shape, broadcast};

use Attribute::{Float, Int, Ints, Text};
use ElementType::{Float32, Int8, Int32, Int64, Uint8};

/// Which formula of GELU (Hendrycks & Gimpel 2016).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// `x·Φ(x)` with the error function: Hugging Face's `gelu`.
    Exact,
    /// The approximation with tanh: Hugging Face's `gelu_new`.
    Tanh,
}

impl Graph {
    /// `a + b`, broadcast.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value> {
        self.elementwise("Add", a, b)
    }

    /// `a − b`, broadcast.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value> {
        self.elementwise("Sub", a, b)
    }

    /// `a · b` element by element, broadcast.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value> {
        self.elementwise("Mul", a, b)
    }

    /// `a / b` element by element, broadcast.
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn div(&mut self, a: Value, b: Value) -> Result<Value> {
        self.elementwise("Div", a, b)
    }

    /// `x · factor`.
    ///
    /// # Errors
    /// Never for float32 tensors.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value> {
        let factor = self.scalar(factor);
        self.mul(x, factor)
    }

    fn elementwise(&mut self, op: &'static str, a: Value, b: Value) -> Result<Value> {
        let shape = broadcast(self.shape(a), self.shape(b));
        match shape {
            Some(shape) if self.element(a) == self.element(b) => {
                Ok(self.node(op, &[a, b], vec![], &[(self.element(a), shape)])[0])
            }
            _ => Err(self.misfit(op, &[a, b], "shapes that broadcast, and one element type")),
        }
    }

    /// Sum of the tensors, broadcast.
    ///
    /// # Errors
    /// When there are none or their shapes do not broadcast.
    pub fn sum(&mut self, tensors: &[Value]) -> Result<Value> {
        let shape =
            tensors.iter().try_fold(vec![], |so_far: Shape, &tensor| broadcast(&so_far, self.shape(tensor)));
        match shape.filter(|_| !tensors.is_empty()) {
            Some(shape) if tensors.iter().all(|&tensor| self.element(tensor) == Float32) => {
                Ok(self.node("Sum", tensors, vec![], &[(Float32, shape)])[0])
            }
            _ => Err(self.misfit("Sum", tensors, "float32 tensors whose shapes broadcast")),
        }
    }

    /// `x`, renamed.
    pub fn identity(&mut self, x: Value) -> Value {
        self.unary("Identity", x)
    }

    /// `eˣ`.
    pub fn exp(&mut self, x: Value) -> Value {
        self.unary("Exp", x)
    }

    /// `√x`.
    pub fn sqrt(&mut self, x: Value) -> Value {
        self.unary("Sqrt", x)
    }

    /// The error function.
    pub fn erf(&mut self, x: Value) -> Value {
        self.unary("Erf", x)
    }

    /// `|x|`.
    pub fn abs(&mut self, x: Value) -> Value {
        self.unary("Abs", x)
    }

    /// The hyperbolic tangent.
    pub fn tanh(&mut self, x: Value) -> Value {
        self.unary("Tanh", x)
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, x: Value) -> Value {
        self.unary("Relu", x)
    }

    /// `-1`, `0` or `1`.
    pub fn sign(&mut self, x: Value) -> Value {
        self.unary("Sign", x)
    }

    /// GELU.
    pub fn gelu(&mut self, x: Value, formula: Gelu) -> Value {
        let approximate = match formula {
            Gelu::Exact => "none",
            Gelu::Tanh => "tanh",
        };
        let like = (self.element(x), self.shape(x).to_vec());
        self.node("Gelu", &[x], vec![("approximate", Text(approximate))], &[like])[0]
    }

    /// Softmax over the last axis.
    pub fn softmax(&mut self, x: Value) -> Value {
        self.over_last_axis("Softmax", x)
    }

    /// Logarithm of the softmax over the last axis.
    pub fn log_softmax(&mut self, x: Value) -> Value {
        self.over_last_axis("LogSoftmax", x)
    }

    fn unary(&mut self, op: &'static str, x: Value) -> Value {
        let like = (self.element(x), self.shape(x).to_vec());
        self.node(op, &[x], vec![], &[like])[0]
    }

    fn over_last_axis(&mut self, op: &'static str, x: Value) -> Value {
        let like = (self.element(x), self.shape(x).to_vec());
        self.node(op, &[x], vec![("axis", Int(-1))], &[like])[0]
    }

    /// Integers as float32.
    pub fn to_float(&mut self, x: Value) -> Value {
        let shape = self.shape(x).to_vec();
        self.node(
            "Cast",
            &[x],
            vec![("to", Int(crate::write::data_type(Float32).into()))],
            &[(Float32, shape)],
        )[0]
    }

    /// `op(a)·op(b) + c` of matrices, where `op` transposes if asked; `c` broadcasts.
    ///
    /// # Errors
    /// When the operands are not matrices of fitting shapes.
    pub fn gemm(
        &mut self,
        a: Value,
        b: Value,
        c: Option<Value>,
        transpose_a: bool,
        transpose_b: bool,
    ) -> Result<Value> {
        let operands: Vec<Value> = [Some(a), Some(b), c].into_iter().flatten().collect();
        let shape = (|| {
            let (rows, inner) = matrix(self.shape(a), transpose_a)?;
            let (other_inner, columns) = matrix(self.shape(b), transpose_b)?;
            let shape = vec![rows, columns];
            let fits = c.is_none_or(|c| broadcast(&shape, self.shape(c)).as_ref() == Some(&shape));
            (inner == other_inner && fits).then_some(shape)
        })();
        let shape = shape.ok_or_else(|| self.misfit("Gemm", &operands, "matrices that can be multiplied"))?;
        let attributes =
            vec![("transA", Int(i64::from(transpose_a))), ("transB", Int(i64::from(transpose_b)))];
        Ok(self.node("Gemm", &operands, attributes, &[(Float32, shape)])[0])
    }

    /// Product of the matrices in the last two axes; the axes before them are the same in both.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value> {
        let shape = (|| {
            let (left, right) = (self.shape(a), self.shape(b));
            let rank = left.len();
            let leading = rank.checked_sub(2)?;
            let fits = right.len() == rank
                && left[..leading] == right[..leading]
                && left[rank - 1] == right[rank - 2];
            fits.then(|| [&left[..rank - 1], &right[rank - 1..]].concat())
        })();
        let shape = shape.ok_or_else(|| self.misfit("MatMul", &[a, b], "matrices that can be multiplied"))?;
        Ok(self.node("MatMul", &[a, b], vec![], &[(Float32, shape)])[0])
    }

    /// `round(x) + zero` as uint8, of equal distances to the even number, and what lies outside to the
    /// nearest of 0 and 255.
    pub fn to_uint8(&mut self, x: Value, zero: u8) -> Value {
        let shape = self.shape(x).to_vec();
        let operands = [x, self.scalar(1.0), self.byte(zero)];
        self.node("QuantizeLinear", &operands, vec![], &[(Uint8, shape)])[0]
    }

    /// `(a − zero)·b` of matrices of uint8 and int8, summed in int32.
    ///
    /// # Errors
    /// When the operands are not such matrices, or their shapes do not fit.
    pub fn matmul_integer(&mut self, a: Value, b: Value, zero: u8) -> Result<Value> {
        let shape = match (self.shape(a), self.shape(b)) {
            ([rows, inner], [other, columns])
                if inner == other && (self.element(a), self.element(b)) == (Uint8, Int8) =>
            {
                vec![rows.clone(), columns.clone()]
            }
            _ => return Err(self.misfit("MatMulInteger", &[a, b], "a uint8 and an int8 matrix that fit")),
        };
        let operands = [a, b, self.byte(zero)];
        Ok(self.node("MatMulInteger", &operands, vec![], &[(Int32, shape)])[0])
    }

    /// Axes in another order: axis `i` of the result is axis `order[i]` of `x`.
    ///
    /// # Errors
    /// When `order` is no permutation of the axes.
    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Result<Value> {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.shape(x).len()) {
            return Err(self.misfit("Transpose", &[x], &format!("a permutation of its axes, not {order:?}")));
        }
        let shape = order.iter().map(|&axis| self.shape(x)[axis].clone()).collect();
        let order = order.iter().map(|&axis| axis as i64).collect();
        Ok(self.node("Transpose", &[x], vec![("perm", Ints(order))], &[(self.element(x), shape)])[0])
    }

    /// The same numbers in another shape.
    ///
    /// # Errors
    /// When the shapes hold different counts, or the new one needs a size that no input tells.
    pub fn reshape(&mut self, x: Value, shape: &[Dim]) -> Result<Value> {
        let (found, wanted): (Dim, Dim) = (self.shape(x).iter().product(), shape.iter().product());
        if found != wanted {
            let expected = format!("as many numbers as {}", crate::shape::display(shape));
            return Err(self.misfit("Reshape", &[x], &expected));
        }
        let target = self.reshape_target(shape)?;
        Ok(self.node("Reshape", &[x, target], vec![], &[(self.element(x), shape.to_vec())])[0])
    }

    /// The int64 vector for `Reshape`: the last unknown size is `-1`, which ONNX computes; those
    /// before it are computed here.
    fn reshape_target(&mut self, shape: &[Dim]) -> Result<Value> {
        let last_unknown = shape.iter().rposition(|dim| dim.fixed().is_none());
        let computed = shape.iter().take(last_unknown.unwrap_or(0)).any(|dim| dim.fixed().is_none());
        let sizes: Vec<i64> = shape.iter().map(|dim| dim.fixed().map_or(-1, |size| size as i64)).collect();
        if !computed {
            return Ok(self.integers(&sizes));
        }
        let mut parts = Vec::new();
        for (at, dim) in shape.iter().enumerate() {
            let part = if dim.fixed().is_some() || Some(at) == last_unknown {
                self.integers(&sizes[at..=at])
            } else {
                self.computed_size(dim)?
            };
            parts.push(part);
        }
        let vector = (Int64, vec![parts.len().into()]);
        Ok(self.node("Concat", &parts, vec![("axis", Int(0))], &[vector])[0])
    }

    fn computed_size(&mut self, dim: &Dim) -> Result<Value> {
        let (factor, symbols) = dim.parts();
        let mut size: Option<Value> = (factor != 1).then(|| self.integers(&[factor as i64]));
        for symbol in symbols {
            let next = self.size(symbol)?;
            size = Some(match size {
                Some(size) => self.mul(size, next)?,
                None => next,
            });
        }
        Ok(size.unwrap_or_else(|| self.integers(&[1])))
    }

    /// Rows of `table` picked by the int64 tensor `indices`: shape of `indices`, then the rest
    /// of the table's.
    ///
    /// # Errors
    /// When `table` has no axis or the indices are not integers.
    pub fn gather(&mut self, table: Value, indices: Value) -> Result<Value> {
        if self.shape(table).is_empty() || self.element(indices) != Int64 {
            return Err(self.misfit("Gather", &[table, indices], "a table and int64 indices"));
        }
        let shape = [self.shape(indices), &self.shape(table)[1..]].concat();
        Ok(self.node("Gather", &[table, indices], vec![("axis", Int(0))], &[(self.element(table), shape)])[0])
    }

    /// The first `count` along `axis`.
    ///
    /// # Errors
    /// When there is no such axis or it is known to be shorter.
    pub fn take_first(&mut self, x: Value, axis: usize, count: usize) -> Result<Value> {
        let long_enough = |dim: &Dim| dim.fixed().is_none_or(|size| size >= count);
        if !self.shape(x).get(axis).is_some_and(long_enough) {
            return Err(self.misfit("Slice", &[x], &format!("at least {count} along axis {axis}")));
        }
        let mut shape = self.shape(x).to_vec();
        shape[axis] = count.into();
        let operands =
            [x, self.integers(&[0]), self.integers(&[count as i64]), self.integers(&[axis as i64])];
        Ok(self.node("Slice", &operands, vec![], &[(self.element(x), shape)])[0])
    }

    /// The first rows of `x`, as many as the axis `symbol` of the inputs is long.
    ///
    /// # Errors
    /// When no input has such an axis.
    pub fn take_as_many(&mut self, x: Value, symbol: &'static str) -> Result<Value> {
        let mut shape = self.shape(x).to_vec();
        let Some(first) = shape.first_mut() else {
            return Err(self.misfit("Slice", &[x], "a tensor with an axis to cut"));
        };
        *first = Dim::symbol(symbol);
        let operands = [x, self.integers(&[0]), self.size(symbol)?, self.integers(&[0])];
        Ok(self.node("Slice", &operands, vec![], &[(self.element(x), shape)])[0])
    }

    /// Sum over `axes`; they stay as axes of size 1 if `keep`.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn reduce_sum(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        self.reduce("ReduceSum", x, axes, keep)
    }

    /// Mean over `axes`; they stay as axes of size 1 if `keep`.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn reduce_mean(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        self.reduce("ReduceMean", x, axes, keep)
    }

    /// Largest along `axes`; they stay as axes of size 1 if `keep`.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn reduce_max(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        self.reduce("ReduceMax", x, axes, keep)
    }

    /// Sum of the squares over `axes`; they stay as axes of size 1 if `keep`.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn reduce_sum_square(&mut self, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        self.reduce("ReduceSumSquare", x, axes, keep)
    }

    fn reduce(&mut self, op: &'static str, x: Value, axes: &[usize], keep: bool) -> Result<Value> {
        if axes.iter().any(|&axis| axis >= self.shape(x).len()) {
            return Err(self.misfit(op, &[x], &format!("axes {axes:?}")));
        }
        let shape: Shape = self
            .shape(x)
            .iter()
            .enumerate()
            .filter_map(|(axis, dim)| match (axes.contains(&axis), keep) {
                (false, _) => Some(dim.clone()),
                (true, true) => Some(1.into()),
                (true, false) => None,
            })
            .collect();
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        let axes = self.integers(&axes);
        // Without the second attribute no axes would mean all axes.
        let attributes = vec![("keepdims", Int(i64::from(keep))), ("noop_with_empty_axes", Int(1))];
        Ok(self.node(op, &[x, axes], attributes, &[(self.element(x), shape)])[0])
    }

    /// Layer normalisation over the last axis (Ba, Kiros & Hinton 2016):
    /// `(x − mean) / √(variance + epsilon) · weight + bias`.
    ///
    /// # Errors
    /// When weight or bias do not have the length of the last axis.
    pub fn layer_normalization(
        &mut self,
        x: Value,
        weight: Value,
        bias: Value,
        epsilon: f32,
    ) -> Result<Value> {
        let last = self.shape(x).last().cloned();
        let fits = |value| matches!(self.shape(value), [length] if Some(length) == last.as_ref());
        if !(fits(weight) && fits(bias)) {
            let expected = "weight and bias as long as the last axis";
            return Err(self.misfit("LayerNormalization", &[x, weight, bias], expected));
        }
        let shape = self.shape(x).to_vec();
        let mut row = shape.clone();
        if let Some(last) = row.last_mut() {
            *last = 1.into();
        }
        let attributes = vec![("axis", Int(-1)), ("epsilon", Float(epsilon))];
        let outputs = [(Float32, shape), (Float32, row.clone()), (Float32, row)];
        Ok(self.node("LayerNormalization", &[x, weight, bias], attributes, &outputs)[0])
    }

    /// Float32 rows that are 1 at the index and 0 elsewhere: shape of `indices`, then `classes`.
    ///
    /// # Errors
    /// When the indices are not integers.
    pub fn one_hot(&mut self, indices: Value, classes: usize) -> Result<Value> {
        if self.element(indices) != Int64 {
            return Err(self.misfit("OneHot", &[indices], "int64 indices"));
        }
        let shape = [self.shape(indices), &[classes.into()]].concat();
        let (depth, off_and_on) = (self.integers(&[classes as i64]), self.floats(&[0.0, 1.0]));
        let operands = [indices, depth, off_and_on];
        Ok(self.node("OneHot", &operands, vec![("axis", Int(-1))], &[(Float32, shape)])[0])
    }

    /// `x` repeated to `like`'s shape.
    ///
    /// # Errors
    /// When `x` does not broadcast to it.
    pub(crate) fn expand_like(&mut self, x: Value, like: Value) -> Result<Value> {
        let shape = self.shape(like).to_vec();
        if broadcast(self.shape(x), &shape).as_ref() != Some(&shape) {
            return Err(self.misfit("Expand", &[x, like], "a shape that broadcasts to the second"));
        }
        let target = self.shape_of(like);
        Ok(self.node("Expand", &[x, target], vec![], &[(self.element(x), shape)])[0])
    }

    /// Zeros in the shape of `like`.
    pub(crate) fn zeros_like(&mut self, like: Value) -> Value {
        let shape = self.shape(like).to_vec();
        let target = self.shape_of(like);
        self.node("ConstantOfShape", &[target], vec![], &[(Float32, shape)])[0]
    }

    /// `x` with zeros after its end along every axis, up to the shape of `like`.
    pub(crate) fn pad_end_like(&mut self, x: Value, like: Value) -> Result<Value> {
        let rank = self.shape(x).len();
        let (short, long) = (self.shape_of(x), self.shape_of(like));
        let after = self.elementwise("Sub", long, short)?;
        let before = self.integers(&vec![0; rank]);
        let pads = self.node(
            "Concat",
            &[before, after],
            vec![("axis", Int(0))],
            &[(Int64, vec![(2 * rank).into()])],
        )[0];
        let shape = self.shape(like).to_vec();
        Ok(self.node("Pad", &[x, pads], vec![("mode", Text("constant"))], &[(Float32, shape)])[0])
    }

    /// Zeros like `table` with `rows` added at `indices`; a row met twice is added twice.
    ///
    /// Not `ScatterND`, although it would take the indices as they are: ONNX Runtime (1.31, CPU)
    /// adds its slices in parallel without a lock, so that on several threads additions to the
    /// same row are lost. `ScatterElements` adds them one after the other.
    pub(crate) fn scatter_add(&mut self, table: Value, indices: Value, rows: Value) -> Result<Value> {
        let width: Shape = self.shape(table)[1..].to_vec();
        let count: Dim = self.shape(indices).iter().product();
        let rows = self.reshape(rows, &[std::slice::from_ref(&count), &width].concat())?;
        let column = [vec![count], vec![1.into(); width.len()]].concat();
        let indices = self.reshape(indices, &column)?;
        let indices = self.expand_like(indices, rows)?;
        let zeros = self.zeros_like(table);
        let shape = self.shape(table).to_vec();
        let attributes = vec![("axis", Int(0)), ("reduction", Text("add"))];
        Ok(self.node("ScatterElements", &[zeros, indices, rows], attributes, &[(Float32, shape)])[0])
    }

    /// The shape of `x` as an int64 vector; a constant where it is known.
    fn shape_of(&mut self, x: Value) -> Value {
        let fixed: Option<Vec<i64>> =
            self.shape(x).iter().map(|dim| dim.fixed().map(|size| size as i64)).collect();
        match fixed {
            Some(sizes) => self.integers(&sizes),
            None => {
                let rank = self.shape(x).len();
                self.node("Shape", &[x], vec![], &[(Int64, vec![rank.into()])])[0]
            }
        }
    }
}

fn matrix(shape: &[Dim], transposed: bool) -> Option<(Dim, Dim)> {
    match (shape, transposed) {
        ([rows, columns], false) => Some((rows.clone(), columns.clone())),
        ([columns, rows], true) => Some((rows.clone(), columns.clone())),
        _ => None,
    }
}

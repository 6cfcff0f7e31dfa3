//! Reverse-mode differentiation: one table with a rule per operator, and a walk that applies it.
//!
//! To add an operator, add a row and its test.

use std::collections::{HashMap, HashSet};

use crate::builder::{GraphBuilder, Value};
use crate::error::{Error, Result};
use crate::node::{Gelu, Id, Node, Op, PlaceIds, Reduction};
use crate::padding::UnpaddedRows;

/// The rules: from the gradient `dy` of the loss with respect to a node's result `y`, the gradients with
/// respect to its first operands `x(0)`, `x(1)`, …; the operands after these have none, like indices.
///
/// All gradients are computed: those that no output needs are removed when the graph is finished. A gradient
/// may have the shape to which its operand was broadcast.
fn rule<'g>(g: &'g GraphBuilder, node: &Node, dy: Value<'g>) -> Result<Vec<Value<'g>>> {
    let x = |at: usize| g.value(node.inputs[at]);
    let y = g.value(node.outputs[0]);
    let last = y.shape().len().saturating_sub(1);
    Ok(match &node.op {
        Op::Identity => vec![dy],
        // y = a + b
        Op::Add => vec![dy, dy],
        // y = a − b
        Op::Sub => vec![dy, -dy],
        // y = a·b:  da = dy·b, db = dy·a
        Op::Mul => vec![dy * x(1), dy * x(0)],
        // y = a/b:  da = dy/b, db = −da·y
        Op::Div => {
            let da = dy / x(1);
            vec![da, -(da * y)]
        }
        // y = Σ of the operands
        Op::Sum => vec![dy; node.inputs.len()],
        // y = eˣ:  dx = dy·y
        Op::Exp => vec![dy * y],
        // y = √x:  dx = dy/(2y)
        Op::Sqrt => vec![dy / (y * 2.0)],
        // y = erf x:  dx = dy · e^(−x²) · 2/√π
        Op::Erf => vec![dy * ((-(x(0) * x(0))).exp() * std::f32::consts::FRAC_2_SQRT_PI)],
        // y = cos x:  dx = −dy·sin x
        Op::Cos => vec![-(dy * x(0).sin())],
        // y = sin x:  dx = dy·cos x
        Op::Sin => vec![dy * x(0).cos()],
        // y = tanh x:  dx = dy − dy·y²
        Op::Tanh => vec![dy - dy * (y * y)],
        // y = max(x, 0):  dx = dy·sign(y), which is 1 where x > 0 and 0 elsewhere
        Op::Relu => vec![dy * y.sign()],
        Op::Gelu(formula) => vec![dy * gelu_slope(x(0), *formula)],
        // y = softmax x:  dx = y·(dy − Σ dy·y)
        Op::Softmax => vec![y * (dy - (dy * y).reduce_sum(&[last], true))],
        // y = log softmax x:  dx = dy − eʸ·Σ dy
        Op::LogSoftmax => {
            let total = dy.reduce_sum(&[last], true);
            vec![dy - y.exp() * total]
        }
        Op::LayerNormalization { .. } => layer_normalization(g, node, dy),
        // Y = op(A)·op(B) + C:  dA = dY·op(B)ᵀ (transposed if A was), dB = op(A)ᵀ·dY (transposed if B was)
        Op::Gemm { transpose_a: ta, transpose_b: tb } => {
            let (a, b) = (x(0), x(1));
            let da = if *ta { b.gemm(dy, None, *tb, true) } else { dy.gemm(b, None, false, !tb) };
            let db = if *tb { dy.gemm(a, None, true, *ta) } else { a.gemm(dy, None, !ta, false) };
            vec![da, db, dy]
        }
        // Y = A·B:  dA = dY·Bᵀ, dB = Aᵀ·dY. If B = Cᵀ, then dB = (dYᵀ·A)ᵀ, and dC is the product without a transposition.
        Op::MatMul => {
            let (a, b) = (x(0), x(1));
            let db = match b.transposition().is_some_and(|(c, _)| swap_last(b).id == c.id) {
                true => swap_last(swap_last(dy).matmul(a)),
                false => swap_last(a).matmul(dy),
            };
            vec![dy.matmul(swap_last(b)), db]
        }
        // The inverse permutation
        Op::Transpose { perm } => {
            let inverse = (0..perm.len()).filter_map(|axis| perm.iter().position(|&to| to == axis));
            vec![dy.transpose(&inverse.collect::<Vec<_>>())]
        }
        Op::Reshape => vec![dy.reshape(&x(0).shape())],
        // y[i] = table[indices[i]]:  dtable[indices[i]] += dy[i]
        Op::Gather => vec![x(0).scatter_add(x(1), dy)],
        // Each row was picked once.
        Op::UnpadRows(rows) => vec![UnpaddedRows::of(dy, *rows).pad_with_zeros(dy)],
        Op::PadRows(rows) => vec![UnpaddedRows::of(dy, *rows).unpad(dy)],
        // Slices start at 0, so what was cut off lies after the end
        Op::Slice => vec![dy.pad_end_like(x(0))],
        // y = x[start..end]:  dx is dy, and zeros for what was cut off on both sides
        Op::Window { axis } => {
            let (start, end, size) = (x(1), x(2), x(0).shape()[*axis].clone());
            vec![dy.pad_axis(*axis, start, x(0).size_of(*axis) - end, size)]
        }
        // The inverse: x(1) are the numbers of zeros before and after
        Op::PadAxis { axis } => {
            let (start, size) = (x(1).take_first(0, 1), x(0).shape()[*axis].clone());
            vec![dy.window(*axis, start, start + x(0).size_of(*axis), size)]
        }
        Op::Refold => vec![dy.apply(Op::Refold, &[x(0).shape_as_vector()], x(0).shape())],
        // What lies before and after the range has no influence
        Op::Part { axis, start } => vec![dy.pad_along(*axis, *start, x(0))],
        // The order of an axis, reversed twice
        Op::Flip { axis } => vec![dy.flip(*axis)],
        // dx[row] = Σ dy[place]·factor over the places of the row
        Op::PickRows(places) => {
            let dy = dy.flatten_to_rows_of(x(0));
            let of_place = |place: &PlaceIds| {
                let rows = dy.gather(g.value(place.index));
                place.factor.map_or(rows, |factor| rows * g.value(factor).as_column_of(rows))
            };
            places.iter().map(of_place).reduce(|sum, rows| sum + rows).into_iter().collect()
        }
        Op::Reduce { how, axes, keep } => {
            let dy = if *keep { dy } else { restore_axes(dy, x(0), axes) };
            match how {
                // y = Σ x:  dx = dy, repeated
                Reduction::Sum => vec![dy.expand_like(x(0))],
                // y = Σ x²:  dx = 2x·dy
                Reduction::SumSquare => vec![x(0) * 2.0 * dy],
                // y = mean x:  dx = dy/n, repeated. The count n may be known only at run time: it is Σ e⁰.
                Reduction::Mean => {
                    let count = x(0).zeros_like().exp().reduce_sum(axes, true);
                    vec![(dy / count).expand_like(x(0))]
                }
                Reduction::Max => return no_rule(node),
            }
        }
        _ => return no_rule(node),
    })
}

fn no_rule<T>(node: &Node) -> Result<T> {
    Err(Error::NoGradient { node: node.name.clone(), op: node.op.name() })
}

/// The derivative of GELU. `y = x·Φ(x)`: `Φ(x) + x·φ(x)`, with Φ the normal distribution and φ its density.
/// The tanh form: with `u = √(2/π)·(x + 0.044715·x³)` and `t = tanh u`,
/// `½(1 + t) + ½x·(1 − t²)·√(2/π)·(1 + 3·0.044715·x²)`.
fn gelu_slope(x: Value<'_>, formula: Gelu) -> Value<'_> {
    use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
    /// The cubic term's weight in Hendrycks & Gimpel 2016, section 2.
    const CUBIC: f32 = 0.044715;
    /// √(2/π)
    const ROOT: f32 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
    let (one, half) = (x.graph.scalar(1.0), x.graph.scalar(0.5));
    let squared = x * x;
    match formula {
        Gelu::Exact => {
            let distribution = half * (one + (x * FRAC_1_SQRT_2).erf());
            let density = (squared * -0.5).exp() * (0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
            distribution + x * density
        }
        Gelu::Tanh => {
            let inner = one + squared * CUBIC;
            let t = (x * ROOT * inner).tanh();
            let left = half * (one + t);
            let sech = one - t * t;
            let du = (one + squared * (3.0 * CUBIC)) * (0.5 * ROOT);
            left + x * sech * du
        }
    }
}

/// With `x̂ = (x − mean)/σ` and `d = dy·weight`:
/// `dx = (d − mean d − x̂·mean(d·x̂))/σ`, `dweight = Σ dy·x̂`, `dbias = Σ dy`.
fn layer_normalization<'g>(g: &'g GraphBuilder, node: &Node, dy: Value<'g>) -> Vec<Value<'g>> {
    let [x, weight] = [0, 1].map(|at| g.value(node.inputs[at]));
    let [mean, inverse_deviation] = [1, 2].map(|at| g.value(node.outputs[at]));
    let last = x.shape().len() - 1;
    let rows: Vec<usize> = (0..last).collect();
    let normalised = (x - mean) * inverse_deviation;
    let d = dy * weight;
    let d_mean = d.reduce_mean(&[last], true);
    let along = normalised * (d * normalised).reduce_mean(&[last], true);
    let dx = (d - d_mean - along) * inverse_deviation;
    vec![dx, (dy * normalised).reduce_sum(&rows, false), dy.reduce_sum(&rows, false)]
}

fn swap_last(x: Value<'_>) -> Value<'_> {
    let rank = x.shape().len();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(rank - 2, rank - 1);
    x.transpose(&perm)
}

/// `dy` of a reduction of `x`, with the reduced axes back as axes of size 1.
fn restore_axes<'g>(dy: Value<'g>, x: Value<'g>, axes: &[usize]) -> Value<'g> {
    let mut shape = x.shape();
    axes.iter().for_each(|&axis| shape[axis] = 1.into());
    dy.reshape(&shape)
}

/// The gradient of an operand that was broadcast: `dy` summed over the repeated axes.
fn sum_to<'g>(dy: Value<'g>, operand: Value<'g>) -> Value<'g> {
    let (from, to) = (dy.shape(), operand.shape());
    let added = from.len().saturating_sub(to.len());
    let is_repeated = |axis: usize| axis < added || (to[axis - added].is_one() && !from[axis].is_one());
    let repeated: Vec<usize> = (0..from.len()).filter(|&axis| is_repeated(axis)).collect();
    if repeated.is_empty() {
        return dy;
    }
    let sum = dy.reduce_sum(&repeated, false);
    if sum.shape() == to { sum } else { sum.reshape(&to) }
}

impl GraphBuilder {
    /// The gradients of the scalar `loss` with respect to each of `values`, each in the shape of its value.
    ///
    /// It is an error when the loss does not depend on one of the values, when an operator on the way has no
    /// rule, and when the loss depends on an output of a node other than its first.
    pub fn gradients<'g>(&'g self, loss: Value<'g>, values: &[Value<'g>]) -> Vec<Value<'g>> {
        if !loss.shape().is_empty() {
            return vec![self.misfit("gradient", &[loss], "a scalar loss"); values.len()];
        }
        self.walk(loss, values).unwrap_or_else(|error| vec![self.fail(error); values.len()])
    }

    fn walk<'g>(&'g self, loss: Value<'g>, values: &[Value<'g>]) -> Result<Vec<Value<'g>>> {
        let forward = self.graph().nodes.clone();
        let mut wanted: HashSet<Id> = values.iter().map(|value| value.id).collect();
        for node in &forward {
            // The sizes of a tensor do not depend on its numbers.
            let is_size = matches!(node.op, Op::Shape | Op::Size { .. });
            if !is_size && node.inputs.iter().any(|input| wanted.contains(input)) {
                wanted.extend(&node.outputs);
            }
        }
        let mut gradients: HashMap<Id, Value<'g>> = HashMap::from([(loss.id, self.scalar(1.0))]);
        for node in forward.iter().rev() {
            if node.outputs[1..].iter().any(|output| gradients.contains_key(output)) {
                return Err(Error::LaterOutput { node: node.name.clone(), op: node.op.name() });
            }
            let Some(&dy) = gradients.get(&node.outputs[0]).filter(|_| wanted.contains(&node.outputs[0]))
            else {
                continue;
            };
            let of_inputs = self.scope("gradient", || {
                let sum_to_operand = |(dx, &x)| (x, sum_to(dx, self.value(x)));
                let gradients = rule(self, node, dy)?.into_iter().zip(&node.inputs).map(sum_to_operand);
                Ok(gradients.collect::<Vec<_>>())
            })?;
            for (input, gradient) in of_inputs.into_iter().filter(|(input, _)| wanted.contains(input)) {
                let known = gradients.get(&input).copied();
                gradients.insert(input, known.map_or(gradient, |known| known + gradient));
            }
        }
        let gradient = |value: &Value<'g>| {
            gradients.get(&value.id).copied().ok_or_else(|| Error::Independent(value.name()))
        };
        values.iter().map(gradient).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::ElementType::Float32;

    #[test]
    fn a_gradient_through_a_later_output_is_an_error() {
        for output in [1, 2] {
            let g = GraphBuilder::new();
            let x = g.input("x", Float32, &["batch".into(), 3.into()]);
            let (weight, bias) = (g.parameter("weight", &[3]), g.parameter("bias", &[3]));
            let outputs = x.layer_normalization_outputs(weight, bias, 1e-5);
            let loss = (outputs[0] * outputs[output]).reduce_sum(&[0, 1], false);
            g.gradients(loss, &[x]);
            let message = g.finish().unwrap_err().to_string();
            assert!(message.contains("LayerNormalization") && message.contains("first output"), "{message}");
        }
    }

    #[test]
    fn later_outputs_may_be_used_where_no_gradient_flows() {
        let g = GraphBuilder::new();
        let x = g.input("x", Float32, &["batch".into(), 3.into()]);
        let (weight, bias) = (g.parameter("weight", &[3]), g.parameter("bias", &[3]));
        let outputs = x.layer_normalization_outputs(weight, bias, 1e-5);
        let scale = g.parameter("scale", &[3]);
        let loss = (outputs[1] * scale).reduce_sum(&[0, 1], false);
        g.gradients(loss, &[scale]);
        assert_eq!(g.finish().err(), None);
    }
}

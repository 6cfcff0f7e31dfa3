//! Reverse-mode differentiation: one table with a rule per operator, and a walk that applies it.
//!
//! A rule gets the gradient `dy` of the loss with respect to its node's result and returns the
//! gradients with respect to the node's operands. Rules compute all of them; what nobody asked
//! for is removed by [`Graph::prune`]. To add an operator, add a row and its test.

use std::collections::{HashMap, HashSet};

use crate::graph::{Attribute, Graph, Node, Value};
use crate::shape::Dim;
use crate::{Error, Result};

/// Gradients with respect to a node's operands; `None` for those that have none, like indices.
type Gradients = Result<Vec<Option<Value>>>;
type Rule = fn(&mut Graph, &Node, Value) -> Gradients;

/// The rules. `x`, `a`, `b` are operands, `y` the result, `dy` its gradient.
#[rustfmt::skip]
const RULES: &[(&str, Rule)] = &[
    // y = a + b
    ("Add", |g, n, dy| Ok(vec![sum_to(g, dy, n.inputs[0])?, sum_to(g, dy, n.inputs[1])?])),
    // y = a − b
    ("Sub", |g, n, dy| {
        let minus = g.scale(dy, -1.0)?;
        Ok(vec![sum_to(g, dy, n.inputs[0])?, sum_to(g, minus, n.inputs[1])?])
    }),
    // y = a·b:  da = dy·b, db = dy·a
    ("Mul", |g, n, dy| {
        let (da, db) = (g.mul(dy, n.inputs[1])?, g.mul(dy, n.inputs[0])?);
        Ok(vec![sum_to(g, da, n.inputs[0])?, sum_to(g, db, n.inputs[1])?])
    }),
    // y = a/b:  da = dy/b, db = −da·y
    ("Div", |g, n, dy| {
        let da = g.div(dy, n.inputs[1])?;
        let da_y = g.mul(da, n.outputs[0])?;
        let db = g.scale(da_y, -1.0)?;
        Ok(vec![sum_to(g, da, n.inputs[0])?, sum_to(g, db, n.inputs[1])?])
    }),
    // y = Σ of the operands
    ("Sum", |g, n, dy| n.inputs.iter().map(|&x| sum_to(g, dy, x)).collect()),
    ("Identity", |_, _, dy| Ok(vec![Some(dy)])),
    // y = eˣ:  dx = dy·y
    ("Exp", |g, n, dy| Ok(vec![Some(g.mul(dy, n.outputs[0])?)])),
    // y = √x:  dx = dy/(2y)
    ("Sqrt", |g, n, dy| {
        let twice = g.scale(n.outputs[0], 2.0)?;
        Ok(vec![Some(g.div(dy, twice)?)])
    }),
    // y = erf x:  dx = dy · 2/√π · e^(−x²)
    ("Erf", |g, n, dy| {
        let squared = g.mul(n.inputs[0], n.inputs[0])?;
        let exponent = g.scale(squared, -1.0)?;
        let bell = g.exp(exponent);
        let slope = g.scale(bell, std::f32::consts::FRAC_2_SQRT_PI)?;
        Ok(vec![Some(g.mul(dy, slope)?)])
    }),
    // y = tanh x:  dx = dy − dy·y²
    ("Tanh", |g, n, dy| {
        let squared = g.mul(n.outputs[0], n.outputs[0])?;
        let lost = g.mul(dy, squared)?;
        Ok(vec![Some(g.sub(dy, lost)?)])
    }),
    // y = max(x, 0):  dx = dy·sign(y), which is 1 where x > 0 and 0 elsewhere
    ("Relu", |g, n, dy| {
        let open = g.sign(n.outputs[0]);
        Ok(vec![Some(g.mul(dy, open)?)])
    }),
    ("Gelu", |g, n, dy| Ok(vec![Some(gelu(g, n, dy)?)])),
    // y = softmax x:  dx = y·(dy − Σ dy·y)
    ("Softmax", |g, n, dy| {
        let y = n.outputs[0];
        let weighted = g.mul(dy, y)?;
        let last = g.shape(y).len() - 1;
        let total = g.reduce_sum(weighted, &[last], true)?;
        let centred = g.sub(dy, total)?;
        Ok(vec![Some(g.mul(y, centred)?)])
    }),
    // y = log softmax x:  dx = dy − eʸ·Σ dy
    ("LogSoftmax", |g, n, dy| {
        let y = n.outputs[0];
        let last = g.shape(y).len() - 1;
        let total = g.reduce_sum(dy, &[last], true)?;
        let probabilities = g.exp(y);
        let share = g.mul(probabilities, total)?;
        Ok(vec![Some(g.sub(dy, share)?)])
    }),
    ("LayerNormalization", layer_normalization),
    ("Gemm", gemm),
    // Y = A·B:  dA = dY·Bᵀ, dB = Aᵀ·dY
    ("MatMul", |g, n, dy| {
        let (a, b) = (swap_last(g, n.inputs[0])?, swap_last(g, n.inputs[1])?);
        Ok(vec![Some(g.matmul(dy, b)?), Some(g.matmul(a, dy)?)])
    }),
    // The inverse permutation
    ("Transpose", |g, n, dy| {
        let order = ints(n, "perm");
        let inverse: Vec<usize> =
            (0..order.len()).filter_map(|axis| order.iter().position(|&to| to == axis as i64)).collect();
        Ok(vec![Some(g.transpose(dy, &inverse)?)])
    }),
    ("Reshape", |g, n, dy| {
        let shape = g.shape(n.inputs[0]).to_vec();
        Ok(vec![Some(g.reshape(dy, &shape)?), None])
    }),
    // y[i] = table[indices[i]]:  dtable[indices[i]] += dy[i]
    ("Gather", |g, n, dy| Ok(vec![Some(gather(g, n, dy)?), None])),
    // Slices start at 0, so what was cut off lies after the end
    ("Slice", |g, n, dy| Ok(vec![Some(g.pad_end_like(dy, n.inputs[0])?)])),
    // y = Σ x:  dx = dy, repeated
    ("ReduceSum", |g, n, dy| {
        let dy = restore_axes(g, n, dy)?;
        Ok(vec![Some(g.expand_like(dy, n.inputs[0])?), None])
    }),
    // y = Σ x²:  dx = 2x·dy
    ("ReduceSumSquare", |g, n, dy| {
        let dy = restore_axes(g, n, dy)?;
        let twice = g.scale(n.inputs[0], 2.0)?;
        Ok(vec![Some(g.mul(twice, dy)?), None])
    }),
    // y = mean x:  dx = dy, repeated, over the count. The count may be known only at run time,
    // so it is found as Σ 1 over the same axes.
    ("ReduceMean", |g, n, dy| {
        let dy = restore_axes(g, n, dy)?;
        let zeros = g.zeros_like(n.inputs[0]);
        let ones = g.exp(zeros);
        let count = g.reduce_sum(ones, &reduced_axes(g, n), true)?;
        let share = g.div(dy, count)?;
        Ok(vec![Some(g.expand_like(share, n.inputs[0])?), None])
    }),
];

impl Graph {
    /// Adds the nodes that compute the gradient of the scalar `loss` with respect to each of
    /// `values`, and returns these gradients, each in the shape of its value.
    ///
    /// # Errors
    /// When the loss does not depend on one of the values, or an operator on the way has no rule.
    pub fn gradients(&mut self, loss: Value, values: &[Value]) -> Result<Vec<Value>> {
        if !self.shape(loss).is_empty() {
            return Err(self.misfit("gradient", &[loss], "a scalar loss"));
        }
        let forward = self.nodes.clone();
        let mut wanted: HashSet<Value> = values.iter().copied().collect();
        for node in &forward {
            if node.inputs.iter().any(|input| wanted.contains(input)) {
                wanted.extend(&node.outputs);
            }
        }
        let mut gradients: HashMap<Value, Value> = HashMap::from([(loss, self.scalar(1.0))]);
        for node in forward.iter().rev() {
            let Some(&dy) = gradients.get(&node.outputs[0]) else { continue };
            if !wanted.contains(&node.outputs[0]) {
                continue;
            }
            let of_inputs = self.within("gradient", |graph| graph.apply_rule(node, dy))?;
            for (&input, gradient) in node.inputs.iter().zip(of_inputs) {
                let Some(gradient) = gradient.filter(|_| wanted.contains(&input)) else { continue };
                let sum = match gradients.get(&input) {
                    Some(&known) => self.add(known, gradient)?,
                    None => gradient,
                };
                gradients.insert(input, sum);
            }
        }
        let of = |value: &Value| {
            let gradient = gradients.get(value).copied();
            gradient.ok_or_else(|| Error::Independent(self.name(*value).to_owned()))
        };
        values.iter().map(of).collect()
    }

    fn apply_rule(&mut self, node: &Node, dy: Value) -> Gradients {
        let rule = RULES.iter().find(|(op, _)| *op == node.op);
        let (_, rule) = rule.ok_or_else(|| Error::NoGradient { node: node.name.clone(), op: node.op })?;
        rule(self, node, dy)
    }
}

/// The gradient of an operand that was broadcast: `dy` summed over the repeated axes.
fn sum_to(g: &mut Graph, dy: Value, operand: Value) -> Result<Option<Value>> {
    let (from, to) = (g.shape(dy).to_vec(), g.shape(operand).to_vec());
    let added = from.len() - to.len();
    let repeated: Vec<usize> = (0..from.len())
        .filter(|&axis| axis < added || (to[axis - added].is_one() && !from[axis].is_one()))
        .collect();
    if repeated.is_empty() {
        return Ok(Some(dy));
    }
    let sum = g.reduce_sum(dy, &repeated, false)?;
    if g.shape(sum) == to { Ok(Some(sum)) } else { g.reshape(sum, &to).map(Some) }
}

/// `y = x·Φ(x)`: `dx = dy·(Φ(x) + x·φ(x))`, with Φ the normal distribution and φ its density.
/// The tanh form: with `u = √(2/π)(x + 0.044715 x³)` and `t = tanh u`,
/// `dx = dy·(½(1+t) + ½x(1−t²)·√(2/π)(1 + 3·0.044715 x²))`.
fn gelu(g: &mut Graph, n: &Node, dy: Value) -> Result<Value> {
    use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
    /// The cubic term's weight in Hendrycks & Gimpel 2016, section 2.
    const CUBIC: f32 = 0.044715;
    let x = n.inputs[0];
    let (one, half) = (g.scalar(1.0), g.scalar(0.5));
    let squared = g.mul(x, x)?;
    let is_tanh = n.attributes.contains(&("approximate", Attribute::Text("tanh")));
    let slope = if is_tanh {
        let root = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
        let cubic = g.scale(squared, CUBIC)?;
        let inner = g.add(one, cubic)?;
        let scaled = g.scale(x, root)?;
        let u = g.mul(scaled, inner)?;
        let t = g.tanh(u);
        let t_plus = g.add(one, t)?;
        let left = g.mul(half, t_plus)?;
        let t_squared = g.mul(t, t)?;
        let sech = g.sub(one, t_squared)?;
        let cubic = g.scale(squared, 3.0 * CUBIC)?;
        let inner = g.add(one, cubic)?;
        let du = g.scale(inner, 0.5 * root)?;
        let right = g.mul(x, sech)?;
        let right = g.mul(right, du)?;
        g.add(left, right)?
    } else {
        let scaled = g.scale(x, FRAC_1_SQRT_2)?;
        let erf = g.erf(scaled);
        let erf_plus = g.add(one, erf)?;
        let distribution = g.mul(half, erf_plus)?;
        let exponent = g.scale(squared, -0.5)?;
        let bell = g.exp(exponent);
        let density = g.scale(bell, 0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2)?;
        let weighted = g.mul(x, density)?;
        g.add(distribution, weighted)?
    };
    g.mul(dy, slope)
}

/// With `x̂ = (x − mean)/σ` and `d = dy·weight`:
/// `dx = (d − mean d − x̂·mean(d·x̂))/σ`, `dweight = Σ dy·x̂`, `dbias = Σ dy`.
fn layer_normalization(g: &mut Graph, n: &Node, dy: Value) -> Gradients {
    let (x, weight) = (n.inputs[0], n.inputs[1]);
    let (mean, inverse_deviation) = (n.outputs[1], n.outputs[2]);
    let last = g.shape(x).len() - 1;
    let rows: Vec<usize> = (0..last).collect();
    let centred = g.sub(x, mean)?;
    let normalised = g.mul(centred, inverse_deviation)?;
    let d = g.mul(dy, weight)?;
    let d_mean = g.reduce_mean(d, &[last], true)?;
    let d_normalised = g.mul(d, normalised)?;
    let projection = g.reduce_mean(d_normalised, &[last], true)?;
    let along = g.mul(normalised, projection)?;
    let d_centred = g.sub(d, d_mean)?;
    let d_orthogonal = g.sub(d_centred, along)?;
    let dx = g.mul(d_orthogonal, inverse_deviation)?;
    let dy_normalised = g.mul(dy, normalised)?;
    let dweight = g.reduce_sum(dy_normalised, &rows, false)?;
    let dbias = g.reduce_sum(dy, &rows, false)?;
    Ok(vec![Some(dx), Some(dweight), Some(dbias)])
}

/// `Y = op(A)·op(B) + C`. Each gradient is again one Gemm:
/// `dA = dY·op(B)ᵀ` (transposed if A was), `dB = op(A)ᵀ·dY` (transposed if B was).
fn gemm(g: &mut Graph, n: &Node, dy: Value) -> Gradients {
    let (a, b) = (n.inputs[0], n.inputs[1]);
    let flag = |name| n.attributes.contains(&(name, Attribute::Int(1)));
    let (ta, tb) = (flag("transA"), flag("transB"));
    let da = if ta { g.gemm(b, dy, None, tb, true)? } else { g.gemm(dy, b, None, false, !tb)? };
    let db = if tb { g.gemm(dy, a, None, true, ta)? } else { g.gemm(a, dy, None, !ta, false)? };
    let mut gradients = vec![Some(da), Some(db)];
    if let Some(&c) = n.inputs.get(2) {
        gradients.push(sum_to(g, dy, c)?);
    }
    Ok(gradients)
}

/// Rows that were picked once each are put back by picking them again; others are added up.
fn gather(g: &mut Graph, n: &Node, dy: Value) -> Result<Value> {
    let (table, indices) = (n.inputs[0], n.inputs[1]);
    let Some(inverse) = g.inverses.get(&indices).copied() else {
        return g.scatter_add(table, indices, dy);
    };
    let back = g.gather(dy, inverse.indices)?;
    let Some(mask) = inverse.mask else { return Ok(back) };
    let row = [g.shape(mask)[0].clone(), 1.into()];
    let mask = g.to_float(mask);
    let mask = g.reshape(mask, &row)?;
    g.mul(back, mask)
}

fn swap_last(g: &mut Graph, x: Value) -> Result<Value> {
    let rank = g.shape(x).len();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    g.transpose(x, &order)
}

/// `dy` of a reduction with the reduced axes back as axes of size 1.
fn restore_axes(g: &mut Graph, n: &Node, dy: Value) -> Result<Value> {
    if n.attributes.contains(&("keepdims", Attribute::Int(1))) {
        return Ok(dy);
    }
    let mut shape = g.shape(n.inputs[0]).to_vec();
    for axis in reduced_axes(g, n) {
        shape[axis] = Dim::from(1);
    }
    g.reshape(dy, &shape)
}

fn reduced_axes(g: &Graph, n: &Node) -> Vec<usize> {
    g.integers_of(n.inputs[1]).into_iter().map(|axis| axis as usize).collect()
}

fn ints<'a>(n: &'a Node, name: &str) -> &'a [i64] {
    n.attributes
        .iter()
        .find_map(|(known, attribute)| match attribute {
            Attribute::Ints(numbers) if *known == name => Some(&numbers[..]),
            _ => None,
        })
        .unwrap_or_default()
}

//! Linear layers in 8-bit integers: weights are quantised once, activations in the graph.
//!
//! Each token's row of activations and each column of weights has a scale of its own, which maps its largest
//! number to the largest integer. Products are summed exactly in int32. With a scale per token (Yao et al.
//! 2022, section 4) a text's results do not depend on its batch; ONNX's `DynamicQuantizeLinear` has one scale
//! for the batch.
//!
//! For whole classifiers, `linear_of_two_digits` and `linear_of_gelu` round activations less, where it matters most.

use midashi_onnx::{ElementType, GraphBuilder, Value};

/// Suffix of an int8 matrix; before it stands the name of the float32 matrix.
pub(crate) const INT8: &str = ".int8";
/// Suffix of the matrix's scales.
pub(crate) const SCALE: &str = ".scale";

/// Suffix of a bias to which a constant part of the activations has been added; before it stands the name of the bias.
pub(crate) const SHIFTED: &str = ".shifted";

/// The distance of GELU's least value from 0, rounded up: 0.16997 for the exact formula, 0.17004 for the tanh
/// approximation.
pub(crate) const GELU_DEPTH: f32 = 0.1701;
/// Steps of the second digit in one of the first: both digits use the same integers.
const STEPS: f32 = 254.0;

/// An activation of 0 as uint8: processors multiply uint8 with int8.
const ZERO: u8 = 128;
/// Distance of a row's largest activation from [`ZERO`].
const LARGEST: f32 = 127.0;
/// Added to a row's largest number, so that a row of zeros has a scale too.
pub(crate) const SMALLEST: f32 = 1e-30;

/// `x·Wᵀ + b` with the parameters `name.weight.int8` `[in, out]`, `name.weight.scale` `[out]` and
/// `name.bias` `[out]`.
pub(crate) fn linear<'g>(
    g: &'g GraphBuilder,
    name: &str,
    x: Value<'g>,
    [input, output]: [usize; 2],
    has_bias: bool,
) -> Value<'g> {
    let (weight, weight_scale) = weight(g, name, input, output);
    let bias = bias(g, name, output, has_bias);
    // ONNX Runtime merges equal nodes, so query, key and value share scale and quantised activations.
    let scale = (x.abs().reduce_max(&[1], true) + SMALLEST) * (1.0 / LARGEST);
    let products = (x / scale).to_uint8(ZERO).matmul_integer(weight, ZERO);
    add(products.to_float() * weight_scale * scale, bias)
}

/// As [`linear`], with two digits for each activation: its integer and the rest in 254ths of it.
///
/// Normalised hidden states have a few numbers that are many times as large as the others (Kovaleva et al. 2021), so one
/// digit leaves the others only a few steps.
pub(crate) fn linear_of_two_digits<'g>(
    g: &'g GraphBuilder,
    name: &str,
    x: Value<'g>,
    [input, output]: [usize; 2],
    has_bias: bool,
) -> Value<'g> {
    let (weight, weight_scale) = weight(g, name, input, output);
    let bias = bias(g, name, output, has_bias);
    let scale = (x.abs().reduce_max(&[1], true) + SMALLEST) * (1.0 / LARGEST);
    let scaled = x / scale;
    let first = scaled.to_uint8(ZERO);
    let rest = (scaled - (first.to_float() - f32::from(ZERO))) * STEPS;
    let [first, rest] =
        [first, rest.to_uint8(ZERO)].map(|digit| digit.matmul_integer(weight, ZERO).to_float());
    add((first + rest * (1.0 / STEPS)) * weight_scale * scale, bias)
}

/// As [`linear`], for the output `x` of GELU, which has hardly any negative numbers: all 8 bits are for positive ones. The
/// parameter `name.bias.shifted` makes up for the shift.
pub(crate) fn linear_of_gelu<'g>(
    g: &'g GraphBuilder,
    name: &str,
    x: Value<'g>,
    [input, output]: [usize; 2],
    _has_bias: bool,
) -> Value<'g> {
    let (weight, weight_scale) = weight(g, name, input, output);
    let bias = g.parameter(&format!("{name}.bias{SHIFTED}"), &[output]);
    let shifted = x + GELU_DEPTH;
    let scale = (shifted.reduce_max(&[1], true) + SMALLEST) * (1.0 / f32::from(u8::MAX));
    let products = (shifted / scale).to_uint8(0).matmul_integer(weight, 0);
    products.to_float() * weight_scale * scale + bias
}

/// The parameter `name.bias` `[out]`, if there is one.
fn bias<'g>(g: &'g GraphBuilder, name: &str, output: usize, has_bias: bool) -> Option<Value<'g>> {
    has_bias.then(|| g.parameter(&format!("{name}.bias"), &[output]))
}

fn add<'g>(x: Value<'g>, bias: Option<Value<'g>>) -> Value<'g> {
    bias.map_or(x, |bias| x + bias)
}

/// The parameters `name.weight.int8` `[in, out]` and `name.weight.scale` `[out]`.
fn weight<'g>(g: &'g GraphBuilder, name: &str, input: usize, output: usize) -> (Value<'g>, Value<'g>) {
    let weight = g.parameter_of(&format!("{name}.weight{INT8}"), ElementType::Int8, &[input, output]);
    (weight, g.parameter(&format!("{name}.weight{SCALE}"), &[output]))
}

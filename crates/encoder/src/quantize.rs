//! Linear layers in 8-bit integers: weights are quantised once, activations in the graph.
//!
//! Each token's row of activations and each column of weights has a scale of its own, which maps its largest
//! number to the largest integer. Products are summed exactly in int32. With a scale per token (Yao et al.
//! 2022, section 4) a text's results do not depend on its batch; ONNX's `DynamicQuantizeLinear` has one scale
//! for the batch.
//!
//! For whole classifiers, `linear_of_two_digits` and `linear_of_gelu` round activations less, where it matters most.

use std::collections::BTreeMap;

use midashi_onnx::{ElementType, Graph, GraphBuilder, Value};
use ndarray::{Array1, ArrayD, ArrayView2, Axis, Ix2};

use crate::error::{Error, Result};
use crate::weights::Weights;

/// Suffix of an int8 matrix; before it stands the name of the float32 matrix.
const INT8: &str = ".int8";
/// Suffix of the matrix's scales.
const SCALE: &str = ".scale";

/// Suffix of a bias to which a constant part of the activations has been added; before it stands the name of the bias.
const SHIFTED: &str = ".shifted";

/// The distance of GELU's least value from 0, rounded up: 0.16997 for the exact formula, 0.17004 for the tanh
/// approximation.
const GELU_DEPTH: f32 = 0.1701;
/// Steps of the second digit in one of the first: both digits use the same integers.
const STEPS: f32 = 254.0;

/// An activation of 0 as uint8: processors multiply uint8 with int8.
const ZERO: u8 = 128;
/// Distance of a row's largest activation from [`ZERO`].
const LARGEST: f32 = 127.0;
/// Added to a row's largest number, so that a row of zeros has a scale too.
const SMALLEST: f32 = 1e-30;

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

impl Weights {
    /// The int8 matrices among `graph`'s parameters, their scales and shifted biases, by name, as row-major little-endian
    /// bytes. `bits` is 8, or 7 for processors that add pairs of products in 16 bits.
    ///
    /// # Errors
    /// When a float32 matrix that they are computed from is missing.
    pub fn quantized(&self, graph: &Graph, bits: u32) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut quantized = BTreeMap::new();
        let shifted: Vec<&str> =
            graph.parameters().filter_map(|(name, _)| name.strip_suffix(SHIFTED)).collect();
        for name in graph.parameters().filter_map(|(name, _)| name.strip_suffix(INT8)) {
            let matrix = self.get(name).and_then(|matrix| matrix.view().into_dimensionality::<Ix2>().ok());
            let matrix = matrix.ok_or_else(|| Error::Unfilled(name.to_owned()))?;
            let (numbers, scales) = quantize(matrix, bits);
            let bias = format!("{}.bias", name.trim_end_matches(".weight"));
            if shifted.contains(&&*bias) {
                let constants = column_sums(&numbers, &scales) * GELU_DEPTH;
                // Some linear layers have no bias.
                let zeros = ArrayD::zeros(vec![constants.len()]);
                let floats = self.get(&bias).unwrap_or(&zeros);
                let shifted = floats
                    .iter()
                    .zip(&constants)
                    .flat_map(|(bias, constant)| (bias - constant).to_le_bytes());
                quantized.insert(format!("{bias}{SHIFTED}"), shifted.collect());
            }
            quantized.insert(
                format!("{name}{INT8}"),
                numbers.iter().map(|number| number.cast_unsigned()).collect(),
            );
            quantized.insert(
                format!("{name}{SCALE}"),
                scales.iter().flat_map(|scale| scale.to_le_bytes()).collect(),
            );
        }
        Ok(quantized)
    }
}

/// The sum of each column of a quantised matrix in row-major order.
fn column_sums(numbers: &[i8], scales: &[f32]) -> Array1<f32> {
    let columns = scales.len().max(1);
    let rows = ArrayView2::from_shape((numbers.len() / columns, columns), numbers);
    let sums = rows.map(|rows| rows.mapv(f32::from).sum_axis(Axis(0))).unwrap_or_default();
    sums * Array1::from(scales.to_vec())
}

/// The transpose of `[out, in]` in integers of `bits` bits, `[in, out]` in row-major order, and the scale of
/// each of its columns.
fn quantize(matrix: ArrayView2<'_, f32>, bits: u32) -> (Vec<i8>, Vec<f32>) {
    let largest = ((1_u32 << (bits - 1)) - 1) as f32;
    let scale = |row: ndarray::ArrayView1<'_, f32>| {
        let distance = row.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        distance.max(SMALLEST) / largest
    };
    let scales: Vec<f32> = matrix.rows().into_iter().map(scale).collect();
    let integer = |(number, scale): (&f32, &f32)| (number / scale).round_ties_even() as i8;
    let numbers = matrix
        .columns()
        .into_iter()
        .flat_map(|column| column.iter().zip(&scales).map(integer).collect::<Vec<_>>());
    (numbers.collect(), scales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_column_of_weights_uses_all_its_bits() {
        let matrix = array![[0.3, -1.0, 0.25], [0.0, 0.0, 0.0], [0.02, 0.005, 0.0]];
        let (numbers, scales) = quantize(matrix.view(), 8);
        // By hand, the transpose: 0.3, −1 and 0.25 of 127 are 38.1, −127 and 31.75.
        assert_eq!(numbers, [38, 0, 127, -127, 0, 32, 32, 0, 0]);
        assert!((scales[0] - 1.0 / 127.0).abs() < 1e-9 && (scales[2] - 0.02 / 127.0).abs() < 1e-9);
        // 38 − 127 + 32, 0 and 127 + 32 times their scales.
        let sums = column_sums(&numbers, &scales);
        let expected = [-57.0 / 127.0, 0.0, 159.0 * 0.02 / 127.0];
        assert!(sums.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6), "{sums}");
        let (numbers, _) = quantize(matrix.view(), 7);
        assert_eq!(numbers, [19, 0, 63, -63, 0, 16, 16, 0, 0]);
        // Two products of the largest uint8 with such weights fit 16 bits, with 8 bits they do not.
        assert!(255 * 63 * 2 <= i32::from(i16::MAX) && 255 * 127 * 2 > i32::from(i16::MAX));
    }
}

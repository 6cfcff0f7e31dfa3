//! Weights in 8-bit integers, for the linear layers of `quantize`.

use std::collections::BTreeMap;

use midashi_onnx::Graph;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Ix2};

use crate::error::{Error, Result};
use crate::nodes::MatmulPrecision;
use crate::quantize::{INT8, SCALE, SHIFTED, SMALLEST};
use crate::ranges::{Codes, GELU_DEPTH};
use crate::weights::Weights;

impl Weights {
    /// The int8 matrices among `graph`'s parameters, their scales and shifted biases, by name, as row-major little-endian
    /// bytes. `precision` is that of the graph. `bits` is 8, or 7 for processors that add pairs of products in 16 bits.
    ///
    /// # Errors
    /// When a float32 matrix that they are computed from, or the range of its input, is missing.
    pub fn quantized(
        &self,
        graph: &Graph,
        precision: MatmulPrecision<'_>,
        bits: u32,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let mut quantized = BTreeMap::new();
        let shifted: Vec<&str> =
            graph.parameters().filter_map(|(name, _)| name.strip_suffix(SHIFTED)).collect();
        for name in graph.parameters().filter_map(|(name, _)| name.strip_suffix(INT8)) {
            let matrix = self.get(name).and_then(|matrix| matrix.view().into_dimensionality::<Ix2>().ok());
            let matrix = matrix.ok_or_else(|| Error::Unfilled(name.to_owned()))?;
            let layer = name.trim_end_matches(".weight");
            let bias = format!("{layer}.bias");
            let is_shifted = shifted.contains(&&*bias);
            let codes = match precision {
                MatmulPrecision::Int8(ranges) => Some(ranges.codes(layer, is_shifted)),
                MatmulPrecision::Float32 | MatmulPrecision::FineInt8 => None,
            };
            let codes =
                codes.map(|codes| codes.ok_or_else(|| Error::Unfilled(name.to_owned()))).transpose()?;
            let (numbers, scales) = match &codes {
                Some(codes) => quantize((&matrix * &ArrayView1::from(&codes.steps)).view(), bits),
                None => quantize(matrix, bits),
            };
            if is_shifted {
                let constants = match codes {
                    Some(Codes { least, .. }) => least.map(|least| matrix.dot(&Array1::from(least))),
                    None => Some(column_sums(&numbers, &scales) * -GELU_DEPTH),
                };
                let floats = self.get(&bias).ok_or_else(|| Error::Unfilled(bias.clone()))?;
                let mut sums: Vec<f32> = floats.iter().copied().collect();
                for (sum, constant) in sums.iter_mut().zip(constants.iter().flatten()) {
                    *sum += constant;
                }
                let bytes = sums.iter().flat_map(|sum| sum.to_le_bytes()).collect();
                quantized.insert(format!("{bias}{SHIFTED}"), bytes);
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
    let scale = |row: ArrayView1<'_, f32>| {
        let distance = row.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        distance.max(SMALLEST) / largest
    };
    let scales: Vec<f32> = matrix.rows().into_iter().map(scale).collect();
    let mut numbers = Array2::zeros((matrix.ncols(), matrix.nrows()));
    for ((row, scale), mut column) in matrix.rows().into_iter().zip(&scales).zip(numbers.columns_mut()) {
        for (number, integer) in row.iter().zip(&mut column) {
            *integer = (number / scale).round_ties_even() as i8;
        }
    }
    (numbers.into_iter().collect(), scales)
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

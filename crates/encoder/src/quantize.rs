//! Linear layers in 8-bit integers: weights are quantised once, activations in the graph.
//!
//! Products are summed exactly in int32. Each column of weights has a scale of its own, which maps its largest number to
//! the largest integer. A text's results must not depend on its batch; ONNX's `DynamicQuantizeLinear` has one scale for the
//! batch. So activations have a scale for each channel, from ranges that were measured before, or, where there are none, one
//! for each token (Yao et al. 2022, section 4).
//!
//! For whole classifiers without ranges, `in_two_digits` and `of_gelu` round activations less, where it matters most.

use midashi_onnx::{ElementType, Value};

use crate::linear::Linear;
use crate::ranges::{ActivationRanges, GELU_DEPTH};

/// Suffix of an int8 matrix; before it stands the name of the float32 matrix.
pub(crate) const INT8: &str = ".int8";
/// Suffix of the matrix's scales.
pub(crate) const SCALE: &str = ".scale";

/// Suffix of a bias to which a constant part of the activations has been added; before it stands the name of the bias.
pub(crate) const SHIFTED: &str = ".shifted";

/// Steps of the second digit in one of the first: both digits use the same integers.
const STEPS: f32 = 254.0;

/// An activation of 0 as uint8: processors multiply uint8 with int8.
const ZERO: u8 = 128;
/// Distance of a row's largest activation from [`ZERO`].
const LARGEST: f32 = 127.0;
/// Added to a row's largest number, so that a row of zeros has a scale too.
pub(crate) const SMALLEST: f32 = 1e-30;

impl<'g> Linear<'g, '_> {
    /// `x·Wᵀ + b`, the activations rounded by the `ranges` of their channels. The parameters are those of
    /// [`in_int8`](Self::in_int8) with the channels' steps in the weights, and `name.bias.shifted` if the input `may_shift`.
    pub(crate) fn in_calibrated_int8(
        self,
        x: Value<'g>,
        ranges: &ActivationRanges,
        may_shift: bool,
    ) -> Value<'g> {
        let may_shift = may_shift && self.has_bias;
        let codes = ranges.codes(self.name, may_shift).unwrap_or_default();
        let factors: Vec<f32> = codes.steps.iter().map(|step| 1.0 / step).collect();
        // ONNX Runtime merges equal nodes, so query, key and value share the rounded activations.
        let scaled = x * self.graph.floats(&[self.input], &factors);
        let shifts = |least: &Vec<f32>| {
            let shifts: Vec<f32> =
                least.iter().zip(&factors).map(|(least, factor)| -least * factor).collect();
            self.graph.floats(&[self.input], &shifts)
        };
        let shifted = codes.least.as_ref().map_or(scaled, |least| scaled + shifts(least));
        let (weight, weight_scale) = self.int8_weight();
        let bias = if may_shift { Some(self.shifted_bias()) } else { self.bias() };
        shifted.to_uint8(codes.zero).scaled_matmul_integer(weight, codes.zero, weight_scale, bias)
    }

    /// `x·Wᵀ + b` with the parameters `name.weight.int8` `[in, out]`, `name.weight.scale` `[out]` and
    /// `name.bias` `[out]`.
    pub(crate) fn in_int8(self, x: Value<'g>) -> Value<'g> {
        let (weight, weight_scale) = self.int8_weight();
        // ONNX Runtime merges equal nodes, so query, key and value share scale and quantised activations.
        let scale = (x.abs().reduce_max(&[1], true) + SMALLEST) * (1.0 / LARGEST);
        let products = (x / scale).to_uint8(ZERO).matmul_integer(weight, ZERO);
        add(products.to_float() * weight_scale * scale, self.bias())
    }

    /// As [`in_int8`](Self::in_int8), with two digits for each activation: its integer and the rest in 254ths of it.
    ///
    /// Normalised hidden states have a few numbers that are many times as large as the others (Kovaleva et al. 2021), so
    /// one digit leaves the others only a few steps.
    pub(crate) fn in_two_digits(self, x: Value<'g>) -> Value<'g> {
        let (weight, weight_scale) = self.int8_weight();
        let scale = (x.abs().reduce_max(&[1], true) + SMALLEST) * (1.0 / LARGEST);
        let scaled = x / scale;
        let first = scaled.to_uint8(ZERO);
        let rest = (scaled - (first.to_float() - f32::from(ZERO))) * STEPS;
        let [first, rest] =
            [first, rest.to_uint8(ZERO)].map(|digit| digit.matmul_integer(weight, ZERO).to_float());
        add((first + rest * (1.0 / STEPS)) * weight_scale * scale, self.bias())
    }

    /// As [`in_int8`](Self::in_int8), for the output `x` of GELU, which has hardly any negative numbers: all 8 bits are for
    /// positive ones. The parameter `name.bias.shifted` makes up for the shift.
    pub(crate) fn of_gelu(self, x: Value<'g>) -> Value<'g> {
        let (weight, weight_scale) = self.int8_weight();
        let bias = self.shifted_bias();
        let shifted = x + GELU_DEPTH;
        let scale = (shifted.reduce_max(&[1], true) + SMALLEST) * (1.0 / f32::from(u8::MAX));
        let products = (shifted / scale).to_uint8(0).matmul_integer(weight, 0);
        products.to_float() * weight_scale * scale + bias
    }

    /// The parameter `name.bias.shifted` `[out]`.
    fn shifted_bias(&self) -> Value<'g> {
        self.cut(0, self.parameter(&format!("bias{SHIFTED}"), &[self.output]))
    }

    /// The parameters `name.weight.int8` `[in, out]` and `name.weight.scale` `[out]`.
    fn int8_weight(&self) -> (Value<'g>, Value<'g>) {
        let name = format!("{}.weight{INT8}", self.name);
        let sizes = [self.input, self.output];
        let weight = self.graph.shared(&name, || self.graph.parameter_of(&name, ElementType::Int8, &sizes));
        (self.cut(1, weight), self.cut(0, self.parameter(&format!("weight{SCALE}"), &[self.output])))
    }
}

fn add<'g>(x: Value<'g>, bias: Option<Value<'g>>) -> Value<'g> {
    bias.map_or(x, |bias| x + bias)
}

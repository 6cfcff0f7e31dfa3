//! The range of each input of a linear layer on some texts, and the 8-bit integers that it is rounded to.
//!
//! Each channel has a range of its own, whose step is multiplied into the weights (as in Xiao et al. 2023, section 4).
//! The range is fixed before the texts are computed, so a text's results do not depend on its batch.

use std::collections::BTreeMap;

use midashi_onnx::{GraphBuilder, Value};

/// Separates the parts of an output's name. No tensor's name has it.
const SEPARATOR: char = '\u{1f}';
/// The first part of the name of a channel's largest numbers.
const LARGEST: &str = "largest";
/// The first part of the name of a channel's largest numbers after a change of sign.
const LARGEST_NEGATIVE: &str = "largest negative";

/// Ranges are widened by this factor: other texts have larger numbers. With the ranges of 128 titles of one corpus,
/// factors from 1 to 1.4 gave the same error (multilingual-e5-small).
const MARGIN: f32 = 1.1;
/// Narrower ranges are widened to this, so that a channel of zeros has a scale too.
const NARROWEST: f32 = 1e-6;
/// The distance of GELU's least value from 0, rounded up: 0.16997 for the exact formula, 0.17004 for the tanh
/// approximation.
pub(crate) const GELU_DEPTH: f32 = 0.1701;
/// Integers for GELU's negative numbers. Of 8 to 48, this one gave the smallest error (multilingual-e5-small).
const NEGATIVE_GELU: u8 = 24;
/// The middle of uint8.
const MIDDLE: u8 = 128;

/// The range of each channel of each linear layer's input, by the layer's name.
#[derive(Debug, Default)]
pub struct ActivationRanges(BTreeMap<String, Vec<Range>>);

/// The least and the largest number of a channel.
#[derive(Clone, Copy, Debug)]
struct Range {
    least: f32,
    largest: f32,
}

/// How a linear layer's input `x` is rounded to uint8: channel `c` to `x[c] / steps[c] − least[c] / steps[c]`, or to
/// `x[c] / steps[c] + zero` without `least`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Codes {
    pub(crate) steps: Vec<f32>,
    /// The numbers that become 0.
    pub(crate) least: Option<Vec<f32>>,
    /// The integer of the number 0, or 0 if there are `least` numbers.
    pub(crate) zero: u8,
}

/// Adds the range of `x`, an input of the linear layer `name`, to the outputs.
pub(crate) fn observe(graph: &GraphBuilder, name: &str, x: Value<'_>) {
    let of = format!("{name}{SEPARATOR}{}", x.name());
    graph.shared(&of, || {
        let outputs = [(LARGEST, x), (LARGEST_NEGATIVE, -x)];
        let [largest, _] = outputs.map(|(what, x)| {
            let largest = x.reduce_max(&[0], false);
            graph.output(&format!("{what}{SEPARATOR}{of}"), largest);
            largest
        });
        largest
    });
}

impl ActivationRanges {
    /// The linear layer whose input an output of [`calibration`](crate::calibration) is about.
    pub fn layer(output: &str) -> &str {
        output.split(SEPARATOR).nth(1).unwrap_or(output)
    }

    /// Widens a range by an output of [`calibration`](crate::calibration), named `output`. Other outputs are ignored.
    pub fn include(&mut self, output: &str, numbers: impl IntoIterator<Item = f32>) {
        let mut parts = output.split(SEPARATOR);
        let (Some(what @ (LARGEST | LARGEST_NEGATIVE)), Some(name)) = (parts.next(), parts.next()) else {
            return;
        };
        let channels = self.0.entry(name.to_owned()).or_default();
        for (channel, number) in numbers.into_iter().enumerate() {
            if channel == channels.len() {
                channels.push(Range { least: f32::INFINITY, largest: f32::NEG_INFINITY });
            }
            let range = &mut channels[channel];
            match what {
                LARGEST => range.largest = range.largest.max(number),
                _ => range.least = range.least.min(-number),
            }
        }
    }

    /// How the input of the linear layer `name` is rounded. If it `may_shift`, the least number of each channel becomes 0, so
    /// that all integers are used. Nothing if its range is not known.
    pub(crate) fn codes(&self, name: &str, may_shift: bool) -> Option<Codes> {
        let ranges = self.0.get(name)?;
        let least = ranges.iter().fold(0.0_f32, |least, range| least.min(range.least));
        Some(if least >= -GELU_DEPTH {
            Codes::of_activated(ranges, if least < 0.0 { NEGATIVE_GELU } else { 0 })
        } else if may_shift {
            Codes::shifted(ranges)
        } else {
            Codes::centred(ranges)
        })
    }
}

impl Codes {
    /// All integers for the range of each channel.
    fn shifted(ranges: &[Range]) -> Self {
        let widened = ranges.iter().map(|range| {
            let (middle, half) = ((range.least + range.largest) / 2.0, (range.largest - range.least) / 2.0);
            let half = (half * MARGIN).max(NARROWEST);
            (middle - half, 2.0 * half / f32::from(u8::MAX))
        });
        let (least, steps) = widened.unzip();
        Self { steps, least: Some(least), zero: 0 }
    }

    /// As many integers for negative numbers as for positive ones.
    fn centred(ranges: &[Range]) -> Self {
        let step = |range: &Range| {
            let distance = range.largest.max(-range.least) * MARGIN;
            distance.max(NARROWEST) / f32::from(u8::MAX - MIDDLE)
        };
        Self { steps: ranges.iter().map(step).collect(), least: None, zero: MIDDLE }
    }

    /// `negative` integers for the negative numbers of GELU, whose least number is known.
    fn of_activated(ranges: &[Range], negative: u8) -> Self {
        let smallest = if negative == 0 { NARROWEST } else { GELU_DEPTH / f32::from(negative) };
        let step = |range: &Range| (range.largest * MARGIN / f32::from(u8::MAX - negative)).max(smallest);
        Self { steps: ranges.iter().map(step).collect(), least: None, zero: negative }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(least: &[f32], largest: &[f32]) -> ActivationRanges {
        let mut ranges = ActivationRanges::default();
        let name = |what: &str| format!("{what}{SEPARATOR}dense{SEPARATOR}x");
        ranges.include(&name(LARGEST), largest.iter().copied());
        ranges.include(&name(LARGEST_NEGATIVE), least.iter().map(|number| -number));
        ranges
    }

    #[test]
    fn a_shift_uses_all_integers_of_a_one_sided_channel() {
        let ranges = ranges(&[-1.0, 20.0], &[1.0, 30.0]);
        let codes = ranges.codes("dense", true).unwrap();
        // By hand: 2 and 10 with a margin of a tenth, in 255 steps.
        let expected = [2.2 / 255.0, 11.0 / 255.0];
        assert!(codes.steps.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6));
        assert!(
            codes
                .least
                .unwrap()
                .iter()
                .zip([-1.1, 19.5])
                .all(|(found, expected)| (found - expected).abs() < 1e-5)
        );
        let around = ranges.codes("dense", false).unwrap();
        assert_eq!((around.zero, around.least), (128, None));
        assert!((around.steps[1] - 33.0 / 127.0).abs() < 1e-6);
        assert!(ranges.codes("other", true).is_none());
    }

    #[test]
    fn gelu_has_few_integers_for_negative_numbers_and_relu_none() {
        let gelu = ranges(&[-0.16997, -0.1], &[2.2, -0.05]).codes("dense", true).unwrap();
        assert_eq!((gelu.zero, gelu.least), (24, None));
        // 2.2 with a margin of a tenth in 231 steps, and 0.1701 in 24.
        let expected = [2.42 / 231.0, 0.1701 / 24.0];
        assert!(gelu.steps.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6));
        let relu = ranges(&[0.0], &[1.0]).codes("dense", true).unwrap();
        assert_eq!(relu.zero, 0);
    }

    #[test]
    fn ranges_of_several_batches_are_united() {
        let mut united = ranges(&[-1.0], &[1.0]);
        united.include(&format!("{LARGEST}{SEPARATOR}dense{SEPARATOR}y"), [3.0]);
        united.include("logits", [9.0]);
        let range = united.0["dense"][0];
        assert_eq!((range.least, range.largest), (-1.0, 3.0));
    }
}

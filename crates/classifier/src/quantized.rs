//! Sessions of graphs whose linear layers may be multiplied in 8-bit integers.

use std::borrow::Cow;

use midashi_encoder::{Graph, MatmulPrecision, Storage, Weights};
use midashi_runtime::{Device, Engine, Lanes, int8_weight_bits};

use crate::{Error, Result};

/// Checks that the device multiplies matrices in 8-bit integers, if it must. `setting` names the setting in the message.
///
/// # Errors
/// [`Error::Int8OnCuda`] for 8-bit integers on CUDA.
pub(crate) fn check_precision(needs_integers: bool, device: Device, setting: &'static str) -> Result<()> {
    if needs_integers && device == Device::Cuda { Err(Error::Int8OnCuda { setting }) } else { Ok(()) }
}

/// `graph`, built in `precision`, ready to compute many batches, with all its parameters from `weights`; those of int8 matrix
/// products are quantised.
pub(crate) fn lanes(
    engine: &Engine,
    graph: &Graph,
    name: &str,
    weights: Cow<'_, Weights>,
    precision: MatmulPrecision<'_>,
) -> Result<Lanes> {
    let mut quantized = weights.quantized(graph, precision, int8_weight_bits())?;
    let is_float = |name: &str| !quantized.contains_key(name);
    let floats = match weights {
        Cow::Borrowed(weights) => weights.for_graph(graph, is_float)?,
        Cow::Owned(weights) => weights.into_graph(graph, is_float)?,
    };
    let model = graph.to_model(name, |name| match quantized.remove(name) {
        Some(bytes) => Storage::Embedded(bytes.into()),
        None => Storage::External,
    });
    Ok(engine.lanes(&model, floats)?)
}

/// What a user of int8 should know about this processor, if it is slow there.
pub fn int8_note() -> Option<&'static str> {
    (int8_weight_bits() < 8).then_some(
        "this processor has no instructions for 8-bit integers (VNNI): int8 is about as fast as float32, and its weights have \
         7 bits",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn int8_is_refused_on_cuda_by_name() {
        let refused = check_precision(true, Device::Cuda, "train.trunk_precision is \"int8\"");
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("train.trunk_precision is \"int8\", which needs the CPU"), "{message}");
        for (needs_integers, device) in [(true, Device::Cpu), (false, Device::Cuda)] {
            assert!(check_precision(needs_integers, device, "").is_ok());
        }
    }
}

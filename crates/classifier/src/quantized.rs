//! Sessions of graphs whose linear layers may be multiplied in 8-bit integers.

use std::borrow::Cow;

use midashi_encoder::{Graph, MatmulPrecision, Storage, Weights};
use midashi_runtime::{Device, Engine, Lanes};

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
    let mut quantized = weights.quantized(graph, precision, weight_bits())?;
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

/// Bits of an int8 weight. x86 processors without VNNI add two products of uint8 and int8 in 16 bits (`vpmaddubsw`),
/// which overflow with weights of more than 7 bits.
pub(crate) fn weight_bits() -> u32 {
    #[cfg(target_arch = "x86_64")]
    let has_room = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let has_room = true;
    if has_room { 8 } else { 7 }
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

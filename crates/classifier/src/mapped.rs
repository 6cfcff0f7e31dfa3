//! Sessions whose weights are mapped from a model folder's file, so that processes with the same model share them. Weights
//! that have to be converted are not.

use midashi_encoder::{Graph, MatmulPrecision, Storage};
use midashi_runtime::{Engine, Session};

use crate::quantized::weight_bits;
use crate::{ModelFolder, Result};

/// A session of `graph`, built in `precision`, with all its parameters from the folder `model`; those of int8 matrix products
/// are quantised.
pub(crate) fn session(
    engine: &Engine,
    graph: &Graph,
    name: &str,
    model: &ModelFolder,
    precision: MatmulPrecision<'_>,
) -> Result<Session> {
    let (mut quantized, floats, mut mapped) = {
        // All weights are read and checked; most are freed again.
        let (weights, mut mapped) = (model.weights()?, model.weights_in_place()?);
        let quantized = weights.quantized(graph, precision, weight_bits())?;
        mapped.retain(|name, _| !quantized.contains_key(name));
        let is_given = |name: &str| !quantized.contains_key(name) && !mapped.contains_key(name);
        let floats = weights.for_graph(graph, is_given)?;
        (quantized, floats, mapped)
    };
    let graph = graph.to_model(name, |name| match (quantized.remove(name), mapped.remove(name)) {
        (Some(bytes), _) => Storage::Embedded(bytes.into()),
        (None, Some(range)) => Storage::File(range),
        (None, None) => Storage::External,
    });
    Ok(engine.session_beside(&graph, floats, model.path())?)
}

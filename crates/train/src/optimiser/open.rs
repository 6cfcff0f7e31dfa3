//! Chooses the optimiser.

use anyhow::Result;
use midashi_config as config;
use midashi_encoder::Weights;
use midashi_runtime::Device;

use crate::model::Model;
use crate::optimiser::fused::Fused;
use crate::optimiser::in_graph::InGraph;
use crate::optimiser::interface::Optimiser;
use crate::setup::Setup;

/// The optimiser for `train.optimiser` and the device.
pub fn open<'a>(setup: &'a Setup, model: &Model, weights: Weights) -> Result<Box<dyn Optimiser + 'a>> {
    let (engine, train) = (&setup.engine, &setup.settings.train);
    let in_graph = match train.optimiser {
        config::Optimiser::Auto => engine.device() == Device::Cuda,
        config::Optimiser::Fused => false,
        config::Optimiser::Graph => true,
    };
    Ok(if in_graph {
        Box::new(InGraph::new(engine, model, train, weights)?)
    } else {
        Box::new(Fused::new(engine, model, train, weights)?)
    })
}

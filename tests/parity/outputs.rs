//! Computes all outputs of an encoder for a batch: `outputs CHECKPOINT BATCH RESULT [--trunk]`.
//!
//! BATCH is a safetensors file with `input_ids`, `token_type_ids` and `attention_mask` (int64,
//! `[batch, tokens]`) and, if logits are wanted, `classifier.weight` and `classifier.bias`. RESULT becomes one with all
//! outputs; with `--trunk` also `hidden_states`, which are those after the last layer as a trunk computes them, without
//! padding. `output_parity.py` compares it with transformers.

use std::error::Error;
use std::path::Path;

use midashi_config::DeviceChoice;
use midashi_encoder::{
    ATTENTION_MASK, Checkpoint, Graph, Head, INPUT_IDS, MatmulPrecision, Start, Storage, TOKEN_TYPE_IDS,
    Weights, classifier, outputs, trunk,
};
use midashi_runtime::Engine;
use ndarray::ArrayD;
use safetensors::SafeTensors;

/// Threads of ONNX Runtime.
const THREADS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (checkpoint, batch, result, with_trunk) = match &arguments[..] {
        [checkpoint, batch, result] => (checkpoint, batch, result, false),
        [checkpoint, batch, result, trunk] if trunk == "--trunk" => (checkpoint, batch, result, true),
        _ => return Err("usage: outputs CHECKPOINT BATCH RESULT [--trunk]".into()),
    };
    let checkpoint = Checkpoint::open(Path::new(checkpoint))?;
    let (config, mut weights) = (checkpoint.config(), checkpoint.encoder_and_pooler()?);
    let bytes = std::fs::read(batch)?;
    let batch = SafeTensors::deserialize(&bytes)?;
    let inputs = [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK];
    let inputs = inputs.into_iter().map(|name| Ok((name, integers(&batch, name)?)));
    let inputs = inputs.collect::<Result<Vec<_>, Box<dyn Error>>>()?;

    let engine = Engine::open(Path::new("cache/onnxruntime"), DeviceChoice::Cpu, THREADS)?;
    let mut all = Weights::default();
    run(&engine, &outputs(config, weights.has_pooler(config))?, &weights, &inputs, &mut all)?;
    if with_trunk {
        let graph = trunk(config, config.num_hidden_layers, MatmulPrecision::Float32)?;
        run(&engine, &graph, &weights, &inputs, &mut all)?;
    }
    if batch.tensor("classifier.weight").is_ok() {
        for name in ["classifier.weight", "classifier.bias"] {
            weights.insert(name.to_owned(), floats(&batch, name)?);
        }
        let labels = weights.get("classifier.bias").map_or(0, ArrayD::len);
        run(
            &engine,
            &classifier(config, Head::linear(labels), Start::InputIds)?,
            &weights,
            &inputs,
            &mut all,
        )?;
    }
    all.write(Path::new(result))?;
    Ok(())
}

/// Adds all outputs of a graph to `results`.
fn run(
    engine: &Engine,
    graph: &Graph,
    weights: &Weights,
    inputs: &[(&'static str, ArrayD<i64>)],
    results: &mut Weights,
) -> Result<(), Box<dyn Error>> {
    let model = graph.to_model("outputs", |_| Storage::External);
    let mut session = engine.session(&model, weights.for_graph(graph, |_| true)?)?;
    let outputs =
        session.run(inputs.iter().map(|(name, numbers)| (*name, numbers.view().into())).collect())?;
    for name in graph.output_names() {
        results.insert(name.to_owned(), outputs.float32(name)?.to_owned());
    }
    Ok(())
}

fn integers(tensors: &SafeTensors<'_>, name: &str) -> Result<ArrayD<i64>, Box<dyn Error>> {
    let tensor = tensors.tensor(name)?;
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    Ok(ArrayD::from_shape_vec(tensor.shape(), numbers)?)
}

fn floats(tensors: &SafeTensors<'_>, name: &str) -> Result<ArrayD<f32>, Box<dyn Error>> {
    let tensor = tensors.tensor(name)?;
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(ArrayD::from_shape_vec(tensor.shape(), numbers)?)
}

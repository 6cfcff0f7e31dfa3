//! Adds a randomly initialised head to a checkpoint: `native_model CHECKPOINT BATCH linear|native[-mean] LABELS FOLDER`.
//!
//! BATCH is a safetensors file with `input_ids` and `attention_mask` (int64, `[batch, tokens]`). FOLDER becomes a model for
//! transformers, with `logits.safetensors` beside it. `architecture_reference.py --check` compares both.

use std::error::Error;
use std::path::Path;

use midashi_config::DeviceChoice;
use midashi_encoder::{
    ATTENTION_MASK, Checkpoint, Head, INPUT_IDS, LOGITS, MatmulPrecision, Pooling, Storage, TOKEN_TYPE_IDS,
    Weights, logits,
};
use midashi_runtime::Engine;
use ndarray::ArrayD;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

const SEED: u64 = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, batch, head, labels, folder] = &arguments[..] else {
        return Err("usage: native_model CHECKPOINT BATCH linear|native[-mean] LABELS FOLDER".into());
    };
    let (checkpoint, folder) = (Checkpoint::open(Path::new(checkpoint))?, Path::new(folder));
    let config = checkpoint.config();
    let labels: usize = labels.parse()?;
    let kind = if head.starts_with("linear") { Head::linear(labels) } else { Head::native(labels) };
    let pooling = if head.ends_with("-mean") { Pooling::Mean } else { Pooling::Cls };
    let head = Head { pooling, ..kind };
    head.check(config)?;
    let mut weights = checkpoint.encoder()?;
    head.initialise(config, &mut weights, SEED);

    let bytes = std::fs::read(batch)?;
    let batch = SafeTensors::deserialize(&bytes)?;
    let (ids, mask) = (integers(&batch, INPUT_IDS)?, integers(&batch, ATTENTION_MASK)?);
    let types = ArrayD::<i64>::zeros(ids.raw_dim());
    let inputs = [(INPUT_IDS, &ids), (TOKEN_TYPE_IDS, &types), (ATTENTION_MASK, &mask)];
    let graph = logits(config, head, MatmulPrecision::Float32)?;
    let engine = Engine::open(Path::new("cache/onnxruntime"), DeviceChoice::Cpu, 2)?;
    let model = graph.to_model("logits", |_| Storage::External);
    let mut session = engine.session(&model, weights.for_graph(&graph, |_| true)?)?;
    let inputs = inputs.map(|(name, numbers)| (name, numbers.view().into()));
    let mut found = Weights::default();
    found.insert(LOGITS.to_owned(), session.run(inputs.into())?.float32(LOGITS)?.to_owned());
    found.write(&folder.join("logits.safetensors"))?;

    let written = head.to_native(config, &weights)?;
    weights.write_model(config, &written, &folder.join("model.safetensors"))?;
    let (class, head_keys) = head.native_keys(config, 0.0);
    let ids: Map<String, Value> = (0..labels).map(|id| (id.to_string(), format!("{id}").into())).collect();
    let mut keys = config.written_keys();
    keys.extend(head_keys);
    keys.insert("architectures".to_owned(), json!([class]));
    keys.insert("id2label".to_owned(), ids.into());
    std::fs::write(folder.join("config.json"), serde_json::to_string_pretty(&keys)? + "\n")?;
    Ok(())
}

fn integers(tensors: &SafeTensors<'_>, name: &str) -> Result<ArrayD<i64>, Box<dyn Error>> {
    let tensor = tensors.tensor(name)?;
    let numbers = tensor.data().as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    Ok(ArrayD::from_shape_vec(tensor.shape(), numbers)?)
}

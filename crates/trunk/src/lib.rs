//! What the frozen layers say of a text: kept in `features.arrow`, or computed when it is needed.
//!
//! `train` and `evaluate` ask [`HiddenStates`] for a batch and need not know which of the two it is. A
//! model remembers with which trunk it was trained ([`TrunkRecord`]), so that it is evaluated on the
//! same numbers.

use std::cell::RefCell;

use midashi_artifacts::{Features, FeaturesKey, TokenizedCorpus, TokenizedText, round_to};
use midashi_bert::{
    Batch, BertConfig, Graph, HIDDEN_STATES, PaddingRule, Products, Storage, TextIds, Weights,
    batches_by_length,
};
use midashi_config::{FeaturePrecision, TrunkPrecision};
use midashi_runtime::{Device, Engine, Session};
use serde::{Deserialize, Serialize};

/// Raised when the trunk's arithmetic changes, so that features made before are made again.
const REVISION: u32 = 2;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why hidden states could not be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Integers are asked for where they are not computed.
    #[error(
        "train.trunk_precision is \"int8\", which is for the CPU, but the device is cuda; \
         set train.device and evaluate.device to \"cpu\", or train.trunk_precision to \"f32\""
    )]
    Int8OnCuda,
    /// The graph or its weights are wrong.
    #[error(transparent)]
    Bert(#[from] midashi_bert::Error),
    /// The graph could not be run.
    #[error(transparent)]
    Runtime(#[from] midashi_runtime::Error),
    /// The hidden states could not be kept.
    #[error(transparent)]
    Artifacts(#[from] midashi_artifacts::Error),
}

/// The trunk that a model was trained with, in `model/midashi.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrunkRecord {
    /// What its hidden states depend on.
    pub features: FeaturesKey,
    /// Whether they are kept in `features.arrow`.
    pub kept: bool,
}

/// The frozen layers, ready to compute.
pub struct Trunk {
    session: RefCell<Session>,
    pad_token_id: i64,
    hidden_size: usize,
    precision: FeaturePrecision,
    batch_tokens: usize,
}

/// Hidden states of a corpus's texts after the frozen layers.
pub enum HiddenStates {
    /// Of all texts, computed before.
    Kept(Features),
    /// Computed for each batch.
    Computed(Trunk),
}

impl HiddenStates {
    /// Some texts as the inputs of a graph that starts after the trunk.
    ///
    /// # Errors
    /// When they have to be computed and that fails.
    pub fn batch(&self, corpus: &TokenizedCorpus, texts: &[usize]) -> Result<Batch> {
        match self {
            Self::Kept(features) => {
                let hidden: Vec<_> = texts.iter().map(|&text| features.hidden(text)).collect();
                Ok(Batch::of_hidden(&hidden, features.hidden_size()))
            }
            Self::Computed(trunk) => {
                let ids: Vec<TextIds<'_>> = texts.iter().map(|&text| text_ids(&corpus.texts[text])).collect();
                let mut hidden = vec![Vec::new(); texts.len()];
                trunk.compute(&ids, |text, numbers| hidden[text] = numbers.to_vec())?;
                Ok(Batch::of_hidden(&hidden, trunk.hidden_size))
            }
        }
    }
}

impl Trunk {
    /// Prepares the frozen layers that `key` describes, to compute `batch_tokens` at a time.
    ///
    /// # Errors
    /// When a weight is missing, or int8 is asked for on CUDA.
    pub fn prepare(
        engine: &Engine,
        config: &BertConfig,
        weights: &Weights,
        key: &FeaturesKey,
        batch_tokens: usize,
    ) -> Result<Self> {
        let graph =
            midashi_bert::trunk(config, key.trunk_layers, products(key.trunk_precision, engine.device())?)?;
        Ok(Self {
            session: RefCell::new(session(engine, &graph, weights)?),
            pad_token_id: config.pad_token_id,
            hidden_size: config.hidden_size,
            precision: key.precision,
            batch_tokens,
        })
    }

    /// Computes texts in batches of similar length: calls `each` with the number
    /// of a text and its hidden states `[tokens, hidden_size]`, rounded to the features' precision.
    ///
    /// # Errors
    /// When the graph fails, or a hidden state is too large for the features' precision.
    pub fn compute(&self, texts: &[TextIds<'_>], mut each: impl FnMut(usize, &[f32])) -> Result<()> {
        for batch in self.batches(texts) {
            let ids: Vec<TextIds<'_>> = batch.iter().map(|&text| texts[text]).collect();
            let numbers = self.compute_batch(&ids)?;
            let mut rest = &numbers[..];
            for &text in &batch {
                let (hidden, others) = rest.split_at(texts[text].input_ids.len() * self.hidden_size);
                each(text, hidden);
                rest = others;
            }
        }
        Ok(())
    }

    /// The batches in which texts are best computed.
    pub fn batches(&self, texts: &[TextIds<'_>]) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.input_ids.len()).collect();
        batches_by_length(&lengths, self.batch_tokens)
    }

    /// Hidden states of one batch, text after text, `[all tokens, hidden_size]`.
    ///
    /// # Errors
    /// As [`Trunk::compute`].
    pub fn compute_batch(&self, texts: &[TextIds<'_>]) -> Result<Vec<f32>> {
        let batch = Batch::of_ids(texts, self.pad_token_id, PaddingRule::Masked);
        let mut session = self.session.borrow_mut();
        let outputs = session.run(batch.inputs())?;
        let hidden = outputs.float32(HIDDEN_STATES)?.iter().copied().collect();
        Ok(round_to(self.precision, hidden)?)
    }
}

/// A text as the model reads it.
pub fn text_ids(text: &TokenizedText) -> TextIds<'_> {
    TextIds { input_ids: &text.input_ids, token_type_ids: &text.token_type_ids }
}

/// What decides the last digits of hidden states, for [`FeaturesKey::computed_by`].
pub fn computed_by(engine: &Engine, precision: TrunkPrecision) -> String {
    let description = engine.description();
    let weights = match precision {
        TrunkPrecision::F32 => String::new(),
        TrunkPrecision::Int8 => format!(", weights of {} bits", weight_bits()),
    };
    format!("{} on {}{weights}, revision {REVISION}", description.onnxruntime, description.device)
}

/// A session of the trunk's graph with all its weights, those of int8 products quantised.
fn session(engine: &Engine, graph: &Graph, weights: &Weights) -> Result<Session> {
    let mut quantized = weights.quantized(graph, weight_bits())?;
    let floats = weights.for_graph(graph, |name| !quantized.contains_key(name))?;
    let model = graph.to_model("trunk", |name| match quantized.remove(name) {
        Some(bytes) => Storage::Embedded(bytes.into()),
        None => Storage::External,
    });
    Ok(engine.session(&model, floats)?)
}

fn products(precision: TrunkPrecision, device: Device) -> Result<Products> {
    match (precision, device) {
        (TrunkPrecision::F32, _) => Ok(Products::Float32),
        (TrunkPrecision::Int8, Device::Cpu) => Ok(Products::Int8),
        (TrunkPrecision::Int8, Device::Cuda) => Err(Error::Int8OnCuda),
    }
}

/// How many bits an int8 weight may use. x86 processors without VNNI add two products of uint8 and int8
/// in 16 bits (`vpmaddubsw`), which overflow with weights of more than 7 bits.
fn weight_bits() -> u32 {
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
        let message = products(TrunkPrecision::Int8, Device::Cuda).unwrap_err().to_string();
        assert!(message.contains("train.trunk_precision is \"int8\""), "{message}");
        assert_eq!(products(TrunkPrecision::Int8, Device::Cpu).unwrap(), Products::Int8);
        assert_eq!(products(TrunkPrecision::F32, Device::Cuda).unwrap(), Products::Float32);
    }
}

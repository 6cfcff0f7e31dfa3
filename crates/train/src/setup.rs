//! What training starts from: settings, checkpoint, ONNX Runtime and the device.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use midashi_bert::{Activation, BertConfig, Checkpoint, Start, Weights};
use midashi_pipeline::Config;
use midashi_pipeline::artifact::{Sources, TokenizedCorpus};
use midashi_pipeline::config::{DeviceChoice, Scratch, Train, TrainableLayers};
use midashi_runtime::{Choice, Device, Runtime};
use serde::Serialize;

/// What the trained model depends on, besides its inputs.
#[derive(Serialize)]
pub struct Settings {
    pub train: Train,
    /// The size of the model when it is made from nothing.
    pub scratch: Option<Scratch>,
    /// What computes; it decides the last digits.
    pub engine: Engine,
}

/// What computes the graphs.
#[derive(Serialize)]
pub struct Engine {
    /// ONNX Runtime's version.
    pub onnxruntime: String,
    /// Where the graphs run.
    pub device: String,
    /// ONNX Runtime splits sums among its threads.
    pub threads: usize,
}

/// All that training starts from, before anything is computed.
pub struct Setup {
    pub settings: Settings,
    pub checkpoint_files: Vec<PathBuf>,
    pub runtime: Runtime,
    pub device: Device,
    checkpoint: Option<Checkpoint>,
}

impl Setup {
    pub fn new(config: &Config, sources: &Sources) -> Result<Self> {
        let checkpoint = sources.checkpoint.as_deref().map(Checkpoint::open).transpose()?;
        let scratch = checkpoint.is_none().then(|| config.model.scratch.clone());
        if scratch.is_some() && config.train.trainable_layers != TrainableLayers::All {
            bail!(
                "model.checkpoint is \"scratch\" but train.trainable_layers is not \"all\": \
                 layers that were never trained must not be frozen"
            );
        }
        let runtime = Runtime::load(&config.run.cache.join("onnxruntime"))?;
        let device = runtime.device(match config.train.device {
            DeviceChoice::Auto => Choice::Auto,
            DeviceChoice::Cpu => Choice::Cpu,
            DeviceChoice::Cuda => Choice::Cuda,
        })?;
        let engine =
            Engine { onnxruntime: runtime.version(), device: device.to_string(), threads: config.threads() };
        println!("  device {device}, {} threads", engine.threads);
        Ok(Self {
            settings: Settings { train: config.train.clone(), scratch, engine },
            checkpoint_files: checkpoint.as_ref().map(Checkpoint::files).unwrap_or_default(),
            runtime,
            device,
            checkpoint,
        })
    }

    /// The encoder before training: the checkpoint's, or one made from nothing for the vocabulary
    /// that was learned.
    pub fn encoder(&self, corpus: &TokenizedCorpus) -> Result<(BertConfig, Weights)> {
        let (config, weights) = match (&self.checkpoint, &self.settings.scratch) {
            (Some(checkpoint), _) => (checkpoint.config().clone(), checkpoint.encoder()?),
            (None, scratch) => {
                let scratch =
                    scratch.as_ref().context("there is neither a checkpoint nor a size for a new model")?;
                let config = scratch_config(scratch, corpus.vocabulary_size);
                let weights = Weights::scratch(&config, self.settings.train.seed);
                (config, weights)
            }
        };
        if corpus.vocabulary_size > config.vocab_size {
            bail!(
                "the tokenizer knows {} ids but the checkpoint has embeddings for {}; they do not belong together",
                corpus.vocabulary_size,
                config.vocab_size
            );
        }
        Ok((config, weights))
    }

    /// Where the trainable part begins.
    pub fn start(&self, config: &BertConfig) -> Result<Start> {
        match self.settings.train.trainable_layers {
            TrainableLayers::All => Ok(Start::InputIds),
            TrainableLayers::Last(count) if count <= config.num_hidden_layers => {
                Ok(Start::for_trainable_layers(config, count))
            }
            TrainableLayers::Last(count) => bail!(
                "train.trainable_layers is {count} but the checkpoint has {} layers",
                config.num_hidden_layers
            ),
        }
    }

    /// Whether the parameter `name` learns.
    pub fn learns(&self, config: &BertConfig, name: &str) -> bool {
        let trainable = self.settings.train.trainable_layers;
        let first = config.num_hidden_layers - trainable.count(config.num_hidden_layers);
        let layer =
            name.strip_prefix("bert.encoder.layer.").and_then(|rest| rest.split('.').next()?.parse().ok());
        match layer {
            Some(layer) => (first..).contains(&layer),
            None => name.starts_with("classifier.") || trainable == TrainableLayers::All,
        }
    }
}

fn scratch_config(scratch: &Scratch, vocabulary_size: usize) -> BertConfig {
    BertConfig {
        model_type: "bert".to_owned(),
        vocab_size: vocabulary_size,
        hidden_size: scratch.hidden_size,
        num_hidden_layers: scratch.layers,
        num_attention_heads: scratch.attention_heads,
        intermediate_size: scratch.intermediate_size,
        hidden_act: Activation::Gelu,
        max_position_embeddings: scratch.max_positions,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        initializer_range: 0.02,
        pad_token_id: 0,
        position_embedding_type: "absolute".to_owned(),
        other: serde_json::Map::new(),
    }
}

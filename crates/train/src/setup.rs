//! Settings, checkpoint and engine of the training.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use midashi_artifacts::{Sources, TokenizedCorpus, read_checkpoint_ids};
use midashi_classifier::encoder_head;
use midashi_config::{Compat, Config, Scratch, Train, TrainableLayers};
use midashi_encoder::{Checkpoint, Dropout, EncoderConfig, PaddingRule, Start, Weights};
use midashi_runtime::{Engine, EngineDescription};
use rayon::ThreadPoolBuilder;
use serde::Serialize;

use crate::head;
use crate::model::Model;

/// Everything that the trained model depends on besides its inputs.
#[derive(Serialize)]
pub struct Settings {
    pub train: Train,
    /// Size of a randomly initialised model.
    pub scratch: Option<Scratch>,
    /// Library and device; the last digits depend on them.
    pub engine: EngineDescription,
    #[serde(skip_serializing_if = "Compat::is_off")]
    pub compat: Compat,
}

/// The training before anything is computed.
pub struct Setup {
    pub settings: Settings,
    pub checkpoint_files: Vec<PathBuf>,
    pub engine: Engine,
    /// The checkpoint's ids of the pieces of a trimmed vocabulary.
    pub words: Option<Vec<usize>>,
    checkpoint: Option<Checkpoint>,
}

impl Setup {
    pub fn new(config: &Config, sources: &Sources) -> Result<Self> {
        let checkpoint = sources.checkpoint.as_deref().map(Checkpoint::open).transpose()?;
        let scratch = checkpoint.is_none().then(|| config.model.scratch.clone());
        if scratch.is_some() && config.train.trainable_layers != TrainableLayers::All {
            bail!(
                "model.checkpoint is \"scratch\" but train.trainable_layers is not \"all\": \
                 untrained layers must not be frozen; set it to \"all\""
            );
        }
        let engine =
            Engine::open(&config.run.cache.join("onnxruntime"), config.train.device, config.threads())?
                .with_tf32(config.train.tf32);
        let threads = ThreadPoolBuilder::new().num_threads(engine.threads()).build_global();
        threads.context("cannot start run.threads threads")?;
        midashi_stage::outln!("  {engine}");
        Ok(Self {
            settings: Settings {
                // The results do not depend on how often the state is saved.
                train: Train { save_interval: Train::default().save_interval, ..config.train.clone() },
                scratch,
                engine: engine.description(),
                compat: config.compat,
            },
            checkpoint_files: checkpoint.as_ref().map(Checkpoint::files).unwrap_or_default(),
            engine,
            words: None,
            checkpoint,
        })
    }

    /// Reduces the checkpoint to the vocabulary in the folder `tokenizer`, if that was trimmed.
    pub fn with_vocabulary(mut self, tokenizer: &Path) -> Result<Self> {
        self.words = read_checkpoint_ids(tokenizer)?;
        if let Some(words) = &self.words {
            let checkpoint = self.checkpoint.take().with_context(|| {
                format!(
                    "{} was trimmed from a checkpoint's vocabulary, but model.checkpoint is \"scratch\"; run \
                     midashi-tokenize again",
                    tokenizer.display()
                )
            })?;
            self.checkpoint = Some(checkpoint.with_words(words.clone())?);
        }
        Ok(self)
    }

    /// Number of word embeddings before and after the vocabulary was trimmed, if it was.
    pub fn trimmed(&self) -> Option<(usize, usize)> {
        let before = self.checkpoint.as_ref()?.words_before();
        Some((before, self.words.as_ref()?.len()))
    }

    /// The model and its weights before training: the encoder's from the checkpoint, or randomly initialised for the
    /// vocabulary of the corpus; a pooler's from the checkpoint if it has one; the classifier's randomly initialised.
    pub fn model(&self, corpus: &TokenizedCorpus) -> Result<(Model, Weights)> {
        let (config, mut weights, mut unused) = match (&self.checkpoint, &self.settings.scratch) {
            (Some(checkpoint), _) => {
                let weights = checkpoint.encoder()?;
                let unused = checkpoint.unused(&weights)?;
                (checkpoint.config().clone(), weights, unused)
            }
            (None, scratch) => {
                let scratch =
                    scratch.as_ref().context("there is neither a checkpoint nor [model.scratch]")?;
                let config = scratch_config(scratch, corpus.vocabulary_size)?;
                let weights = Weights::scratch(&config, self.settings.train.seed);
                (config, weights, Vec::new())
            }
        };
        if corpus.vocabulary_size > config.vocab_size {
            bail!(
                "the tokenizer has {} ids but the checkpoint has embeddings for {}; \
                 use the tokenizer of this checkpoint",
                corpus.vocabulary_size,
                config.vocab_size
            );
        }
        let (start, trainable) = (self.start(&config)?, self.settings.train.trainable_layers);
        let rates = self.settings.train.dropout;
        let dropout = Dropout { hidden: rates.hidden > 0.0, attention: rates.attention > 0.0 };
        let head =
            encoder_head(self.settings.train.head, self.settings.train.pooling, corpus.categories.len());
        head.check(&config)?;
        let model = Model { config, labels: corpus.categories.clone(), head, start, trainable, dropout };
        let (checkpoint, seed) = (self.checkpoint.as_ref(), self.settings.train.seed);
        if let Some(layer) = head::initialise(&mut weights, &model, checkpoint, seed)? {
            unused.retain(|name| !name.starts_with(&format!("{layer}.")));
        }
        print_ignored(&unused);
        Ok((model, weights))
    }

    /// Whether padding is masked.
    pub fn padding(&self) -> PaddingRule {
        if self.settings.compat.article { PaddingRule::Attended } else { PaddingRule::Masked }
    }

    /// Where the trainable part begins.
    fn start(&self, config: &EncoderConfig) -> Result<Start> {
        match self.settings.train.trainable_layers {
            TrainableLayers::Last(count) if count > config.num_hidden_layers => bail!(
                "train.trainable_layers is {count} but the checkpoint has {layers} layers; set it to 0 … {layers} or \"all\"",
                layers = config.num_hidden_layers
            ),
            // If padding is attended to, hidden states depend on the batch and cannot be computed once.
            _ if self.padding() == PaddingRule::Attended => Ok(Start::InputIds),
            TrainableLayers::All => Ok(Start::InputIds),
            TrainableLayers::Last(count) => Ok(Start::for_trainable_layers(config, count)),
        }
    }
}

/// Prints one line about unused tensors, such as heads of other tasks. `midashi-inspect` lists them all.
fn print_ignored(tensors: &[String]) {
    const SHOWN: usize = 3;
    let shown = tensors.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if tensors.len() > SHOWN { ", …" } else { "" };
    if !tensors.is_empty() {
        midashi_stage::outln!("  ignored tensors: {shown}{more} ({})", tensors.len());
    }
}

fn scratch_config(scratch: &Scratch, vocabulary_size: usize) -> Result<EncoderConfig> {
    let keys = serde_json::json!({
        "model_type": "bert",
        "vocab_size": vocabulary_size,
        "hidden_size": scratch.hidden_size,
        "num_hidden_layers": scratch.layers,
        "num_attention_heads": scratch.attention_heads,
        "intermediate_size": scratch.intermediate_size,
        "max_position_embeddings": scratch.max_positions,
    });
    serde_json::from_value(keys).context("[model.scratch] describes no BERT")
}

//! A pretrained checkpoint on disk: a folder with `config.json` and the weights.
//!
//! Published checkpoints differ in four ways, all of which are read: the container
//! (`model.safetensors`, the same in shards, `pytorch_model.bin`), Hugging Face's names with or
//! without the prefix `bert.`, LayerNorm as `weight`/`bias` or as `gamma`/`beta`, float32, float16
//! or bfloat16. Heads of other tasks are left alone.

mod pickle;
mod pytorch;
mod safetensors;
mod tensor_file;

use std::path::{Path, PathBuf};

use ndarray::ArrayD;

use self::tensor_file::TensorFile;
use crate::{BertConfig, Error, Result, Weights};

const CONFIG: &str = "config.json";
const SAFETENSORS: &str = "model.safetensors";
const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// A checkpoint's folder.
pub struct Checkpoint {
    config: BertConfig,
    /// What messages call the weights: the file itself, or the index of its shards.
    weights: PathBuf,
    /// The files that hold tensors.
    parts: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`. Of several forms of the weights one is taken: safetensors
    /// whole, safetensors in shards, `pytorch_model.bin`.
    ///
    /// # Errors
    /// When `config.json`, the weights or a shard is missing, or the architecture is not BERT.
    pub fn open(folder: &Path) -> Result<Self> {
        let config = BertConfig::read(&folder.join(CONFIG))?;
        let weights = [SAFETENSORS, SAFETENSORS_INDEX, PICKLE]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| Error::NoWeights { folder: folder.to_owned() })?;
        let parts = match weights.ends_with(SAFETENSORS_INDEX) {
            true => safetensors::shards(&weights)?,
            false => vec![weights.clone()],
        };
        Ok(Self { config, weights, parts })
    }

    /// The model's geometry.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The files that the weights depend on.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.weights.with_file_name(CONFIG), self.weights.clone()];
        files.extend(self.parts.iter().filter(|part| **part != self.weights).cloned());
        files
    }

    /// Reads the encoder's tensors as float32, one after the other from the mapped files.
    ///
    /// # Errors
    /// When a file is damaged, a tensor is missing, has another shape than the configuration
    /// implies, or holds something other than float32, float16 or bfloat16.
    pub fn encoder(&self) -> Result<Weights> {
        self.read(&self.config.tensors())
    }

    /// Reads the encoder and the linear classifier of a model that Midashi has fine-tuned.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`].
    pub fn encoder_and_classifier(&self, labels: usize) -> Result<Weights> {
        let mut tensors = self.config.tensors();
        tensors.push(("classifier.weight".to_owned(), vec![labels, self.config.hidden_size]));
        tensors.push(("classifier.bias".to_owned(), vec![labels]));
        self.read(&tensors)
    }

    fn read(&self, wanted: &[(String, Vec<usize>)]) -> Result<Weights> {
        let parts = self.parts.iter().map(|path| TensorFile::open(path)).collect::<Result<Vec<_>>>()?;
        let mut weights = Weights::default();
        for (name, shape) in wanted {
            weights.insert(name.clone(), self.tensor(&parts, name, shape)?);
        }
        Ok(weights)
    }

    fn tensor(&self, parts: &[TensorFile], name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        spellings(name)
            .iter()
            .find_map(|spelled| parts.iter().find_map(|part| part.read(spelled, shape)))
            .unwrap_or_else(|| {
                Err(Error::TensorMissing {
                    path: self.weights.clone(),
                    name: name.to_owned(),
                    expected: shape.to_vec(),
                })
            })
    }
}

/// The names under which published checkpoints keep `bert.…`.
fn spellings(name: &str) -> Vec<String> {
    let plain = name.strip_prefix("bert.").unwrap_or(name);
    [name, plain]
        .into_iter()
        .flat_map(|name| {
            let old = name
                .replace("LayerNorm.weight", "LayerNorm.gamma")
                .replace("LayerNorm.bias", "LayerNorm.beta");
            [name.to_owned(), old]
        })
        .collect()
}

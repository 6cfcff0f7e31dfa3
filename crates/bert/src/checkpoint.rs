//! A pretrained checkpoint on disk: a folder with `config.json` and `model.safetensors`.
//!
//! Names are those of Hugging Face's BERT. Published files differ in three ways, all of which are
//! read: with or without the prefix `bert.`, LayerNorm as `weight`/`bias` or as `gamma`/`beta`,
//! float32, float16 or bfloat16. Heads of other tasks are left alone.

use std::fs::File;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::Mmap;
use ndarray::ArrayD;
use safetensors::tensor::{Dtype, SafeTensors};

use crate::{BertConfig, Error, Result, Weights};

/// A checkpoint's folder.
pub struct Checkpoint {
    config: BertConfig,
    path: PathBuf,
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`.
    ///
    /// # Errors
    /// When `config.json` or the weights are missing, or the architecture is not BERT.
    pub fn open(folder: &Path) -> Result<Self> {
        let config = BertConfig::read(&folder.join("config.json"))?;
        let path = folder.join("model.safetensors");
        if !path.is_file() {
            let pickled = folder.join("pytorch_model.bin").exists();
            let hint = if pickled {
                "; its pytorch_model.bin must be converted first (save_pretrained(..., safe_serialization=True))"
            } else {
                ""
            };
            return Err(Error::NoWeights { folder: folder.to_owned(), hint: hint.to_owned() });
        }
        Ok(Self { config, path })
    }

    /// The model's geometry.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }

    /// The files that the weights depend on.
    pub fn files(&self) -> Vec<PathBuf> {
        vec![self.path.with_file_name("config.json"), self.path.clone()]
    }

    /// Reads the encoder's tensors as float32, one after the other from the mapped file.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape than the configuration implies, or holds
    /// something other than float32, float16 or bfloat16.
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
        let file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        // SAFETY: checkpoints are read-only; a file that shrinks while it is read is a broken
        // machine, not an input to defend against.
        let mapping = unsafe { Mmap::map(&file) }.map_err(Error::io("map", &self.path))?;
        let tensors = SafeTensors::deserialize(&mapping)
            .map_err(|error| self.broken(format!("not a safetensors file: {error}")))?;
        let mut weights = Weights::default();
        for (name, shape) in wanted {
            weights.insert(name.clone(), self.tensor(&tensors, name, shape)?);
        }
        Ok(weights)
    }

    fn tensor(&self, tensors: &SafeTensors<'_>, name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        let found = spellings(name).into_iter().find_map(|name| Some((tensors.tensor(&name).ok()?, name)));
        let (tensor, spelled) = found.ok_or_else(|| Error::TensorMissing {
            path: self.path.clone(),
            name: name.to_owned(),
            expected: shape.to_vec(),
        })?;
        if tensor.shape() != shape {
            return Err(Error::TensorShape {
                path: self.path.clone(),
                name: spelled,
                found: tensor.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        let bytes = tensor.data();
        let numbers: Vec<f32> = match tensor.dtype() {
            Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Dtype::F16 => bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect(),
            Dtype::BF16 => bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect(),
            other => {
                let message = format!("tensor {spelled} holds {other:?}; expected F32, F16 or BF16");
                return Err(self.broken(message));
            }
        };
        ArrayD::from_shape_vec(shape, numbers)
            .map_err(|error| self.broken(format!("tensor {spelled}: {error}")))
    }

    fn broken(&self, message: String) -> Error {
        Error::Weights { path: self.path.clone(), message }
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

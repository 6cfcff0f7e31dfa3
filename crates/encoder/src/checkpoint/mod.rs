//! A pretrained checkpoint on disk: a folder with `config.json` and the weights.
//!
//! All variants of published checkpoints are read: the container (`model.safetensors`, whole or in shards,
//! or `pytorch_model.bin`), Hugging Face's names with or without the prefix `bert.`, LayerNorm as
//! `weight`/`bias` or as `gamma`/`beta`, and float32, float16 or bfloat16. Heads of other tasks are ignored.
//! Architectures that are BERT under other names are converted to BERT.

mod architecture;
mod directory;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod pickle;
mod pooler;
mod pytorch;
mod safetensors;
mod tensor_file;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, Slice};

use self::architecture::{Architecture, Source};
pub use self::pooler::Pooler;
use self::tensor_file::TensorFile;
use crate::config::EncoderConfig;
use crate::error::{Error, Result};
use crate::head::{Head, identity_scale};
use crate::weights::Weights;

const CONFIG: &str = "config.json";
const SAFETENSORS: &str = "model.safetensors";
const SAFETENSORS_INDEX: &str = "model.safetensors.index.json";
const PICKLE: &str = "pytorch_model.bin";

/// One of the files that hold a checkpoint's tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsFile {
    /// Its path.
    pub path: PathBuf,
    /// `safetensors`, `PyTorch zip archive` or `PyTorch legacy stream`.
    pub container: &'static str,
    /// How many tensors it holds of each element type (`F32`, `F16`, `BF16`, …).
    pub tensors: BTreeMap<String, usize>,
}

/// A checkpoint's folder.
pub struct Checkpoint {
    architecture: &'static Architecture,
    config: EncoderConfig,
    /// The file of the weights, or the index of its shards; error messages name it.
    weights: PathBuf,
    /// The files that hold tensors.
    parts: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`. Of several containers the first of these is read: safetensors whole,
    /// safetensors in shards, `pytorch_model.bin`.
    ///
    /// # Errors
    /// When `config.json`, the weights or a shard is missing, or the architecture is not BERT under other
    /// names.
    pub fn open(folder: &Path) -> Result<Self> {
        let (architecture, config) = Architecture::read(&folder.join(CONFIG))?;
        let weights = [SAFETENSORS, SAFETENSORS_INDEX, PICKLE]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| Error::NoWeights { folder: folder.to_owned() })?;
        let parts = match weights.ends_with(SAFETENSORS_INDEX) {
            true => safetensors::shards(&weights)?,
            false => vec![weights.clone()],
        };
        Ok(Self { architecture, config, weights, parts })
    }

    /// The model's geometry, under BERT's names.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The architecture before conversion: `bert`, `roberta` (and its derivatives), `distilbert` or
    /// `electra`.
    pub fn architecture(&self) -> &'static str {
        self.architecture.name
    }

    /// The files that the weights depend on.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.weights.with_file_name(CONFIG), self.weights.clone()];
        files.extend(self.parts.iter().filter(|part| **part != self.weights).cloned());
        files
    }

    /// Reads the encoder's tensors as float32.
    ///
    /// # Errors
    /// When a file is damaged, or a tensor is missing, has another shape than the configuration implies, or
    /// another element type than float32, float16 or bfloat16.
    pub fn encoder(&self) -> Result<Weights> {
        self.read(&self.config.tensors())
    }

    /// Reads the encoder and the head of a model that Midashi has fine-tuned. A linear head is returned without the
    /// pooler in which it is written (see [`Head::to_bert`]); models of older versions have no such pooler.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`], and when the head is linear but the file has a pooler of another kind.
    pub fn fine_tuned(&self, head: Head) -> Result<Weights> {
        let mut tensors = self.config.tensors();
        tensors.extend(head.tensors(&self.config));
        if !head.pooler && self.has_pooler(&self.open_parts()?) {
            tensors.extend(self.config.pooler_tensors());
        }
        let mut weights = self.read(&tensors)?;
        if !head.pooler && !Head::undo(&mut weights) {
            return Err(Error::NotLinear { path: self.weights.clone() });
        }
        Ok(weights)
    }

    /// Reads the encoder and, if the checkpoint has one, the pooler. The multiple of the identity that Midashi writes
    /// beside a linear head is left out.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`].
    pub fn encoder_and_pooler(&self) -> Result<Weights> {
        let mut tensors = self.config.tensors();
        if self.has_pooler(&self.open_parts()?) {
            tensors.extend(self.config.pooler_tensors());
        }
        let mut weights = self.read(&tensors)?;
        // A pooler that cannot be undone stays.
        Head::undo(&mut weights);
        Ok(weights)
    }

    /// The pooler that a head of a pooler and a classifier starts from.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`].
    pub fn pooler(&self) -> Result<Pooler> {
        let parts = self.open_parts()?;
        let holds = |name: &str| parts.iter().any(|part| part.tensors().contains_key(name));
        if let Some((tensor, function)) = self.architecture.other_head
            && holds(tensor)
        {
            return Ok(Pooler::Other { tensor, function });
        }
        let [weight, bias] = self.config.pooler_tensors();
        let own = self.architecture.pooler.filter(|name| holds(&format!("{name}.weight")));
        let read = |(name, shape): &(String, Vec<usize>), part: &str| match own {
            Some(own) => self.stored(&parts, &format!("{own}.{part}"), shape),
            None => self.stored(&parts, name, shape),
        };
        if own.is_none() && !self.has_pooler(&parts) {
            return Ok(Pooler::None);
        }
        let tensors = [read(&weight, "weight")?, read(&bias, "bias")?];
        if identity_scale(&tensors[0], &tensors[1]).is_some() {
            return Ok(Pooler::Identity);
        }
        let stored =
            self.find(&parts, &weight.0).map(|(_, name)| name.trim_end_matches(".weight").to_owned());
        let name = own.map(str::to_owned).or(stored).unwrap_or_default();
        let [weight, bias] = [weight, bias].map(|(name, _)| name);
        let [weights, biases] = tensors;
        Ok(Pooler::Stored { name, tensors: vec![(weight, weights), (bias, biases)] })
    }

    fn has_pooler(&self, parts: &[TensorFile]) -> bool {
        self.config.pooler_tensors().iter().any(|(name, _)| self.find(parts, name).is_some())
    }

    /// The files that hold tensors.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn weights_files(&self) -> Result<Vec<WeightsFile>> {
        let describe = |part: &TensorFile| {
            let mut tensors = BTreeMap::new();
            for stored in part.tensors().values() {
                *tensors.entry(format!("{:?}", stored.dtype)).or_default() += 1;
            }
            WeightsFile { path: part.path().to_owned(), container: part.container(), tensors }
        };
        Ok(self.open_parts()?.iter().map(describe).collect())
    }

    /// Names of the tensors in the files that are not among `weights`, sorted: heads of other tasks, buffers.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn unused(&self, weights: &Weights) -> Result<Vec<String>> {
        let parts = self.open_parts()?;
        let used: HashSet<String> =
            weights.iter().filter_map(|(name, _)| Some(self.find(&parts, name)?.1)).collect();
        let names = parts.iter().flat_map(|part| part.tensors().keys());
        let unused: BTreeSet<&String> = names.filter(|name| !used.contains(*name)).collect();
        Ok(unused.into_iter().cloned().collect())
    }

    fn open_parts(&self) -> Result<Vec<TensorFile>> {
        self.parts.iter().map(|path| TensorFile::open(path)).collect()
    }

    fn read(&self, wanted: &[(String, Vec<usize>)]) -> Result<Weights> {
        let parts = self.open_parts()?;
        let mut weights = Weights::default();
        for (name, shape) in wanted {
            weights.insert(name.clone(), self.tensor(&parts, name, shape)?);
        }
        Ok(weights)
    }

    /// BERT's tensor `name`, stored or zeros.
    fn tensor(&self, parts: &[TensorFile], name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        match self.architecture.source(name, &self.config) {
            Source::Zeros => Ok(ArrayD::zeros(shape)),
            Source::Stored { rows_before: 0 } => self.stored(parts, name, shape),
            Source::Stored { rows_before } => {
                let mut shape = shape.to_vec();
                shape[0] += rows_before;
                let all = self.stored(parts, name, &shape)?;
                Ok(all.slice_axis(Axis(0), Slice::from(rows_before..)).to_owned())
            }
        }
    }

    fn stored(&self, parts: &[TensorFile], name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        let missing = || Error::TensorMissing {
            path: self.weights.clone(),
            name: self.architecture.spellings(name).into_iter().next().unwrap_or_default(),
            expected: shape.to_vec(),
        };
        let found = self.find(parts, name).and_then(|(part, spelled)| part.read(&spelled, shape));
        found.unwrap_or_else(|| Err(missing()))
    }

    /// The file that holds BERT's tensor `name`, and the tensor's name there.
    fn find<'p>(&self, parts: &'p [TensorFile], name: &str) -> Option<(&'p TensorFile, String)> {
        self.architecture.spellings(name).into_iter().find_map(|spelled| {
            let part = parts.iter().find(|part| part.tensors().contains_key(&spelled))?;
            Some((part, spelled))
        })
    }
}

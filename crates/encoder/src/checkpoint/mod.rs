//! A pretrained checkpoint on disk: a folder with `config.json` and the weights.
//!
//! All variants of published checkpoints are read: the container (`model.safetensors`, whole or in shards,
//! or `pytorch_model.bin`), Hugging Face's names with or without the architecture's prefix or one of a training
//! program (`module.`, `model.`), LayerNorm as
//! `weight`/`bias` or as `gamma`/`beta`, and float32, float16 or bfloat16. Heads of other tasks are ignored.

mod directory;
mod finite;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod parts;
mod pickle;
mod pytorch;
mod safetensors;
mod stored_head;
mod tensor_file;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, Axis, Slice};

use self::parts::Parts;
pub use self::stored_head::StoredHead;
use self::tensor_file::TensorFile;
use crate::config::EncoderConfig;
use crate::error::{Error, Result};
use crate::head::{Head, HeadKind, identity_scale, is_linear_form};
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
    config: EncoderConfig,
    /// The file of the weights, or the index of its shards; error messages name it.
    weights: PathBuf,
    /// The files that hold tensors.
    parts: Vec<PathBuf>,
    /// The rows of the word embeddings that are read, if not all are.
    words: Option<Words>,
}

/// A selection of the rows of the word embeddings.
struct Words {
    /// Number of rows in the file.
    of: usize,
    /// The rows that are read, ascending.
    rows: Vec<usize>,
}

impl Checkpoint {
    /// Opens the checkpoint in `folder`. Of several containers the first of these is read: safetensors whole,
    /// safetensors in shards, `pytorch_model.bin`.
    ///
    /// # Errors
    /// When `config.json`, the weights or a shard is missing, or the architecture is not supported.
    pub fn open(folder: &Path) -> Result<Self> {
        let config = EncoderConfig::read(&folder.join(CONFIG))?;
        let weights = [SAFETENSORS, SAFETENSORS_INDEX, PICKLE]
            .map(|name| folder.join(name))
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| Error::NoWeights { folder: folder.to_owned() })?;
        let parts = match weights.ends_with(SAFETENSORS_INDEX) {
            true => safetensors::shards(&weights)?,
            false => vec![weights.clone()],
        };
        Ok(Self { config, weights, parts, words: None })
    }

    /// The same checkpoint with a smaller vocabulary, whose word embeddings are the rows `rows` of this one's, ascending.
    ///
    /// # Errors
    /// When there is no such row, or none for the padding.
    pub fn with_words(self, rows: Vec<usize>) -> Result<Self> {
        let wrong = |message| Error::Config { path: self.weights.with_file_name(CONFIG), message };
        let config = self.config.with_words(&rows).map_err(wrong)?;
        let of = self.config.vocab_size;
        Ok(Self { config, words: Some(Words { of, rows }), ..self })
    }

    /// Number of word embeddings in the files.
    pub fn words_before(&self) -> usize {
        self.words.as_ref().map_or(self.config.vocab_size, |words| words.of)
    }

    /// The encoder.
    pub fn config(&self) -> &EncoderConfig {
        &self.config
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
    /// layers in whose form it is written (see [`Head::to_native`]); models of older versions have no such layers.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`], and when the head is linear but the file has layers that compute something else.
    pub fn fine_tuned(&self, head: Head) -> Result<Weights> {
        let parts = self.open_parts()?;
        let native = Head { kind: HeadKind::Native, ..head };
        let is_native = parts.find(&self.config, &self.dense_weight()).is_some();
        let written = if is_native { native } else { head };
        let mut tensors = self.config.tensors();
        tensors.extend(written.tensors(&self.config));
        let mut weights = self.read(&tensors)?;
        if is_native && head.kind == HeadKind::Linear && !Head::undo(&self.config, &mut weights) {
            return Err(Error::NotLinear { path: self.weights.clone() });
        }
        Ok(weights)
    }

    /// Reads the encoder and, if the checkpoint has one, the encoder's own pooler. The multiple of the identity that
    /// Midashi writes beside a linear head is left out.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`].
    pub fn encoder_and_pooler(&self) -> Result<Weights> {
        let mut weights = self.encoder()?;
        let parts = self.open_parts()?;
        if self.has_pooler(&parts) {
            let pooler = self.pooler(&parts)?;
            if !is_identity(&pooler) {
                pooler.into_iter().for_each(|(name, tensor)| weights.insert(name, tensor));
            }
        }
        Ok(weights)
    }

    /// The layers from which the architecture's own head starts, the classifier apart.
    ///
    /// # Errors
    /// As [`Checkpoint::encoder`].
    pub fn stored_head(&self) -> Result<StoredHead> {
        let (parts, dense) = (self.open_parts()?, Head::dense_tensors(&self.config));
        if let Some((_, name)) = parts.find(&self.config, &self.dense_weight()) {
            let read =
                |(name, shape): &(String, Vec<usize>)| Ok((name.clone(), self.stored(&parts, name, shape)?));
            let tensors = dense.iter().map(read).collect::<Result<Vec<_>>>()?;
            if is_linear_form(&self.config, &tensors) {
                return Ok(StoredHead::Linear);
            }
            return Ok(StoredHead::Stored { name: name.trim_end_matches(".weight").to_owned(), tensors });
        }
        // A pooler computes the same as the first layer of a head with tanh.
        if !self.has_pooler(&parts) || !Head::has_tanh(&self.config) {
            return Ok(StoredHead::None);
        }
        let pooler = self.pooler(&parts)?;
        if is_identity(&pooler) {
            return Ok(StoredHead::Linear);
        }
        let name = pooler.first().and_then(|(name, _)| parts.find(&self.config, name)).map(|(_, name)| name);
        let name = name.unwrap_or_default().trim_end_matches(".weight").to_owned();
        let tensors = dense.into_iter().zip(pooler).map(|((name, _), (_, tensor))| (name, tensor)).collect();
        Ok(StoredHead::Stored { name, tensors })
    }

    /// The matrix of the first layer in the architecture's own head.
    fn dense_weight(&self) -> String {
        Head::dense_tensors(&self.config).into_iter().next().map(|(name, _)| name).unwrap_or_default()
    }

    /// Weight and bias of the encoder's own pooler.
    fn pooler(&self, parts: &Parts) -> Result<Vec<(String, ArrayD<f32>)>> {
        let tensors = self.config.pooler_tensors().into_iter();
        tensors.map(|(name, shape)| Ok((name.clone(), self.stored(parts, &name, &shape)?))).collect()
    }

    fn has_pooler(&self, parts: &Parts) -> bool {
        self.config.pooler_tensors().iter().any(|(name, _)| parts.find(&self.config, name).is_some())
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
        Ok(self.open_parts()?.files().iter().map(describe).collect())
    }

    /// Names of the tensors in the files that are not among `weights`, sorted: heads of other tasks, buffers.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn unused(&self, weights: &Weights) -> Result<Vec<String>> {
        let parts = self.open_parts()?;
        let used: HashSet<String> =
            weights.iter().filter_map(|(name, _)| Some(parts.find(&self.config, name)?.1)).collect();
        let names = parts.files().iter().flat_map(|part| part.tensors().keys());
        let unused: BTreeSet<&String> = names.filter(|name| !used.contains(*name)).collect();
        Ok(unused.into_iter().cloned().collect())
    }

    fn open_parts(&self) -> Result<Parts> {
        Parts::open(&self.parts, &self.config)
    }

    /// The encoder's tensors that a session can use where they are, by name with their bytes in the file: those that
    /// `model.safetensors` holds as [`encoder`](Self::encoder) returns them. Programs that map this file share its memory.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn in_place(&self) -> Result<HashMap<String, Range<usize>>> {
        let is_whole = |name: &str| {
            let is_trimmed = self.words.is_some() && name == self.config.word_embeddings();
            !is_trimmed && self.config.architecture().rows_before(name, &self.config) == 0
        };
        // Numbers in files are little-endian.
        if self.weights.file_name() != Some(SAFETENSORS.as_ref()) || cfg!(target_endian = "big") {
            return Ok(HashMap::new());
        }
        let parts = self.open_parts()?;
        let range = |(name, shape): (String, Vec<usize>)| {
            let (part, spelled) = parts.find(&self.config, &name).filter(|_| is_whole(&name))?;
            Some((name, part.tensors().get(&spelled)?.as_float32(&shape)?))
        };
        Ok(self.config.tensors().into_iter().filter_map(range).collect())
    }

    fn read(&self, wanted: &[(String, Vec<usize>)]) -> Result<Weights> {
        let parts = self.open_parts()?;
        let mut weights = Weights::default();
        for (name, shape) in wanted {
            weights.insert(name.clone(), self.tensor(&parts, name, shape)?);
        }
        Ok(weights)
    }

    /// The tensor `name` without the rows that no token uses.
    fn tensor(&self, parts: &Parts, name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        if let Some(Words { of, rows }) = &self.words
            && name == self.config.word_embeddings()
        {
            let whole: Vec<usize> = [*of].into_iter().chain(shape.iter().skip(1).copied()).collect();
            return self.found(parts, name, &whole, |part, spelled| part.read_rows(spelled, &whole, rows));
        }
        let rows_before = self.config.architecture().rows_before(name, &self.config);
        if rows_before == 0 {
            return self.stored(parts, name, shape);
        }
        let mut whole = shape.to_vec();
        whole[0] += rows_before;
        let all = self.stored(parts, name, &whole)?;
        let first = self.config.architecture().first_row(name, &self.config);
        Ok(all.slice_axis(Axis(0), Slice::from(first..first + shape[0])).to_owned())
    }

    fn stored(&self, parts: &Parts, name: &str, shape: &[usize]) -> Result<ArrayD<f32>> {
        self.found(parts, name, shape, |part, spelled| part.read(spelled, shape))
    }

    /// The tensor `name` of this shape, read by `read` from the file that holds it, by its name there.
    fn found(
        &self,
        parts: &Parts,
        name: &str,
        shape: &[usize],
        read: impl FnOnce(&TensorFile, &str) -> Option<Result<ArrayD<f32>>>,
    ) -> Result<ArrayD<f32>> {
        let missing = || Error::TensorMissing {
            path: self.weights.clone(),
            name: name.to_owned(),
            expected: shape.to_vec(),
            found: parts.summary(),
        };
        let found = parts.find(&self.config, name).and_then(|(part, spelled)| read(part, &spelled));
        found.unwrap_or_else(|| Err(missing()))
    }
}

/// Whether a pooler is a multiple of the identity, as Midashi writes beside a linear head.
fn is_identity(pooler: &[(String, ArrayD<f32>)]) -> bool {
    matches!(pooler, [(_, weight), (_, bias)] if identity_scale(weight, bias).is_some())
}

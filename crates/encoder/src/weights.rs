//! Named tensors: loaded, randomly initialised, written as safetensors.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ndarray::{ArrayD, ArrayViewD, Axis, concatenate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, View};

use midashi_onnx::Graph;

use crate::config::{EncoderConfig, is_normalisation};
use crate::error::{Error, Result};

/// Tensors under their Hugging Face names (`bert.…`, `classifier.…`), float32, row-major.
#[derive(Clone, Debug, Default)]
pub struct Weights(BTreeMap<String, ArrayD<f32>>);

impl Weights {
    /// A randomly initialised encoder as in BERT (Devlin et al. 2019): weights from N(0, `initializer_range`),
    /// biases 0, layer normalisation the identity.
    pub fn scratch(config: &EncoderConfig, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // The classifier is drawn from the first stream of the same seed.
        rng.set_stream(u64::MAX);
        let mut weights = Self::default();
        for (name, shape) in config.tensors() {
            let array = match (name.ends_with(".bias"), is_normalisation(&name)) {
                (true, _) => ArrayD::zeros(shape),
                (false, true) => ArrayD::ones(shape),
                (false, false) => normal(&mut rng, &shape, config.initializer_range as f32),
            };
            weights.insert(name, array);
        }
        weights
    }

    /// Adds the article's linear classifier under the name `name`: weights N(0, 0.02), bias N(0, 1).
    pub fn add_classifier(&mut self, name: &str, labels: usize, hidden_size: usize, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        self.insert(format!("{name}.weight"), normal(&mut rng, &[labels, hidden_size], 0.02));
        self.insert(format!("{name}.bias"), normal(&mut rng, &[labels], 1.0));
    }

    /// Adds layers of a head as transformers initialises them: matrices N(0, `deviation`), biases 0, layer
    /// normalisation the identity.
    pub(crate) fn add_dense(&mut self, tensors: Vec<(String, Vec<usize>)>, deviation: f32, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Apart from the classifier's and the encoder's streams.
        rng.set_stream(u64::MAX - 1);
        for (name, shape) in tensors {
            let tensor = match (shape.len(), name.ends_with(".bias")) {
                (2, _) => normal(&mut rng, &shape, deviation),
                (_, true) => ArrayD::zeros(shape),
                (_, false) => ArrayD::ones(shape),
            };
            self.insert(name, tensor);
        }
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: String, tensor: ArrayD<f32>) {
        self.0.insert(name, tensor);
    }

    /// The tensor `name`.
    pub fn get(&self, name: &str) -> Option<&ArrayD<f32>> {
        self.0.get(name)
    }

    /// The tensor `name`, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut ArrayD<f32>> {
        self.0.get_mut(name)
    }

    /// Whether there is the encoder's own pooler.
    pub fn has_pooler(&self, config: &EncoderConfig) -> bool {
        config.pooler_tensors().iter().any(|(name, _)| self.get(name).is_some())
    }

    /// Removes the tensor `name` and returns it.
    pub fn remove(&mut self, name: &str) -> Option<ArrayD<f32>> {
        self.0.remove(name)
    }

    /// Copies of `graph`'s parameters that are `wanted`, by name, to be handed to a session.
    ///
    /// # Errors
    /// When one of them is missing.
    pub fn for_graph(
        &self,
        graph: &Graph,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, ArrayD<f32>)>> {
        let of = |name: &str| {
            let tensor = self.get(name).ok_or_else(|| Error::Unfilled(name.to_owned()))?;
            Ok((name.to_owned(), tensor.clone()))
        };
        graph.parameters().filter(|(name, _)| wanted(name)).map(|(name, _)| of(name)).collect()
    }

    /// As [`for_graph`](Self::for_graph), for weights that are not needed any more: nothing is copied.
    ///
    /// # Errors
    /// When a parameter is missing.
    pub fn into_graph(
        mut self,
        graph: &Graph,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, ArrayD<f32>)>> {
        let mut of = |name: &str| {
            let tensor = self.remove(name).ok_or_else(|| Error::Unfilled(name.to_owned()))?;
            Ok((name.to_owned(), tensor))
        };
        graph.parameters().filter(|(name, _)| wanted(name)).map(|(name, _)| of(name)).collect()
    }

    /// All tensors by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ArrayD<f32>)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// All tensors by name, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut ArrayD<f32>)> {
        self.0.iter_mut().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Writes all tensors as float32 safetensors. The same tensors make the same bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write(self.iter(), path)
    }

    /// Writes the encoder of `config` and the `head` as transformers' class for sequence classification reads them.
    ///
    /// # Errors
    /// When a tensor is missing, the class cannot express the head, or the file cannot be written.
    pub fn write_model(&self, config: &EncoderConfig, head: &Self, path: &Path) -> Result<()> {
        let mut changed = Self::default();
        let mut names = Vec::new();
        for (name, shape) in config.tensors() {
            let tensor = self.get(&name).ok_or_else(|| Error::Unfilled(name.clone()))?;
            let before = config.architecture().rows_before(&name, config);
            if before > 0 {
                let unused = ArrayD::zeros([&[before], &shape[1..]].concat());
                let whole = concatenate(Axis(0), &[unused.view(), tensor.view()]);
                let whole = whole.map_err(|error| Error::Weights {
                    path: path.to_owned(),
                    message: format!("{name}: {error}"),
                })?;
                changed.insert(name, whole);
            } else {
                names.push(name);
            }
        }
        let own = names.iter().filter_map(|name| Some((name.as_str(), self.get(name)?)));
        write(own.chain(changed.iter()).chain(head.iter()), path)
    }
}

/// Writes tensors as float32 safetensors.
fn write<'a>(tensors: impl Iterator<Item = (&'a str, &'a ArrayD<f32>)>, path: &Path) -> Result<()> {
    // transformers requires this key.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let tensors = tensors.map(|(name, tensor)| (name, Float32(tensor.view())));
    let bytes = safetensors::serialize(tensors, Some(metadata))
        .map_err(|error| Error::Weights { path: path.to_owned(), message: error.to_string() })?;
    // The library's own `serialize_to_file` makes files that only their owner may read.
    std::fs::write(path, bytes).map_err(Error::io("write", path))
}

/// A float32 tensor for safetensors, converted to bytes when it is written.
pub struct Float32<'a>(pub ArrayViewD<'a, f32>);

impl View for Float32<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        self.0.shape()
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(little_endian(&self.0))
    }

    fn data_len(&self) -> usize {
        size_of::<f32>() * self.0.len()
    }
}

/// Bytes of a tensor in the layout of safetensors and ONNX: row-major, little-endian.
pub fn little_endian(tensor: &ArrayViewD<'_, f32>) -> Vec<u8> {
    let mut bytes = vec![0; size_of::<f32>() * tensor.len()];
    let places = bytes.as_chunks_mut().0.iter_mut();
    // Of a slice, this is compiled to a copy.
    match tensor.as_slice() {
        Some(numbers) => places.zip(numbers).for_each(|(to, number)| *to = number.to_le_bytes()),
        None => places.zip(tensor).for_each(|(to, number)| *to = number.to_le_bytes()),
    }
    bytes
}

fn normal(rng: &mut ChaCha8Rng, shape: &[usize], deviation: f32) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || {
        let standard: f32 = StandardNormal.sample(rng);
        deviation * standard
    })
}

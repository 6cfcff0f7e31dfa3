//! The encoder that a `config.json` describes.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::architectures::{Architecture, Description, Keys, read};
use crate::error::Error;
use crate::geometry::Geometry;
use crate::native_head::NativeHead;

/// Keys about the published files: class, code and element type. Tensors are float32 once they are read.
const OF_THE_PUBLICATION: [&str; 5] = ["architectures", "auto_map", "dtype", "torch_dtype", "_name_or_path"];

/// An encoder: its [`Geometry`], whose fields it has, its architecture, and the keys of `config.json`.
///
/// It is read from the JSON of a `config.json`, and written as one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Keys", into = "Keys")]
pub struct EncoderConfig {
    geometry: Geometry,
    architecture: Arc<dyn Architecture>,
    keys: Keys,
}

impl Deref for EncoderConfig {
    type Target = Geometry;

    fn deref(&self) -> &Geometry {
        &self.geometry
    }
}

impl DerefMut for EncoderConfig {
    fn deref_mut(&mut self) -> &mut Geometry {
        &mut self.geometry
    }
}

impl PartialEq for EncoderConfig {
    fn eq(&self, other: &Self) -> bool {
        (&self.geometry, &self.keys) == (&other.geometry, &other.keys)
    }
}

impl TryFrom<Keys> for EncoderConfig {
    type Error = String;

    fn try_from(mut keys: Keys) -> Result<Self, String> {
        // transformers writes null for keys without a value.
        keys.retain(|key, value| !value.is_null() && !OF_THE_PUBLICATION.contains(&key.as_str()));
        let Description { geometry, architecture, keys } = read(&keys)?;
        Ok(Self { geometry, architecture, keys })
    }
}

impl From<EncoderConfig> for Keys {
    fn from(config: EncoderConfig) -> Self {
        config.keys
    }
}

impl EncoderConfig {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// When the file is missing or damaged, or describes no encoder that Midashi computes.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |message: String| Error::Config { path: path.to_owned(), message };
        let text = fs::read(path).map_err(Error::io("read", path))?;
        let keys: Keys = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        Self::try_from(keys).map_err(wrong)
    }

    pub(crate) fn architecture(&self) -> &dyn Architecture {
        &*self.architecture
    }

    /// The architecture's name: the `model_type`, or the one of a family.
    pub fn name(&self) -> &'static str {
        self.architecture.name()
    }

    /// The keys of `config.json`, with the changes that a written model needs.
    pub fn written_keys(&self) -> Keys {
        let mut keys = self.keys.clone();
        self.architecture.write_keys(&mut keys);
        keys
    }

    /// The keys of `config.json`.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The name of the table of word embeddings, `[vocab_size, hidden_size]`.
    pub fn word_embeddings(&self) -> String {
        self.architecture.word_embeddings()
    }

    /// Names and shapes of all tensors of the encoder, with their prefix: embeddings first, then layer by layer.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        self.architecture.tensors(&self.geometry)
    }

    /// Names and shapes of the tensors of the encoder's own pooler, which a checkpoint may lack.
    pub fn pooler_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let hidden = self.hidden_size;
        let of = |name: String| {
            [(format!("{name}.weight"), vec![hidden, hidden]), (format!("{name}.bias"), vec![hidden])]
        };
        self.architecture.pooler().map(of).into_iter().flatten().collect()
    }

    /// The layer that the tensor `name` belongs to; none for embeddings, the head and what follows the layers.
    pub fn layer_of(&self, name: &str) -> Option<usize> {
        self.architecture.layer_of(name)
    }

    /// Whether the tensor `name` is used after the last layer and belongs to no head.
    pub fn is_after_layers(&self, name: &str) -> bool {
        self.architecture.is_after_layers(name)
    }

    /// Whether the tensor `name` belongs to a head.
    pub fn is_head(&self, name: &str) -> bool {
        let NativeHead { dense, classifier, norm, .. } = self.architecture.native_head();
        let parts = [Some(dense), Some(classifier), norm.map(|(name, _)| name), self.architecture.pooler()];
        let belongs = |part: &str| name.strip_prefix(part).is_some_and(|rest| rest.starts_with('.'));
        belongs("classifier") || parts.iter().flatten().any(|part| belongs(part))
    }

    /// Whether the tensor `name` is trainable when the last `layers` layers are; with `None` all layers and
    /// the embeddings are. The head always is.
    pub fn is_trainable(&self, name: &str, layers: Option<usize>) -> bool {
        let Some(layers) = layers else { return true };
        let is_last = |layer| layer >= self.num_hidden_layers.saturating_sub(layers);
        self.is_head(name)
            || self.layer_of(name).is_some_and(is_last)
            || (layers > 0 && self.is_after_layers(name))
    }

    /// Whether weight decay applies to the tensor `name`: to matrices and tables, not to biases and layer
    /// normalisation.
    pub fn decays(&self, name: &str) -> bool {
        !name.ends_with(".bias") && !is_normalisation(name)
    }
}

/// Whether the tensor `name` belongs to a layer normalisation: all architectures say so in the name.
pub(crate) fn is_normalisation(name: &str) -> bool {
    name.to_ascii_lowercase().contains("norm")
}

//! The encoder that a `config.json` describes.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::architectures::{Architecture, Description, Keys, read};
use crate::error::Error;
use crate::files;
use crate::geometry::Geometry;
use crate::native_head::NativeHead;

/// Bytes of the largest `config.json` that is read. Published ones have some thousand.
const LARGEST: u64 = 16 << 20;

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
        let text = files::read(path, LARGEST)?;
        let keys: Keys = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        Self::try_from(keys).map_err(wrong)
    }

    /// The ids of word embeddings that the configuration depends on, ascending: that of the padding, those of other special
    /// tokens that it names, and where positions count from the padding's id, as in fairseq, all before that, so that it
    /// stays the same.
    pub fn named_ids(&self) -> Vec<usize> {
        let padding = usize::try_from(self.pad_token_id).unwrap_or_default();
        let first = self.tensors().iter().any(|(name, _)| self.architecture.rows_before(name, self) > 0);
        let mut ids: BTreeSet<usize> = if first { (0..=padding).collect() } else { [padding].into() };
        for (_, value) in self.keys.iter().filter(|(key, _)| is_id(key)) {
            let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
            ids.extend(values.iter().filter_map(word_id).filter(|id| *id < self.vocab_size));
        }
        ids.into_iter().collect()
    }

    /// The same encoder with a smaller vocabulary, whose word embeddings are the rows `rows` of this one's, ascending. Ids
    /// in its keys are changed; those of other rows are left out.
    ///
    /// # Errors
    /// When the rows are not ascending, there is no such row, or none for the padding.
    pub fn with_words(&self, rows: &[usize]) -> Result<Self, String> {
        let is_ascending = rows.is_sorted_by(|one, other| one < other);
        if !is_ascending || rows.last().is_none_or(|last| *last >= self.vocab_size) {
            return Err(format!(
                "vocab_size is {}; the trimmed vocabulary needs rows of it in ascending order, but ends with {:?}; run \
                 tokenize again",
                self.vocab_size,
                rows.last()
            ));
        }
        let new_id = |id: usize| rows.binary_search(&id).ok();
        let padding = usize::try_from(self.pad_token_id).ok().and_then(new_id).ok_or_else(|| {
            format!(
                "pad_token_id is {}, which the trimmed vocabulary lacks; run tokenize again",
                self.pad_token_id
            )
        })?;
        let mut keys = self.keys.clone();
        for (_, value) in keys.iter_mut().filter(|(key, _)| is_id(key)) {
            match value {
                Value::Array(ids) => {
                    *ids = ids.iter().filter_map(word_id).filter_map(new_id).map(Value::from).collect();
                }
                id => *id = word_id(id).and_then(new_id).map_or(Value::Null, Value::from),
            }
        }
        keys.insert("vocab_size".to_owned(), rows.len().into());
        keys.insert("pad_token_id".to_owned(), padding.into());
        Self::try_from(keys)
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

/// Whether a key of `config.json` names the id of a special token, such as `bos_token_id`.
fn is_id(key: &str) -> bool {
    key.ends_with("_token_id")
}

fn word_id(value: &Value) -> Option<usize> {
    usize::try_from(value.as_u64()?).ok()
}

/// Whether the tensor `name` belongs to a layer normalisation: all architectures say so in the name.
pub(crate) fn is_normalisation(name: &str) -> bool {
    name.to_ascii_lowercase().contains("norm")
}

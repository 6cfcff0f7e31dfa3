//! All sections together.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::compat::Compat;
use crate::corpus::Corpus;
use crate::error::{Error, Result};
use crate::evaluate::Evaluate;
use crate::fetch::Fetch;
use crate::model::Model;
use crate::render::Render;
use crate::run::Run;
use crate::tokenize::Tokenize;
use crate::train::Train;

/// The configuration of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Folders and threads.
    pub run: Run,
    /// What may be downloaded.
    pub fetch: Fetch,
    /// The texts and their splits.
    pub corpus: Corpus,
    /// The pretrained checkpoint.
    pub model: Model,
    /// Text to ids.
    pub tokenize: Tokenize,
    /// Fine-tuning.
    pub train: Train,
    /// Predictions, metrics and explanations.
    pub evaluate: Evaluate,
    /// The report.
    pub render: Render,
    /// Choices of others where ours differ.
    pub compat: Compat,
}

impl Config {
    /// The whole configuration as TOML, which [`Config::load`] reads as this configuration. Secrets of sources are hidden; what
    /// was fetched from a source is found without them.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(unwritable)
    }

    /// The keys that differ from their defaults as TOML, which [`Config::load`] reads as this
    /// configuration.
    ///
    /// # Errors
    /// When a value cannot be written as TOML.
    pub fn changes(&self) -> Result<String> {
        let table = |config| Table::try_from(config).map_err(unwritable);
        let changes = difference(table(self)?, &table(&Self::default())?);
        toml::to_string(&changes).map_err(unwritable)
    }

    /// Number of worker threads: `run.threads`, or one per core.
    pub fn threads(&self) -> usize {
        match self.run.threads {
            0 => std::thread::available_parallelism().map_or(1, |count| count.get()),
            count => count,
        }
    }
}

fn unwritable(error: toml::ser::Error) -> Error {
    Error::Invalid { origin: "the configuration".to_owned(), message: error.to_string() }
}

/// The values of `table` that differ from `defaults`, at any depth.
fn difference(table: Table, defaults: &Table) -> Table {
    let changed = table.into_iter().filter_map(|(key, value)| match (value, defaults.get(&key)) {
        (Value::Table(inner), Some(Value::Table(defaults))) => {
            let inner = difference(inner, defaults);
            (!inner.is_empty()).then_some((key, Value::Table(inner)))
        }
        (value, default) => (Some(&value) != default).then_some((key, value)),
    });
    changed.collect()
}

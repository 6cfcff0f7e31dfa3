//! The settings that the output depends on, besides the corpus itself, and the options made from them.

use anyhow::{Context, Result};
use midashi_config::{BadFiles, Compat, Config, Corpus, CorpusColumns, CorpusLimits, Layout, SplitShares};
use midashi_table::{ColumnNames, Encoding, ReadOptions};
use serde::Serialize;

use crate::labels::LabelNames;
use crate::tables::features::Features;
use crate::tables::rows::Tables;
use crate::texts::folder::FolderLinks;
use crate::texts::reading::TextOptions;

/// The settings. Those that an earlier version did not have are left out where they are not set, so that finished runs stay
/// up to date.
#[derive(Debug, Serialize)]
pub struct Settings {
    layout: Layout,
    /// The treatment of files and rows that cannot be used.
    pub bad_files: BadFiles,
    /// The shares of the splits.
    pub split: SplitShares,
    /// The article's choices.
    #[serde(skip_serializing_if = "Compat::is_off")]
    pub compat: Compat,
    #[serde(skip_serializing_if = "String::is_empty")]
    encoding: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    delimiter: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    columns: CorpusColumns,
    /// Bounds. Most of them only refuse.
    #[serde(skip_serializing_if = "CorpusLimits::keeps_the_same_texts")]
    pub limits: CorpusLimits,
    /// Links to folders in the corpus that are followed. The digest of a folder does not hold where they lead.
    #[serde(skip_serializing_if = "FolderLinks::is_empty")]
    pub folder_links: FolderLinks,
    /// Names of integer labels that were found in or beside the tables. The digest of a table does not hold what
    /// lies beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    features: Option<Features>,
}

fn is_default(columns: &CorpusColumns) -> bool {
    *columns == CorpusColumns::default()
}

impl Settings {
    /// The settings in a configuration.
    ///
    /// # Errors
    /// When the encoding is unknown.
    pub fn of(config: &Config) -> Result<Self> {
        let Corpus { layout, bad_files, split, encoding, delimiter, labels, columns, limits, .. } =
            config.corpus.clone();
        let (compat, folder_links, features) = (config.compat, FolderLinks::new(), None);
        let settings = Self {
            layout,
            bad_files,
            split,
            compat,
            encoding,
            delimiter,
            labels,
            columns,
            limits,
            folder_links,
            features,
        };
        settings.encoding()?;
        Ok(settings)
    }

    /// How text files are read.
    ///
    /// # Errors
    /// When the encoding is unknown.
    pub fn text_options(&self) -> Result<TextOptions> {
        let Self { layout, bad_files, compat, .. } = *self;
        Ok(TextOptions { layout, encoding: self.encoding()?, bad_files, compat, limits: self.limits.clone() })
    }

    /// How tables are read.
    ///
    /// # Errors
    /// When the encoding is unknown.
    pub fn read_options(&self) -> Result<ReadOptions> {
        Ok(ReadOptions {
            delimiter: self.delimiter.bytes().next(),
            encoding: self.encoding()?,
            encoding_setting: "corpus.encoding",
            format_setting: "corpus.source to a file with such a name",
            ..ReadOptions::default()
        })
    }

    /// The names of columns that are not to be recognised.
    pub fn column_names(&self) -> ColumnNames {
        let CorpusColumns { id, title, body, label, split } = self.columns.clone();
        let given = |name: String| (!name.is_empty()).then_some(name);
        ColumnNames {
            id: given(id),
            title: given(title),
            body: given(body),
            label: given(label),
            split: given(split),
        }
    }

    /// Takes the names of integer labels from what describes the tables, unless the configuration gives names.
    pub fn describe_labels(&mut self, tables: &Tables) {
        if self.labels.is_empty() {
            self.features = tables.features();
        }
    }

    /// The names that labels must have. `are_texts` tells whether the table stores the labels as texts.
    pub fn label_names(&self, are_texts: bool) -> Option<LabelNames> {
        if !self.labels.is_empty() {
            return Some(LabelNames::new(self.labels.clone(), "corpus.labels".into(), are_texts));
        }
        let Features { names, origin } = self.features.clone()?;
        Some(LabelNames::new(names, origin, false))
    }

    fn encoding(&self) -> Result<Option<&'static Encoding>> {
        if self.encoding.is_empty() {
            return Ok(None);
        }
        let found = Encoding::for_label(self.encoding.as_bytes()).with_context(|| {
            format!(
                "corpus.encoding is {:?}; expected a label of the Encoding Standard, such as shift_jis, euc-jp or \
                 utf-16le",
                self.encoding
            )
        })?;
        Ok((found.name() != "UTF-8").then_some(found))
    }
}

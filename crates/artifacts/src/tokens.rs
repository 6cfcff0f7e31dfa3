//! `tokens.arrow`: one row per tokenised text.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::writer::FileWriter;
use midashi_config::TextChoice;
use midashi_stage::{Error as FileError, Provenance, atomic, sha256_of_bytes};
use midashi_text::{Encoding, Unit, WindowRows, Windowing};
use serde::{Deserialize, Serialize};

use crate::category::{CategoryId, Split};
use crate::column::{Row, columns};
use crate::error::Result;
use crate::files::{
    MappedFile, bad_artifact, categories_entry, entry, json_entry, read_categories, to_batch,
};

const STAGE: &str = "tokenize";
const TOKENIZER: &str = "midashi.tokenizer";
const VOCABULARY_SIZE: &str = "midashi.vocabulary_size";
const REPLACEMENT: &str = "midashi.replacement";
/// How long texts are cut into windows; absent where they are truncated.
const WINDOWS: &str = "midashi.windows";
/// The settings of the stage, in the provenance.
const SETTINGS: &str = "midashi.settings";

/// One text with its article's id, category and split.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedText {
    /// The article's id.
    pub id: String,
    /// The article's category.
    pub label: CategoryId,
    /// The article's split.
    pub split: Split,
    /// The text as the model reads it.
    pub encoding: Encoding,
}

columns! { TokenizedText { id: String, label: CategoryId, split: Split, ..encoding: Encoding } }

columns! {
    Encoding {
        original: String,
        text: String,
        input_ids: Vec<i32>,
        token_type_ids: Vec<i32>,
        tokens: Vec<String>,
        word_ids: Vec<Option<i32>>,
        offsets: Vec<(u32, u32)>,
        original_offsets: Vec<(u32, u32)>,
    }
}

/// All texts, and the properties of the tokenizer that later stages need.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedCorpus {
    /// Category names; a label is an index into them.
    pub categories: Vec<String>,
    /// Description of the tokenizer on one line.
    pub tokenizer: String,
    /// Number of ids of the tokenizer.
    pub vocabulary_size: usize,
    /// The token that replaces a masked one, if the tokenizer has such a token.
    pub replacement: Option<Replacement>,
    /// How models read long texts, which then have all their tokens here; none where they were truncated.
    pub windowing: Option<Windowing>,
    /// The texts in the order of `corpus.parquet`.
    pub texts: Vec<TokenizedText>,
}

/// The token that replaces a masked one: the mask token, or the unknown token if there is no mask token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// Its id.
    pub id: i32,
    /// Its spelling.
    pub token: String,
}

/// How the texts were chosen and cut: the settings of `tokenize` that other texts for the same model need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct TextSettings {
    /// Part of an article that the model reads.
    pub text: TextChoice,
    /// Longest input in tokens, special tokens included.
    pub max_length: usize,
}

impl TextSettings {
    /// Reads the settings in the metadata of `tokens.arrow`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        let bad = bad_artifact(path, STAGE);
        let file = MappedFile::open(path, STAGE)?;
        let settings = file.schema.metadata().get(SETTINGS);
        let settings = settings.ok_or_else(|| bad(&format!("the metadata has no {SETTINGS}")))?;
        serde_json::from_str(settings).map_err(|error| bad(&format!("metadata {SETTINGS}: {error}")))
    }
}

impl TokenizedCorpus {
    /// Writes `tokens.arrow`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let mut metadata = vec![
            categories_entry(&self.categories),
            (TOKENIZER, self.tokenizer.clone()),
            (VOCABULARY_SIZE, self.vocabulary_size.to_string()),
            (REPLACEMENT, serde_json::to_string(&self.replacement).map_err(FileError::encode(path))?),
        ];
        if let Some(windowing) = self.windowing {
            metadata.push((WINDOWS, serde_json::to_string(&windowing).map_err(FileError::encode(path))?));
        }
        let columns = TokenizedText::columns(self.texts.iter(), &self.categories);
        let batch = to_batch(path, columns, provenance, &metadata)?;
        atomic::write(path, |file| {
            let mut writer =
                FileWriter::try_new(file, batch.schema_ref()).map_err(FileError::encode(path))?;
            writer.write(&batch).map_err(FileError::encode(path))?;
            writer.finish().map_err(FileError::encode(path))?;
            Ok(())
        })
    }

    /// Reads `tokens.arrow`.
    ///
    /// # Errors
    /// When the file is missing or does not follow the schema.
    pub fn read(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path, STAGE)?;
        let batch =
            concat_batches(&file.schema, &file.batches).map_err(|error| bad_artifact(path, STAGE)(&error))?;
        Self::from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    /// What a model reads one by one: the texts, or their windows.
    pub fn rows(&self) -> WindowRows {
        WindowRows::of(self.texts.iter().map(|text| &text.encoding), self.windowing)
    }

    /// SHA-256 of the input of the frozen layers: the texts' ids, `input_ids` and `token_type_ids`, and how they are cut
    /// into windows. Splits, categories and the texts' spelling do not change it.
    pub fn input_ids_sha256(&self) -> String {
        let mut bytes = Vec::new();
        if let Some(Windowing { max_length, stride }) = self.windowing {
            bytes.extend([max_length as u64, stride as u64].into_iter().flat_map(u64::to_le_bytes));
        }
        for TokenizedText { id, encoding: Encoding { input_ids, token_type_ids, .. }, .. } in &self.texts {
            for length in [id.len(), input_ids.len()] {
                bytes.extend((length as u64).to_le_bytes());
            }
            bytes.extend(id.as_bytes());
            bytes.extend(input_ids.iter().chain(token_type_ids).flat_map(|id| id.to_le_bytes()));
        }
        sha256_of_bytes(&bytes)
    }

    /// The units that explanations of these texts weigh.
    pub fn units(&self) -> Unit {
        Unit::of(self.texts.iter().map(|text| &text.encoding))
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self, String> {
        let categories = read_categories(batch)?;
        Ok(Self {
            texts: TokenizedText::read(batch, &categories)?,
            categories,
            tokenizer: entry(batch, TOKENIZER)?.clone(),
            vocabulary_size: json_entry(batch, VOCABULARY_SIZE)?,
            replacement: json_entry(batch, REPLACEMENT)?,
            windowing: windowing(batch)?,
        })
    }
}

/// How long texts are cut into windows, if the metadata says that they are.
fn windowing(batch: &RecordBatch) -> Result<Option<Windowing>, String> {
    let is_cut = batch.schema_ref().metadata().contains_key(WINDOWS);
    is_cut.then(|| json_entry(batch, WINDOWS)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> TokenizedCorpus {
        let text = |id: &str, words: usize| TokenizedText {
            id: id.into(),
            label: CategoryId(1),
            split: Split::Validation,
            encoding: Encoding {
                original: "見出し㍿".into(),
                text: "見出し株式会社".into(),
                input_ids: (0..words as i32 + 2).collect(),
                token_type_ids: (0..words as i32 + 2).map(|at| at % 2).collect(),
                tokens: (0..words + 2).map(|at| format!("##{at}")).collect(),
                word_ids: std::iter::once(None).chain((0..words as i32).map(Some)).chain([None]).collect(),
                offsets: (0..words as u32 + 2).map(|at| (at, at + 1)).collect(),
                original_offsets: (0..words as u32 + 2).map(|at| (at / 2, at + 1)).collect(),
            },
        };
        TokenizedCorpus {
            categories: vec!["a".into(), "b".into()],
            tokenizer: "WordPiece".into(),
            vocabulary_size: 7,
            replacement: Some(Replacement { id: 4, token: "[MASK]".into() }),
            windowing: None,
            texts: vec![text("1", 3), text("2", 0)],
        }
    }

    #[test]
    fn only_ids_and_their_texts_are_in_the_digest_of_the_ids() {
        let digest_after = |change: fn(&mut TokenizedCorpus)| {
            let mut corpus = corpus();
            change(&mut corpus);
            corpus.input_ids_sha256()
        };
        let before = corpus().input_ids_sha256();
        let same: [fn(&mut TokenizedCorpus); 3] = [
            |corpus| corpus.texts[0].split = Split::Test,
            |corpus| corpus.texts[1].label = CategoryId(0),
            |corpus| corpus.categories.push("c".into()),
        ];
        assert!(same.into_iter().all(|change| digest_after(change) == before));
        let other: [fn(&mut TokenizedCorpus); 5] = [
            |corpus| corpus.windowing = Some(Windowing { max_length: 4, stride: 1 }),
            |corpus| corpus.texts[0].encoding.input_ids[2] += 1,
            |corpus| corpus.texts[1].id = "3".into(),
            |corpus| corpus.texts.swap(0, 1),
            |corpus| drop(corpus.texts.pop()),
        ];
        assert!(other.into_iter().all(|change| digest_after(change) != before));
    }

    #[test]
    fn the_settings_of_the_texts_are_those_of_the_stage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.arrow");
        let settings = r#"{"text": "title+body", "max_length": 128, "dictionary": "ipadic"}"#;
        let provenance = |settings: &str| Provenance(vec![(SETTINGS.into(), settings.into())]);
        corpus().write(&path, &provenance(settings)).unwrap();
        let expected = TextSettings { text: TextChoice::TitleAndBody, max_length: 128 };
        assert_eq!(TextSettings::read(&path).unwrap(), expected);
        corpus().write(&path, &provenance("{}")).unwrap();
        let message = TextSettings::read(&path).unwrap_err().to_string();
        assert!(message.contains("tokens.arrow") && message.contains("missing field `text`"), "{message}");
    }

    #[test]
    fn tokens_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.arrow");
        for windowing in [None, Some(Windowing { max_length: 4, stride: 1 })] {
            let corpus = TokenizedCorpus { windowing, ..corpus() };
            corpus.write(&path, &Provenance(vec![])).unwrap();
            assert_eq!(TokenizedCorpus::read(&path).unwrap(), corpus);
        }
    }
}

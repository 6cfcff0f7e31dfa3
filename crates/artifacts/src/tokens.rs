//! `tokens.arrow`: one row per tokenised text.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::writer::FileWriter;
use midashi_stage::{Error as FileError, Provenance, atomic, sha256_of_bytes};
use serde::{Deserialize, Serialize};

use crate::category::{CategoryId, Split};
use crate::column::{Row, row};
use crate::error::Result;
use crate::faithfulness::Unit;
use crate::files::{
    MappedFile, bad_artifact, categories_entry, entry, json_entry, read_categories, to_batch,
};

const STAGE: &str = "tokenize";
const TOKENIZER: &str = "midashi.tokenizer";
const VOCABULARY_SIZE: &str = "midashi.vocabulary_size";
const REPLACEMENT: &str = "midashi.replacement";

/// Words of a language have at most so many tokens on average.
const MOST_TOKENS_PER_WORD: usize = 4;

row! {
    /// One text as the model reads it, special tokens included.
    #[derive(Clone, Debug, PartialEq)]
    pub struct TokenizedText {
        /// The article's id.
        pub id: String,
        /// The article's category.
        pub label: CategoryId,
        /// The article's split.
        pub split: Split,
        /// The text as its author wrote it; `original_offsets` refer to it.
        pub original: String,
        /// The normalised text (with a `tokenizer.json` the given one); `offsets` refer to it.
        pub text: String,
        /// Ids in the model's vocabulary.
        pub input_ids: Vec<i32>,
        /// Each token's text of a pair, as the model knows it: 0 for the first; for the second 1 or 0, by the
        /// kind of model.
        pub token_type_ids: Vec<i32>,
        /// The tokens in the spelling of the vocabulary.
        pub tokens: Vec<String>,
        /// Each token's word of the text; none for special tokens.
        pub word_ids: Vec<Option<i32>>,
        /// Start and end of the token in `text`, in characters (Unicode scalar values).
        pub offsets: Vec<(u32, u32)>,
        /// Start and end of the token's source in `original`, likewise.
        pub original_offsets: Vec<(u32, u32)>,
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

impl TokenizedCorpus {
    /// Writes `tokens.arrow`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        let metadata = [
            categories_entry(&self.categories),
            (TOKENIZER, self.tokenizer.clone()),
            (VOCABULARY_SIZE, self.vocabulary_size.to_string()),
            (REPLACEMENT, serde_json::to_string(&self.replacement).map_err(FileError::encode(path))?),
        ];
        let columns = TokenizedText::columns(&self.texts, &self.categories);
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

    /// SHA-256 of the input of the frozen layers: the texts' ids, `input_ids` and `token_type_ids`. Splits,
    /// categories and the texts' spelling do not change it.
    pub fn input_ids_sha256(&self) -> String {
        let mut bytes = Vec::new();
        for TokenizedText { id, input_ids, token_type_ids, .. } in &self.texts {
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
        Unit::of(&self.texts)
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self, String> {
        let categories = read_categories(batch)?;
        Ok(Self {
            texts: TokenizedText::read(batch, &categories)?,
            categories,
            tokenizer: entry(batch, TOKENIZER)?.clone(),
            vocabulary_size: json_entry(batch, VOCABULARY_SIZE)?,
            replacement: json_entry(batch, REPLACEMENT)?,
        })
    }
}

impl Unit {
    /// The units that explanations of `texts` weigh: words, unless words are too long to be informative. A
    /// tokenizer without Japanese words, such as SentencePiece, takes the text between two spaces for a word,
    /// which may be a whole headline; tokens are then the smallest meaningful units.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a TokenizedText>) -> Self {
        let (mut words, mut tokens) = (0, 0);
        for text in texts {
            let mut of_words: Vec<i32> = text.word_ids.iter().flatten().copied().collect();
            tokens += of_words.len();
            of_words.dedup();
            words += of_words.len();
        }
        if tokens > MOST_TOKENS_PER_WORD * words { Self::Tokens } else { Self::Words }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> TokenizedCorpus {
        let text = |id: &str, words: usize| TokenizedText {
            id: id.into(),
            label: CategoryId(1),
            split: Split::Validation,
            original: "見出し㍿".into(),
            text: "見出し株式会社".into(),
            input_ids: (0..words as i32 + 2).collect(),
            token_type_ids: (0..words as i32 + 2).map(|at| at % 2).collect(),
            tokens: (0..words + 2).map(|at| format!("##{at}")).collect(),
            word_ids: std::iter::once(None).chain((0..words as i32).map(Some)).chain([None]).collect(),
            offsets: (0..words as u32 + 2).map(|at| (at, at + 1)).collect(),
            original_offsets: (0..words as u32 + 2).map(|at| (at / 2, at + 1)).collect(),
        };
        TokenizedCorpus {
            categories: vec!["a".into(), "b".into()],
            tokenizer: "WordPiece".into(),
            vocabulary_size: 7,
            replacement: Some(Replacement { id: 4, token: "[MASK]".into() }),
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
        let other: [fn(&mut TokenizedCorpus); 4] = [
            |corpus| corpus.texts[0].input_ids[2] += 1,
            |corpus| corpus.texts[1].id = "3".into(),
            |corpus| corpus.texts.swap(0, 1),
            |corpus| drop(corpus.texts.pop()),
        ];
        assert!(other.into_iter().all(|change| digest_after(change) != before));
    }

    #[test]
    fn words_are_the_units_unless_they_have_more_than_four_tokens_on_average() {
        let with = |texts: &[&[Option<i32>]]| {
            let mut corpus = corpus();
            let text = |word_ids: &&[Option<i32>]| TokenizedText {
                word_ids: word_ids.to_vec(),
                ..corpus.texts[0].clone()
            };
            corpus.texts = texts.iter().map(text).collect();
            corpus.units()
        };
        let long = [None, Some(0), Some(0), Some(0), Some(0), Some(0), Some(0), Some(0), None];
        assert_eq!(with(&[&long]), Unit::Tokens, "7 tokens, 1 word");
        assert_eq!(with(&[&long, &[None, Some(0), None]]), Unit::Words, "8 tokens, 2 words");
        assert_eq!(with(&[&long, &[None, Some(0), Some(0), None]]), Unit::Tokens, "9 tokens, 2 words");
        assert_eq!(with(&[&[None, None]]), Unit::Words, "an empty text");
        assert_eq!(with(&[]), Unit::Words);
    }

    #[test]
    fn tokens_read_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.arrow");
        let corpus = corpus();
        corpus.write(&path, &Provenance(vec![])).unwrap();
        assert_eq!(TokenizedCorpus::read(&path).unwrap(), corpus);
    }
}

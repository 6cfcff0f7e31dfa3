//! `tokens.arrow`: one row per tokenised text.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int32Builder, ListArray, RecordBatch, StructArray, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, UInt32Type};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use serde::{Deserialize, Serialize};

use crate::columns::{
    categories, category_type, list_column, lists, read_categories, string_column, string_row, strings,
};
use crate::corpus::{CategoryId, Split, json_list, read_names, read_splits, split_column};
use crate::faithfulness::Unit;
use crate::files::{MappedFile, bad_artifact, with_metadata};
use crate::{Error, Result};
use midashi_stage::{Provenance, atomic, sha256_of_bytes};

const STAGE: &str = "tokenize";

/// No language's words have more pieces than these on average.
const MOST_PIECES: usize = 4;

/// One text as the model reads it, special tokens included.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedText {
    /// The article's id.
    pub id: String,
    /// The article's category.
    pub label: CategoryId,
    /// What the article is used for.
    pub split: Split,
    /// The text as its author wrote it, which `original_offsets` refer to.
    pub original: String,
    /// The normalised text (as given with a `tokenizer.json`) that `offsets` refer to.
    pub text: String,
    /// Ids in the model's vocabulary.
    pub input_ids: Vec<i32>,
    /// Which text of a pair a token belongs to, as the tokenizer tells the model: 0 for the first, and
    /// for the second what its kind of model learned, 1 or 0.
    pub token_type_ids: Vec<i32>,
    /// The pieces as the vocabulary spells them.
    pub tokens: Vec<String>,
    /// Which word of the text a piece belongs to; none for special tokens.
    pub word_ids: Vec<Option<i32>>,
    /// Start and end of the piece in `text`, in characters (Unicode scalar values).
    pub offsets: Vec<(u32, u32)>,
    /// Start and end of what the piece was made of in `original`, likewise.
    pub original_offsets: Vec<(u32, u32)>,
}

/// All texts, and what a later stage must know of the tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenizedCorpus {
    /// Category names; a label is an index into them.
    pub categories: Vec<String>,
    /// One line about the tokenizer, for people.
    pub tokenizer: String,
    /// Number of ids the tokenizer can give.
    pub vocabulary_size: usize,
    /// What stands for a token that is hidden from the model, if the tokenizer has such a token.
    pub replacement: Option<Replacement>,
    /// The texts in the order of `corpus.parquet`.
    pub texts: Vec<TokenizedText>,
}

/// The token that stands for one that is hidden from the model: the mask token, or the unknown token where there is
/// no mask token.
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
        let batch = self.to_batch(provenance).map_err(Error::encode(path))?;
        atomic::write(path, |file| {
            let mut writer = FileWriter::try_new(file, batch.schema_ref()).map_err(Error::encode(path))?;
            writer.write(&batch).map_err(Error::encode(path))?;
            writer.finish().map_err(Error::encode(path))
        })
    }

    fn to_batch(&self, provenance: &Provenance) -> Result<RecordBatch, ArrowError> {
        let texts = &self.texts;
        let lengths = || texts.iter().map(|text| text.input_ids.len());
        let int32 = |ids: fn(&TokenizedText) -> &[i32]| -> ArrayRef {
            Arc::new(Int32Array::from_iter_values(texts.iter().flat_map(|text| ids(text).iter().copied())))
        };
        let tokens = string_column(texts.iter().flat_map(|text| &text.tokens));
        let mut word_ids = Int32Builder::new();
        texts.iter().flat_map(|text| &text.word_ids).for_each(|&word| word_ids.append_option(word));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("id", string_column(texts.iter().map(|text| &text.id))),
            ("label", categories(texts.iter().map(|text| text.label.0), &self.categories)),
            ("split", split_column(texts.iter().map(|text| text.split))),
            ("original", string_column(texts.iter().map(|text| &text.original))),
            ("text", string_column(texts.iter().map(|text| &text.text))),
            ("input_ids", list_column(lengths(), int32(|text| &text.input_ids))),
            ("token_type_ids", list_column(lengths(), int32(|text| &text.token_type_ids))),
            ("tokens", list_column(lengths(), tokens)),
            ("word_ids", list_column(lengths(), Arc::new(word_ids.finish()))),
            ("offsets", list_column(lengths(), span_column(texts.iter().flat_map(|text| &text.offsets)))),
            (
                "original_offsets",
                list_column(lengths(), span_column(texts.iter().flat_map(|text| &text.original_offsets))),
            ),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), false))
            .collect();
        debug_assert_eq!(fields[1].data_type(), &category_type());
        let metadata = [
            ("midashi.categories", json_list(&self.categories)),
            ("midashi.tokenizer", self.tokenizer.clone()),
            ("midashi.vocabulary_size", self.vocabulary_size.to_string()),
            (
                "midashi.replacement",
                serde_json::to_string(&self.replacement)
                    .map_err(|error| ArrowError::JsonError(error.to_string()))?,
            ),
        ];
        RecordBatch::try_new(
            with_metadata(Schema::new(fields), provenance, &metadata),
            columns.into_iter().map(|(_, column)| column).collect(),
        )
    }

    /// Reads `tokens.arrow`.
    ///
    /// # Errors
    /// When the file is missing or is not what [`TokenizedCorpus::write`] writes.
    pub fn read(path: &Path) -> Result<Self> {
        let file = MappedFile::open(path, STAGE)?;
        let batch = arrow::compute::concat_batches(&file.schema, &file.batches)
            .map_err(|error| bad_artifact(path, STAGE)(&error))?;
        Self::from_batch(&batch).map_err(|message| bad_artifact(path, STAGE)(&message))
    }

    /// SHA-256 of all that a frozen layer reads: the texts' ids, `input_ids` and `token_type_ids`. Splits,
    /// categories and the texts' spelling are not in it.
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

    /// What the texts are taken apart into where one says which part of them mattered.
    pub fn units(&self) -> Unit {
        Unit::of(&self.texts)
    }

    fn from_batch(batch: &RecordBatch) -> Result<Self, String> {
        let metadata = |key: &str| {
            batch
                .schema_ref()
                .metadata()
                .get(key)
                .cloned()
                .ok_or_else(|| format!("the metadata has no {key}"))
        };
        let (labels, _) = read_categories(batch, "label")?;
        let splits = read_splits(batch)?;
        let (id, text) = (strings(batch, "id")?, strings(batch, "text")?);
        let original = strings(batch, "original")?;
        let (input_ids, tokens) = (lists(batch, "input_ids")?, lists(batch, "tokens")?);
        let token_type_ids = lists(batch, "token_type_ids")?;
        let (word_ids, offsets) = (lists(batch, "word_ids")?, lists(batch, "offsets")?);
        let original_offsets = lists(batch, "original_offsets")?;
        let texts = (0..batch.num_rows())
            .map(|row| {
                Ok(TokenizedText {
                    id: id.value(row).to_owned(),
                    label: CategoryId(labels[row]),
                    split: splits[row],
                    original: original.value(row).to_owned(),
                    text: text.value(row).to_owned(),
                    input_ids: integers(input_ids, row)?.into_iter().flatten().collect(),
                    token_type_ids: integers(token_type_ids, row)?.into_iter().flatten().collect(),
                    tokens: string_row(tokens, row)?,
                    word_ids: integers(word_ids, row)?,
                    offsets: spans(offsets, row)?,
                    original_offsets: spans(original_offsets, row)?,
                })
            })
            .collect::<Result<_, String>>()?;
        let size = metadata("midashi.vocabulary_size")?;
        Ok(Self {
            categories: read_names(batch, "midashi.categories")?,
            tokenizer: metadata("midashi.tokenizer")?,
            vocabulary_size: size.parse().map_err(|_| format!("midashi.vocabulary_size is {size:?}"))?,
            replacement: serde_json::from_str(&metadata("midashi.replacement")?)
                .map_err(|error| format!("midashi.replacement: {error}"))?,
            texts,
        })
    }
}

impl Unit {
    /// What `texts` are taken apart into where one says which part of them mattered: words, unless they are too
    /// long to tell. A tokenizer that knows no Japanese words, such as SentencePiece, takes what stands between
    /// two spaces for one, which may be a whole headline; its tokens are then the smallest parts that mean something.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a TokenizedText>) -> Self {
        let (mut words, mut tokens) = (0, 0);
        for text in texts {
            let mut of_words: Vec<i32> = text.word_ids.iter().flatten().copied().collect();
            tokens += of_words.len();
            of_words.dedup();
            words += of_words.len();
        }
        if tokens > MOST_PIECES * words { Self::Tokens } else { Self::Words }
    }
}

/// Spans of all texts one after the other, as `{start, end}`.
fn span_column<'a>(spans: impl Iterator<Item = &'a (u32, u32)>) -> ArrayRef {
    let (starts, ends): (Vec<u32>, Vec<u32>) = spans.copied().unzip();
    let field = |name: &str| Field::new(name, DataType::UInt32, false);
    let columns: Vec<ArrayRef> = vec![Arc::new(UInt32Array::from(starts)), Arc::new(UInt32Array::from(ends))];
    Arc::new(StructArray::new(Fields::from(vec![field("start"), field("end")]), columns, None))
}

fn integers(list: &ListArray, row: usize) -> Result<Vec<Option<i32>>, String> {
    let items = list.value(row);
    let items = items
        .as_primitive_opt::<Int32Type>()
        .ok_or_else(|| format!("a list holds {}, expected int32", items.data_type()))?;
    Ok(items.iter().collect())
}

fn spans(list: &ListArray, row: usize) -> Result<Vec<(u32, u32)>, String> {
    let items = list.value(row);
    let field = |name: &str| {
        let column = items.as_struct_opt()?.column_by_name(name)?;
        Some(column.as_primitive_opt::<UInt32Type>()?.values().to_vec())
    };
    let (starts, ends) = field("start").zip(field("end")).ok_or("offsets are not {start, end}")?;
    Ok(starts.into_iter().zip(ends).collect())
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

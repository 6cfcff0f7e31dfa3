//! Tokenizers from `tokenizer.json`, run by the `tokenizers` library.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::{ModelWrapper, TruncationDirection};

use midashi_text::{Encoding, PAIR_SEPARATOR};

use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::library::loading::{LibraryTokenizer, Loaded, load, parse, text_of};
use crate::library::panics::contained;
use crate::wordpiece::is_python_space;

/// The mask tokens of BERT and RoBERTa.
const MASKS: [&str; 2] = ["[MASK]", "<mask>"];

/// A tokenizer from `tokenizer.json`, or built with the library's parts from a file of another format.
pub(crate) struct JsonTokenizer {
    file: PathBuf,
    pub(crate) inner: LibraryTokenizer,
    /// Whether spaces separate the words of a text, whatever the tokenizer's own words are.
    is_pretokenized: bool,
    /// Number of special tokens that are added to a text and to a pair.
    pub(crate) special_tokens: (usize, usize),
    pub(crate) unknown_id: Option<u32>,
    pub(crate) vocabulary_size: usize,
}

impl JsonTokenizer {
    pub(crate) fn load(file: &Path, is_pretokenized: bool) -> Result<Self> {
        Self::of(file, &parse(file, &text_of(file)?)?, is_pretokenized)
    }

    /// The tokenizer of this JSON, which was read or made from `file`.
    pub(crate) fn of(file: &Path, content: &Value, is_pretokenized: bool) -> Result<Self> {
        let failed = |message| Error::Json { file: file.to_owned(), message };
        let Loaded { tokenizer: inner, unknown_id } = load(file, content)?;
        let special_tokens = contained(|| -> tokenizers::Result<_> {
            Ok((inner.encode("", true)?.len(), inner.encode(("", ""), true)?.len()))
        });
        let special_tokens = special_tokens.and_then(|found| found.map_err(|error| error.to_string()));
        // The ids may have gaps, so the largest counts and not their number.
        let largest = inner.get_vocab(true).into_values().max();
        let vocabulary_size = largest.map_or(0, |id| id as usize + 1);
        Ok(Self {
            file: file.to_owned(),
            inner,
            is_pretokenized,
            special_tokens: special_tokens.map_err(failed)?,
            unknown_id,
            vocabulary_size,
        })
    }

    /// The name of the file that the tokenizer was read or made from.
    pub(crate) fn source(&self) -> std::borrow::Cow<'_, str> {
        self.file.file_name().unwrap_or_default().to_string_lossy()
    }

    /// The kind of model.
    pub(crate) fn model(&self) -> &'static str {
        match self.inner.get_model() {
            ModelWrapper::BPE(_) => "BPE",
            ModelWrapper::WordPiece(_) => "WordPiece",
            ModelWrapper::WordLevel(_) => "words",
            ModelWrapper::Unigram(_) => "Unigram",
        }
    }

    /// Id and spelling of the mask token, or else of the unknown token.
    pub(crate) fn replacement(&self) -> Option<(i32, String)> {
        let added = self.inner.get_added_tokens_decoder();
        let mask = added.iter().find(|(_, token)| token.special && MASKS.contains(&token.content.as_str()));
        let id = mask.map(|(&id, _)| id).or(self.unknown_id)?;
        Some((id.cast_signed(), self.inner.id_to_token(id)?))
    }

    /// Encodes a text or a pair with the file's templates. Tokens that do not fit are dropped at the end of the second text,
    /// and if none of it is left, at the end of the first.
    pub(crate) fn encode(&self, first: &str, second: Option<&str>, max_length: usize) -> Result<Encoded> {
        let special = if second.is_some() { self.special_tokens.1 } else { self.special_tokens.0 };
        let room = max_length.checked_sub(special).filter(|&room| room > 0);
        let room = room.ok_or(Error::MaxLength { found: max_length, special })?;

        let encoded = contained(|| self.encode_with_library(first, second, room));
        let encoded = encoded.and_then(|encoded| encoded.map_err(|error| error.to_string()));
        let (whole, first_cut, second_cut) =
            encoded.map_err(|message| Error::Json { file: self.file.clone(), message })?;

        let mut encoding = Encoding {
            text: first.to_owned(),
            input_ids: signed(whole.get_ids()),
            token_type_ids: signed(whole.get_type_ids()),
            tokens: whole.get_tokens().to_vec(),
            word_ids: whole.get_word_ids().iter().map(|word| word.map(u32::cast_signed)).collect(),
            offsets: whole.get_offsets().iter().map(|&(start, end)| (start as u32, end as u32)).collect(),
            ..Encoding::default()
        };
        if self.is_pretokenized {
            number_words(&mut encoding, [first, second.unwrap_or_default()], &whole.get_sequence_ids());
        }
        if let Some(second) = second {
            join(&mut encoding, second, &whole.get_sequence_ids());
        }
        encoding.original_offsets.clone_from(&encoding.offsets);
        let (truncated, first_truncated) = (first_cut || second_cut, first_cut && second.is_some());
        Ok(Encoded { encoding, truncated, first_truncated })
    }

    /// The pieces of a text or a pair, `room` at most, with special tokens around them; and whether pieces of the first and of
    /// the second text were dropped.
    fn encode_with_library(
        &self,
        first: &str,
        second: Option<&str>,
        room: usize,
    ) -> tokenizers::Result<(tokenizers::Encoding, bool, bool)> {
        let pieces = |text: &str| self.inner.encode_char_offsets(text, false);
        let (mut of_first, mut of_second) = (pieces(first)?, second.map(pieces).transpose()?);
        let first_cut = cut(&mut of_first, room);
        let left = room - of_first.len();
        let second_cut = of_second.as_mut().is_some_and(|pieces| cut(pieces, left));
        if let Some(pieces) = &mut of_second {
            // These remain if the file has no template for pairs.
            pieces.set_type_ids(vec![1; pieces.len()]);
        }
        Ok((self.inner.post_process(of_first, of_second, true)?, first_cut, second_cut))
    }
}

/// Numbers the words of each text by the spaces between them.
fn number_words(encoding: &mut Encoding, texts: [&str; 2], sequences: &[Option<usize>]) {
    // For each character, the number of its word; for a space, that of the next word.
    let words = texts.map(|text| {
        let mut words = Vec::with_capacity(text.len());
        let (mut word, mut is_inside) = (0, false);
        for character in text.chars() {
            let is_space = is_python_space(character);
            word += i32::from(is_space && is_inside);
            is_inside = !is_space;
            words.push((word, is_space));
        }
        words
    });
    let tokens = encoding.word_ids.iter_mut().zip(&encoding.offsets).zip(sequences);
    for ((word, &(start, end)), sequence) in tokens.filter(|((word, _), _)| word.is_some()) {
        // The library leaves the text open where there is only one.
        let text = words.get(sequence.unwrap_or_default()).map_or(&[][..], Vec::as_slice);
        let covered = text.get(start as usize..end as usize).unwrap_or_default();
        let first = covered.iter().find(|(_, is_space)| !is_space).or_else(|| text.get(start as usize));
        let last = || text.last().map_or(0, |&(word, _)| word);
        *word = Some(first.map_or_else(last, |&(word, _)| word));
    }
}

fn signed(ids: &[u32]) -> Vec<i32> {
    ids.iter().map(|id| id.cast_signed()).collect()
}

/// Drops the tokens after the first `room`. Returns whether there were any.
fn cut(pieces: &mut tokenizers::Encoding, room: usize) -> bool {
    let cut = pieces.len() > room;
    pieces.truncate(room, 0, TruncationDirection::Right);
    // The library keeps the dropped tokens and would add special tokens to them too.
    pieces.take_overflowing();
    cut
}

/// Shifts word ids and offsets of a pair's second text behind the first text's: the library counts them from 0.
fn join(encoding: &mut Encoding, second: &str, sequences: &[Option<usize>]) {
    encoding.text.push(PAIR_SEPARATOR);
    let start = encoding.text.chars().count() as u32;
    encoding.text.push_str(second);
    let of_first = encoding.word_ids.iter().zip(sequences).filter(|(_, text)| **text != Some(1));
    let words = of_first.filter_map(|(word, _)| *word).max().map_or(0, |last| last + 1);
    for (at, _) in sequences.iter().enumerate().filter(|(_, text)| **text == Some(1)) {
        encoding.word_ids[at] = encoding.word_ids[at].map(|word| words + word);
        let (from, to) = encoding.offsets[at];
        encoding.offsets[at] = (start + from, start + to);
    }
}

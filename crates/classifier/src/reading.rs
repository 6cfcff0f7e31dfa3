//! How a model reads texts, for threads that tokenise while another one runs the model.

use std::sync::Arc;

use midashi_config::TextChoice;
use midashi_tokenizer::{Encoded, Encoder, Length, Tokenizer};

use crate::encode::{check_length, encode_text};
use crate::{Classifier, ModelFolder, Options, Result};

/// Everything that tokenising a text for a model depends on. Threads can share it.
#[derive(Clone)]
pub struct Reading {
    tokenizer: Arc<Tokenizer>,
    text: TextChoice,
    length: Length,
}

impl Reading {
    /// How `model` reads texts with these `options`.
    ///
    /// # Errors
    /// When the tokenizer's files are damaged, its dictionary is not installed, or windows of `options.max_length` tokens
    /// have no room.
    pub fn open(model: &ModelFolder, options: &Options) -> Result<Self> {
        let (tokenizer, text) = (model.tokenizer(&options.dictionaries)?, options.text_of(model));
        let length = options.length_of(model);
        check_length(&tokenizer, text, length)?;
        Ok(Self { tokenizer: Arc::new(tokenizer), text, length })
    }

    /// Tokenises one text to the given `length`; none if it has no words. For a model that reads title and body,
    /// the first line is the title.
    ///
    /// # Errors
    /// When `length` has no room for a word.
    pub fn encode(&self, text: &str, length: Length) -> Result<Option<Encoded>> {
        encode_text(&mut self.tokenizer.encoder(), text, self.text, length)
    }

    /// Tokenises a pair of texts to the given `length`; none if they have no words.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_pair(&self, first: &str, second: &str, length: Length) -> Result<Option<Encoded>> {
        let encoded = self.tokenizer.encoder().encode_to(first, Some(second), length)?;
        Ok(encoded.encoding.has_words().then_some(encoded))
    }

    /// The id of the unknown token, if there is one.
    pub(crate) fn unknown_id(&self) -> Option<i32> {
        self.tokenizer.unknown_id()
    }

    pub(crate) fn encoder(&self) -> Encoder<'_> {
        self.tokenizer.encoder()
    }

    /// The part of an article that the model was trained on.
    pub fn text(&self) -> TextChoice {
        self.text
    }

    /// How long texts are read: cut at their ends, or in windows.
    pub fn length(&self) -> Length {
        self.length
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.length.max_length()
    }

    /// The id that hides a word from the model; none if the tokenizer has neither a mask nor an unknown token.
    pub fn mask_id(&self) -> Option<i32> {
        self.tokenizer.replacement().map(|(id, _)| id)
    }

    /// One line: the kind of tokenizer and its vocabulary.
    pub fn describe(&self) -> String {
        self.tokenizer.describe()
    }
}

impl Classifier<'_> {
    /// Takes the tokenizer of `reading` instead of loading another one.
    #[must_use]
    pub fn with_reading(mut self, reading: &Reading) -> Self {
        self.tokenizer = Some(Arc::clone(&reading.tokenizer));
        self
    }
}

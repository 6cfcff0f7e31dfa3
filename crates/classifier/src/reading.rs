//! How a model reads texts, for threads that tokenise while another one runs the model.

use std::sync::Arc;

use midashi_config::TextChoice;
use midashi_tokenizer::{Encoded, Encoder, Tokenizer};

use crate::encode::encode_text;
use crate::{Classifier, ModelFolder, Options, Result};

/// Everything that tokenising a text for a model depends on. Threads can share it.
#[derive(Clone)]
pub struct Reading {
    tokenizer: Arc<Tokenizer>,
    text: TextChoice,
    max_length: usize,
}

impl Reading {
    /// How `model` reads texts with these `options`.
    ///
    /// # Errors
    /// When the tokenizer's files are damaged or its dictionary is not installed.
    pub fn open(model: &ModelFolder, options: &Options) -> Result<Self> {
        Ok(Self {
            tokenizer: Arc::new(model.tokenizer(&options.dictionaries)?),
            text: options.text_of(model),
            max_length: options.max_length_of(model),
        })
    }

    /// Tokenises one text to at most `max_length` tokens; none if it has no words. For a model that reads title and body,
    /// the first line is the title.
    ///
    /// # Errors
    /// When `max_length` has no room for a word.
    pub fn encode(&self, text: &str, max_length: usize) -> Result<Option<Encoded>> {
        encode_text(&mut self.tokenizer.encoder(), text, self.text, max_length)
    }

    /// Tokenises a pair of texts to at most `max_length` tokens; none if they have no words.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_pair(&self, first: &str, second: &str, max_length: usize) -> Result<Option<Encoded>> {
        let encoded = self.tokenizer.encoder().encode_pair(first, second, max_length)?;
        Ok(encoded.encoding.has_words().then_some(encoded))
    }

    pub(crate) fn encoder(&self) -> Encoder<'_> {
        self.tokenizer.encoder()
    }

    /// The part of an article that the model was trained on.
    pub fn text(&self) -> TextChoice {
        self.text
    }

    /// Longest input in tokens, special tokens included.
    pub fn max_length(&self) -> usize {
        self.max_length
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

//! Builds an encoding token by token, up to a maximum length.

use std::ops::Range;

use midashi_text::{Encoding, PAIR_SEPARATOR};

use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::set_apart::SetApart;
use crate::vocabulary::Vocabulary;

/// The special tokens around the texts, and the token type of the second text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Template {
    /// Before the first text.
    pub(crate) before: Vec<u32>,
    /// After each text.
    pub(crate) after: Vec<u32>,
    /// Before the second text.
    pub(crate) before_second: Vec<u32>,
    /// Of the second text and the tokens after it.
    pub(crate) second_type: i32,
}

impl Template {
    /// Number of special tokens that are added to a text.
    pub(crate) fn of_text(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Number of special tokens that are added to a pair.
    pub(crate) fn of_pair(&self) -> usize {
        self.of_text() + self.before_second.len() + self.after.len()
    }
}

/// Builds an encoding.
pub(crate) struct Builder<'k> {
    vocabulary: &'k Vocabulary,
    set_apart: &'k SetApart,
    /// The largest number of tokens, without the special ones that are yet to come.
    room: usize,
    encoded: Encoded,
    /// 0 in the first text.
    token_type: i32,
    /// Number of original characters before the current text.
    original_start: usize,
    /// Number of characters in the encoding's text so far.
    characters: usize,
    words: i32,
}

impl<'k> Builder<'k> {
    /// Encodes a text or a pair to at most `max_length` tokens. `push_text` adds a whole text.
    pub(crate) fn encode(
        (vocabulary, set_apart, template): (&'k Vocabulary, &'k SetApart, &Template),
        texts: (&str, Option<&str>),
        max_length: usize,
        mut push_text: impl FnMut(&mut Self, &str),
    ) -> Result<Encoded> {
        let (first, second) = texts;
        let special = if second.is_some() { template.of_pair() } else { template.of_text() };
        if max_length <= special {
            return Err(Error::MaxLength { found: max_length, special });
        }
        let characters = |text: &str| text.chars().count();
        // Texts rarely have more tokens than characters.
        let all = characters(first) + second.map_or(0, characters);
        let mut builder = Self::new(vocabulary, set_apart, max_length - special, special + all);
        builder.push_special(&template.before);
        push_text(&mut builder, first);
        builder.push_special(&template.after);
        if let Some(second) = second {
            builder.push_special(&template.before_second);
            builder.begin_second(characters(first), template.second_type);
            push_text(&mut builder, second);
            builder.push_special(&template.after);
        }
        Ok(builder.encoded)
    }

    fn new(vocabulary: &'k Vocabulary, set_apart: &'k SetApart, room: usize, tokens: usize) -> Self {
        let capacity = tokens.min(room.saturating_add(8));
        let encoding = Encoding {
            input_ids: Vec::with_capacity(capacity),
            token_type_ids: Vec::with_capacity(capacity),
            tokens: Vec::with_capacity(capacity),
            word_ids: Vec::with_capacity(capacity),
            offsets: Vec::with_capacity(capacity),
            original_offsets: Vec::with_capacity(capacity),
            ..Encoding::default()
        };
        Self {
            vocabulary,
            set_apart,
            room,
            encoded: Encoded { encoding, ..Encoded::default() },
            token_type: 0,
            original_start: 0,
            characters: 0,
            words: 0,
        }
    }

    /// Adds special tokens around a text, for which there is always room.
    fn push_special(&mut self, ids: &[u32]) {
        for &id in ids {
            self.room += 1;
            self.push(id, None, 0..0, 0..0);
        }
    }

    /// Starts the second text of a pair. `characters` is the length of the first.
    fn begin_second(&mut self, characters: usize, token_type: i32) {
        self.encoded.first_truncated = self.encoded.truncated;
        self.encoded.encoding.text.push(PAIR_SEPARATOR);
        self.characters += 1;
        self.original_start = characters + 1;
        self.token_type = token_type;
    }

    /// Number of original characters before the current text.
    pub(crate) fn original_start(&self) -> usize {
        self.original_start
    }

    /// Number of characters in the encoding's text so far.
    pub(crate) fn characters(&self) -> usize {
        self.characters
    }

    /// Whether a token was dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.encoded.truncated
    }

    /// The current word.
    pub(crate) fn word(&self) -> i32 {
        self.words
    }

    /// Ends the current word.
    pub(crate) fn end_word(&mut self) {
        self.words += 1;
    }

    /// Adds to the text that `offsets` refer to.
    pub(crate) fn push_text(&mut self, text: &str) {
        self.characters += text.chars().count();
        self.encoded.encoding.text.push_str(text);
    }

    /// Adds a token with its ranges in the encoding's text and in the original, if there is room.
    pub(crate) fn push(&mut self, id: u32, word: Option<i32>, range: Range<usize>, original: Range<usize>) {
        let encoding = &mut self.encoded.encoding;
        if encoding.input_ids.len() == self.room {
            self.encoded.truncated = true;
            return;
        }
        encoding.input_ids.push(id.cast_signed());
        encoding.token_type_ids.push(self.token_type);
        encoding.tokens.push(self.vocabulary.token(id).unwrap_or_default().to_owned());
        encoding.word_ids.push(word);
        encoding.offsets.push((range.start as u32, range.end as u32));
        encoding.original_offsets.push((original.start as u32, original.end as u32));
    }

    /// Adds a special or added token of the text, which starts at the original's character `at`.
    pub(crate) fn push_token(&mut self, at: usize, token: &str, id: u32) {
        let start = self.characters;
        self.push_text(token);
        self.push_added(id, start..self.characters, at..at + self.characters - start);
    }

    /// Adds a special token, which belongs to no word, or an added one, which is a word, with its ranges.
    pub(crate) fn push_added(&mut self, id: u32, range: Range<usize>, original: Range<usize>) {
        let word = (!self.set_apart.is_special(id)).then_some(self.words);
        self.words += i32::from(word.is_some());
        self.push(id, word, range, original);
    }
}

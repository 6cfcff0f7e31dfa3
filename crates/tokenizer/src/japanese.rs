//! transformers' `BertJapaneseTokenizer`: it splits off special tokens, normalises the text between them, splits it into
//! words and cuts the words into pieces.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::path::Path;

use crate::aligned::Aligned;
use crate::basic::{clean, is_accent, split_on_punctuation};
use crate::dictionaries::Dictionaries;
use midashi_text::{Encoding, PAIR_SEPARATOR};

use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::settings::{AddedToken, JapaneseSettings, WordSettings};
use crate::vocabulary::Vocabulary;
use crate::wordpiece::{Piece, is_python_space};
use crate::words::WordSplitter;

/// Number of special tokens that are added to a text: `[CLS]` and `[SEP]`.
pub(crate) const SPECIAL: usize = 2;
/// Number of special tokens that are added to a pair: `[CLS]`, and `[SEP]` after each text.
pub(crate) const SPECIAL_OF_PAIRS: usize = 3;

/// A `BertJapaneseTokenizer`.
pub(crate) struct JapaneseTokenizer {
    /// MeCab's dictionary, if words are MeCab's.
    mecab: Option<vibrato::Tokenizer>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) settings: JapaneseSettings,
    /// Special and added tokens, which are searched for in the raw text, longest first.
    set_apart: Vec<(AddedToken, u32)>,
    special_ids: BTreeSet<u32>,
    /// Words that are neither lower-cased nor split.
    never_split: HashSet<String>,
    pub(crate) special: SpecialIds,
}

/// The ids of the special tokens that any text may need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SpecialIds {
    pub(crate) unknown: u32,
    pub(crate) separator: u32,
    pub(crate) classification: u32,
}

impl JapaneseTokenizer {
    pub(crate) fn load(
        vocabulary_file: &Path,
        settings: JapaneseSettings,
        dictionaries: &Dictionaries,
    ) -> Result<Self> {
        let mut vocabulary = Vocabulary::read(vocabulary_file)?;
        let mut set_apart = BTreeMap::new();
        for (&id, token) in &settings.added_tokens {
            if vocabulary.token(id) != Some(&token.content) && vocabulary.push(&token.content) != id {
                return Err(Error::Malformed {
                    file: vocabulary_file.to_owned(),
                    place: format!("line {}", u64::from(id) + 1),
                    found: format!("{:?}", vocabulary.token(id).unwrap_or("the end of the file")),
                    expected: format!("{:?}, which the tokenizer's settings add with id {id}", token.content),
                    advice: "take vocabulary and settings from the same checkpoint",
                });
            }
            set_apart.insert(token.content.clone(), (token.clone(), id));
        }
        // transformers gives a special token that the vocabulary lacks the next id, for which the model has no row.
        for (role, token) in settings.special_tokens.iter() {
            if vocabulary.id(&token.content).is_none() {
                let (file, token) = (vocabulary_file.to_owned(), token.content.clone());
                return Err(Error::SpecialToken { file, role, token });
            }
        }
        let id = |token: &AddedToken| vocabulary.id(&token.content).unwrap_or_default();
        let tokens = &settings.special_tokens;
        let special = SpecialIds {
            unknown: id(&tokens.unknown),
            separator: id(&tokens.separator),
            classification: id(&tokens.classification),
        };
        let added = settings.added_tokens.iter().filter(|(_, token)| token.special).map(|(&id, _)| id);
        let special_ids = added.chain(tokens.iter().map(|(_, token)| id(token))).collect();
        for (_, token) in tokens.iter() {
            set_apart.entry(token.content.clone()).or_insert_with(|| (token.clone(), id(token)));
        }
        let mut set_apart: Vec<_> =
            set_apart.into_values().filter(|(token, _)| !token.content.is_empty()).collect();
        set_apart.sort_by_key(|(token, _)| std::cmp::Reverse(token.content.len()));
        let special_words = tokens.iter().map(|(_, token)| &token.content);
        let never_split = settings.never_split.iter().chain(special_words).cloned().collect();
        let mecab = match &settings.words {
            WordSettings::Mecab { dictionary, .. } => Some(dictionaries.open(dictionary)?),
            WordSettings::Basic => None,
        };
        Ok(Self { mecab, never_split, special, special_ids, vocabulary, settings, set_apart })
    }

    pub(crate) fn splitter(&self) -> WordSplitter<'_> {
        self.mecab.as_ref().map_or(WordSplitter::Basic, WordSplitter::mecab)
    }

    /// Normalises a text before it is split into words.
    fn normalise<'t>(&self, text: &'t str) -> Aligned<'t> {
        let text = Aligned::new(text);
        match self.settings.words {
            WordSettings::Mecab { normalise: true, .. } => text.nfkc(),
            WordSettings::Mecab { normalise: false, .. } => text,
            WordSettings::Basic => text.characters(clean).nfc(),
        }
    }

    /// Lower-cases a word, if the settings ask for that, before it is cut into pieces.
    fn spell<'w>(&self, word: &'w str) -> Aligned<'w> {
        let spelled = Aligned::new(word);
        match self.settings.words {
            _ if !self.settings.lower_case || self.never_split.contains(word) => spelled,
            WordSettings::Mecab { .. } => spelled.lower_case(),
            WordSettings::Basic => spelled.lower_case().nfd(|character| !is_accent(character)),
        }
    }

    /// Whether punctuation splits a run of characters into words.
    fn splits_on_punctuation(&self, run: &str) -> bool {
        self.settings.words == WordSettings::Basic && !self.never_split.contains(run)
    }

    /// Encodes `[CLS] first [SEP]`, or `[CLS] first [SEP] second [SEP]`, with this tokenizer's `splitter`.
    pub(crate) fn encode(
        &self,
        splitter: &mut WordSplitter<'_>,
        first: &str,
        second: Option<&str>,
        max_length: usize,
    ) -> Result<Encoded> {
        let special = if second.is_some() { SPECIAL_OF_PAIRS } else { SPECIAL };
        if max_length <= special {
            return Err(Error::MaxLength { found: max_length, special });
        }
        let characters = |text: &str| text.chars().count();
        let all_characters = characters(first) + second.map_or(0, characters);
        let mut builder = Builder::new(self, max_length - special, all_characters);
        builder.push_whole(splitter, first);
        builder.push_separator();
        if let Some(second) = second {
            builder.begin_second(characters(first));
            builder.push_whole(splitter, second);
            builder.push_separator();
        }
        Ok(builder.encoded)
    }

    /// Splits a text into special or added tokens and the text between them.
    fn parts<'t>(&self, text: &'t str) -> Vec<Part<'t>> {
        let mut parts = Vec::new();
        let mut rest = text;
        // Number of characters before `rest`.
        let mut start = 0;
        let mut strip_left = false;
        loop {
            let next = rest.char_indices().find_map(|(at, _)| {
                let token = self.set_apart.iter().find(|(token, _)| rest[at..].starts_with(&token.content));
                token.map(|(token, id)| (at, token, *id))
            });
            let before = next.map_or(rest, |(at, ..)| &rest[..at]);
            let stripped = if strip_left { before.trim_start_matches(is_python_space) } else { before };
            let at = start + before.chars().count() - stripped.chars().count();
            let between = match next {
                Some((_, token, _)) if token.lstrip => stripped.trim_end_matches(is_python_space),
                _ => stripped,
            };
            if !between.is_empty() {
                parts.push(Part::Text { at, text: between });
            }
            let Some((_, token, id)) = next else { return parts };
            let end = before.len() + token.content.len();
            start += before.chars().count();
            parts.push(Part::Token { at: start, token: &rest[before.len()..end], id });
            start += token.content.chars().count();
            strip_left = token.rstrip;
            rest = &rest[end..];
        }
    }
}

/// A part of a text; `at` is its first character.
enum Part<'t> {
    Token { at: usize, token: &'t str, id: u32 },
    Text { at: usize, text: &'t str },
}

/// Builds an encoding.
struct Builder<'k> {
    tokenizer: &'k JapaneseTokenizer,
    /// The largest number of tokens, without the separators that are yet to come.
    room: usize,
    encoded: Encoded,
    /// 0 in the first text, 1 in the second.
    token_type: i32,
    /// Number of original characters before the current text.
    original_start: usize,
    /// Number of characters in the encoding's text so far.
    characters: usize,
    words: i32,
    /// Working memory: the pieces of a word.
    pieces: Vec<Piece>,
}

impl<'k> Builder<'k> {
    /// Starts with `[CLS]`. `characters` is the length of the texts, which rarely have more tokens than that.
    fn new(tokenizer: &'k JapaneseTokenizer, room: usize, characters: usize) -> Self {
        let capacity = SPECIAL_OF_PAIRS + characters.min(room);
        let encoding = Encoding {
            input_ids: Vec::with_capacity(capacity),
            token_type_ids: Vec::with_capacity(capacity),
            tokens: Vec::with_capacity(capacity),
            word_ids: Vec::with_capacity(capacity),
            offsets: Vec::with_capacity(capacity),
            original_offsets: Vec::with_capacity(capacity),
            ..Encoding::default()
        };
        let mut builder = Self {
            tokenizer,
            room: room + 1,
            encoded: Encoded { encoding, ..Encoded::default() },
            token_type: 0,
            original_start: 0,
            characters: 0,
            words: 0,
            pieces: Vec::new(),
        };
        builder.push(tokenizer.special.classification, None, 0..0, 0..0);
        builder
    }

    /// Adds a whole text.
    fn push_whole(&mut self, splitter: &mut WordSplitter<'_>, text: &str) {
        for part in self.tokenizer.parts(text) {
            match part {
                Part::Token { at, token, id } => self.push_token(self.original_start + at, token, id),
                Part::Text { at, text } => self.push_text(splitter, self.original_start + at, text),
            }
        }
    }

    /// Adds the separator at the end of a text, for which there is always room.
    fn push_separator(&mut self) {
        self.room += 1;
        self.push(self.tokenizer.special.separator, None, 0..0, 0..0);
    }

    /// Starts the second text of a pair. `characters` is the length of the first.
    fn begin_second(&mut self, characters: usize) {
        self.encoded.first_truncated = self.encoded.truncated;
        self.encoded.encoding.text.push(PAIR_SEPARATOR);
        self.characters += 1;
        self.original_start = characters + 1;
        self.token_type = 1;
    }

    /// Adds a token with its ranges in the encoding's text and in the original, if there is room.
    fn push(&mut self, id: u32, word: Option<i32>, range: Range<usize>, original: Range<usize>) {
        let encoding = &mut self.encoded.encoding;
        if encoding.input_ids.len() == self.room {
            self.encoded.truncated = true;
            return;
        }
        encoding.input_ids.push(id.cast_signed());
        encoding.token_type_ids.push(self.token_type);
        encoding.tokens.push(self.tokenizer.vocabulary.token(id).unwrap_or_default().to_owned());
        encoding.word_ids.push(word);
        encoding.offsets.push((range.start as u32, range.end as u32));
        encoding.original_offsets.push((original.start as u32, original.end as u32));
    }

    /// Adds a special or added token of the text, which starts at the original's character `at`.
    fn push_token(&mut self, at: usize, token: &str, id: u32) {
        self.encoded.encoding.text.push_str(token);
        let (start, length) = (self.characters, token.chars().count());
        self.characters += length;
        let word = (!self.tokenizer.special_ids.contains(&id)).then_some(self.words);
        self.words += i32::from(word.is_some());
        self.push(id, word, start..start + length, at..at + length);
    }

    /// Adds the text between such tokens, which starts at the original's character `at`.
    fn push_text(&mut self, splitter: &mut WordSplitter<'_>, at: usize, text: &str) {
        let text = self.tokenizer.normalise(text);
        // When there is no more room, the rest of the text is still added, but not split into words.
        if !self.encoded.truncated {
            splitter.split(text.text(), |run, range| {
                self.push_run(run, range.start, at, &text);
                !self.encoded.truncated
            });
        }
        self.characters += text.text().chars().count();
        self.encoded.encoding.text.push_str(text.text());
    }

    /// Adds the pieces of a run of characters. The run starts at character `start` of `text`, which starts at the original's
    /// character `at`.
    fn push_run(&mut self, run: &str, start: usize, at: usize, text: &Aligned<'_>) {
        let tokenizer = self.tokenizer;
        let spelled = tokenizer.spell(run);
        let mut push = |word: &str, within: usize| {
            let mut pieces = std::mem::take(&mut self.pieces);
            pieces.clear();
            let (vocabulary, unknown) = (&tokenizer.vocabulary, tokenizer.special.unknown);
            tokenizer.settings.subwords.cut(word, vocabulary, unknown, &mut pieces);
            for piece in &pieces {
                let range = spelled.origin(within + piece.start..within + piece.end);
                let range = start + range.start..start + range.end;
                let original = text.origin(range.clone());
                let range = self.characters + range.start..self.characters + range.end;
                self.push(piece.id, Some(self.words), range, at + original.start..at + original.end);
            }
            self.words += i32::from(!pieces.is_empty());
            self.pieces = pieces;
        };
        if tokenizer.splits_on_punctuation(spelled.text()) {
            split_on_punctuation(spelled.text()).for_each(|(word, range)| push(word, range.start));
        } else {
            push(spelled.text(), 0);
        }
    }
}

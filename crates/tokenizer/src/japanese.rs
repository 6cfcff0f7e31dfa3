//! transformers' `BertJapaneseTokenizer`: special tokens set apart, NFKC, MeCab's words, then their pieces.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};
use crate::settings::{AddedToken, JapaneseSettings};
use crate::vocabulary::Vocabulary;
use crate::wordpiece::{Piece, is_python_space};
use crate::{Dictionaries, Encoding, MecabDictionary};

/// Vibrato adds costs in 32 bits. A word costs at most 2¹⁵ and its connection as much, so this many characters cannot
/// overflow them; a longer text is split part by part. (MeCab gives up where the sum overflows.)
const LONGEST_PART: usize = 1 << 15;
/// The last words of a part are found again in the next one, since the path near an end depends on what follows.
const OVERLAP: usize = 16;

/// A `BertJapaneseTokenizer`.
pub(crate) struct JapaneseTokenizer {
    words: vibrato::Tokenizer,
    vocabulary: Vocabulary,
    settings: JapaneseSettings,
    /// Special and added tokens: found in the text as they stand, longest first.
    set_apart: Vec<(AddedToken, u32)>,
    special_ids: BTreeSet<u32>,
    keep_case: HashSet<String>,
    pub(crate) special: SpecialIds,
}

/// The ids of the special tokens that every text may need.
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
        let tokens = &settings.special_tokens;
        let required = |role, AddedToken { content, .. }: &AddedToken| {
            let file = vocabulary_file.to_owned();
            let missing = || Error::SpecialToken { file, role, token: content.clone() };
            vocabulary.id(content).ok_or_else(missing)
        };
        let special = SpecialIds {
            unknown: required("unk_token", &tokens.unknown)?,
            separator: required("sep_token", &tokens.separator)?,
            classification: required("cls_token", &tokens.classification)?,
        };
        let mut special_ids: BTreeSet<u32> =
            settings.added_tokens.iter().filter(|(_, token)| token.special).map(|(&id, _)| id).collect();
        for token in tokens.iter() {
            // [MASK] and [PAD] may be missing: no text gets them here.
            if let Some(id) = vocabulary.id(&token.content) {
                set_apart.entry(token.content.clone()).or_insert_with(|| (token.clone(), id));
                special_ids.insert(id);
            }
        }
        let mut set_apart: Vec<_> =
            set_apart.into_values().filter(|(token, _)| !token.content.is_empty()).collect();
        set_apart.sort_by_key(|(token, _)| std::cmp::Reverse(token.content.len()));
        let special_words = settings.special_tokens.iter().map(|token| &token.content);
        Ok(Self {
            words: dictionaries.open(settings.dictionary)?,
            keep_case: settings.never_split.iter().chain(special_words).cloned().collect(),
            special,
            special_ids,
            vocabulary,
            settings,
            set_apart,
        })
    }

    pub(crate) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub(crate) fn dictionary(&self) -> MecabDictionary {
        self.settings.dictionary
    }

    pub(crate) fn subwords(&self) -> crate::wordpiece::Subwords {
        self.settings.subwords
    }

    fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    pub(crate) fn splitter(&self) -> WordSplitter<'_> {
        WordSplitter::new(&self.words)
    }

    /// Encodes one text. `splitter` is this tokenizer's, kept between texts.
    pub(crate) fn encode(
        &self,
        splitter: &mut WordSplitter<'_>,
        text: &str,
        max_length: usize,
    ) -> Result<Encoding> {
        const SPECIAL: usize = 2;
        if max_length <= SPECIAL {
            return Err(Error::MaxLength { found: max_length, special: SPECIAL });
        }
        let mut line = Line::new(self, max_length - SPECIAL);
        for part in self.parts(text) {
            match part {
                Part::Token(token, id) => line.push_token(token, id),
                Part::Text(text) => line.push_text(splitter, text),
            }
        }
        Ok(line.finish())
    }

    /// Sets the special and added tokens apart from the text between them.
    fn parts<'t>(&self, text: &'t str) -> Vec<Part<'t>> {
        let mut parts = Vec::new();
        let mut rest = text;
        let mut strip_left = false;
        loop {
            let next = rest.char_indices().find_map(|(at, _)| {
                let token = self.set_apart.iter().find(|(token, _)| rest[at..].starts_with(&token.content));
                token.map(|(token, id)| (at, token, *id))
            });
            let mut between = next.map_or(rest, |(at, ..)| &rest[..at]);
            if strip_left {
                between = between.trim_start_matches(is_python_space);
            }
            if next.is_some_and(|(_, token, _)| token.lstrip) {
                between = between.trim_end_matches(is_python_space);
            }
            if !between.is_empty() {
                parts.push(Part::Text(between));
            }
            let Some((at, token, id)) = next else { return parts };
            let end = at + token.content.len();
            parts.push(Part::Token(&rest[at..end], id));
            strip_left = token.rstrip;
            rest = &rest[end..];
        }
    }
}

enum Part<'t> {
    Token(&'t str, u32),
    Text(&'t str),
}

/// NFKC, as every Japanese BERT wants its text.
pub(crate) fn normalise(text: &str) -> String {
    text.nfkc().collect()
}

/// An encoding in the making.
struct Line<'k> {
    tokenizer: &'k JapaneseTokenizer,
    /// How many pieces there may be, special tokens at both ends not counted.
    room: usize,
    encoding: Encoding,
    /// Characters of the encoding's text so far.
    characters: usize,
    words: u32,
    pieces: Vec<Piece>,
}

impl<'k> Line<'k> {
    fn new(tokenizer: &'k JapaneseTokenizer, room: usize) -> Self {
        let mut line = Self {
            tokenizer,
            room: room + 1,
            encoding: Encoding::default(),
            characters: 0,
            words: 0,
            pieces: Vec::new(),
        };
        line.push(tokenizer.special.classification, None, (0, 0));
        line
    }

    fn push(&mut self, id: u32, word: Option<u32>, offsets: (u32, u32)) {
        let encoding = &mut self.encoding;
        if encoding.input_ids.len() == self.room {
            encoding.truncated = true;
            return;
        }
        encoding.input_ids.push(id);
        encoding.tokens.push(self.tokenizer.vocabulary.token(id).unwrap_or_default().to_owned());
        encoding.word_ids.push(word);
        encoding.offsets.push(offsets);
    }

    /// A special or added token that stands in the text.
    fn push_token(&mut self, token: &str, id: u32) {
        self.encoding.text.push_str(token);
        let start = self.characters;
        self.characters += token.chars().count();
        let word = (!self.tokenizer.is_special(id)).then_some(self.words);
        self.words += u32::from(word.is_some());
        self.push(id, word, (start as u32, self.characters as u32));
    }

    /// Text between such tokens.
    fn push_text(&mut self, splitter: &mut WordSplitter<'_>, text: &str) {
        let settings = &self.tokenizer.settings;
        let text = if settings.normalise { normalise(text) } else { text.to_owned() };
        let start = self.characters;
        // Once nothing more fits, the rest of the text is still told, but its words need not be found.
        if !self.encoding.truncated {
            splitter.split(&text, |word, range| {
                self.push_word(word, start + range.start..start + range.end);
                !self.encoding.truncated
            });
        }
        self.characters += text.chars().count();
        self.encoding.text.push_str(&text);
    }

    fn push_word(&mut self, word: &str, range: Range<usize>) {
        let tokenizer = self.tokenizer;
        let lower = (tokenizer.settings.lower_case && !tokenizer.keep_case.contains(word))
            .then(|| word.to_lowercase());
        let cut = lower.as_deref().unwrap_or(word);
        let mut pieces = std::mem::take(&mut self.pieces);
        pieces.clear();
        tokenizer.settings.subwords.cut(cut, &tokenizer.vocabulary, tokenizer.special.unknown, &mut pieces);
        // Lower-casing can lengthen a word (İ becomes two characters); its pieces then cover all of it.
        let same_length = lower.as_ref().is_none_or(|lower| lower.chars().count() == range.len());
        for piece in &pieces {
            let covered =
                if same_length { range.start + piece.start..range.start + piece.end } else { range.clone() };
            self.push(piece.id, Some(self.words), (covered.start as u32, covered.end as u32));
        }
        if !pieces.is_empty() {
            self.words += 1;
        }
        self.pieces = pieces;
    }

    fn finish(mut self) -> Encoding {
        self.room += 1;
        self.push(self.tokenizer.special.separator, None, (0, 0));
        self.encoding
    }
}

/// Splits normalised text into MeCab's words. Keeps its memory between texts; one a thread.
pub(crate) struct WordSplitter<'t> {
    worker: vibrato::tokenizer::worker::Worker<'t>,
}

impl<'t> WordSplitter<'t> {
    pub(crate) fn new(words: &'t vibrato::Tokenizer) -> Self {
        Self { worker: words.new_worker() }
    }

    /// Calls `found` with every word and the characters it covers, until it says `false`.
    ///
    /// Text behind a NUL is not seen: transformers hands MeCab a C string, which ends there.
    pub(crate) fn split(&mut self, text: &str, mut found: impl FnMut(&str, Range<usize>) -> bool) {
        let mut rest = text.split('\0').next().unwrap_or_default();
        let mut start = 0;
        loop {
            let cut = rest.char_indices().nth(LONGEST_PART).map(|(at, _)| at);
            self.worker.reset_sentence(cut.map_or(rest, |at| &rest[..at]));
            self.worker.tokenize();
            let count = self.worker.num_tokens();
            // White space alone has no words; the last part's words are all its own.
            let sure = if cut.is_some() { count.saturating_sub(OVERLAP).max(count.min(1)) } else { count };
            let (mut bytes, mut characters) = (0, 0);
            for index in 0..sure {
                let word = self.worker.token(index);
                (bytes, characters) = (word.range_byte().end, word.range_char().end);
                if !found(word.surface(), start + word.range_char().start..start + characters) {
                    return;
                }
            }
            let Some(cut) = cut else { return };
            if sure == 0 {
                (bytes, characters) = (cut, LONGEST_PART);
            }
            rest = &rest[bytes..];
            start += characters;
        }
    }
}

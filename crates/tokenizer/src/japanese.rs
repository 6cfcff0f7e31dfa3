//! transformers' `BertJapaneseTokenizer`: it splits off special tokens, normalises the text between them, splits it into
//! words and cuts the words into pieces.

use std::collections::HashSet;
use std::path::Path;

use crate::aligned::Aligned;
use crate::basic::{clean, is_accent, split_on_punctuation};
use crate::builder::{Builder, Template};
use crate::dictionaries::Dictionaries;
use crate::encoding::Encoded;
use crate::error::{Error, Result};
use crate::sentencepiece::{Cleaning, Cutter, SentencePiece};
use crate::set_apart::{Part, SetApart};
use crate::settings::{AddedToken, JapaneseSettings, WordSettings};
use crate::vocabulary::Vocabulary;
use crate::wordpiece::{Piece, Subwords, characters, word_pieces};
use crate::words::WordSplitter;

/// A `BertJapaneseTokenizer`.
pub(crate) struct JapaneseTokenizer {
    /// MeCab's dictionary, if words are MeCab's.
    mecab: Option<vibrato::Tokenizer>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) settings: JapaneseSettings,
    subwords: Cut,
    pub(crate) set_apart: SetApart,
    /// Words that are neither lower-cased nor split.
    never_split: HashSet<String>,
    pub(crate) template: Template,
    pub(crate) unknown: u32,
}

/// What cuts words into pieces.
enum Cut {
    WordPiece,
    Characters,
    SentencePiece(Box<Cutter>),
}

/// Working memory, and what a text is added to.
struct Working<'w, 'k> {
    builder: &'w mut Builder<'k>,
    /// The pieces of a word.
    pieces: &'w mut Vec<Piece>,
}

impl JapaneseTokenizer {
    /// Loads the vocabulary: a `vocab.txt`, or a SentencePiece model if the settings say so.
    pub(crate) fn load(
        vocabulary_file: &Path,
        settings: JapaneseSettings,
        dictionaries: &Dictionaries,
    ) -> Result<Self> {
        let (mut vocabulary, subwords) = match settings.subwords {
            Subwords::WordPiece => (Vocabulary::read(vocabulary_file)?, Cut::WordPiece),
            Subwords::Characters => (Vocabulary::read(vocabulary_file)?, Cut::Characters),
            Subwords::SentencePiece => {
                let model = SentencePiece::load(vocabulary_file)?;
                let vocabulary = model.pieces.iter().map(|piece| &*piece.text).collect();
                // The words are lower-cased before, and their accents are kept whatever the settings say.
                let cleaning = Cleaning { remove_space: true, keep_accents: true, lower_case: false };
                (vocabulary, Cut::SentencePiece(Box::new(Cutter { model, cleaning: Some(cleaning) })))
            }
        };
        let mut tokens = Vec::new();
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
            tokens.push((token.clone(), id));
        }
        // transformers gives a special token that the vocabulary lacks the next id, for which the model has no row.
        for (role, token) in settings.special_tokens.iter() {
            if vocabulary.id(&token.content).is_none() {
                let (file, token) = (vocabulary_file.to_owned(), token.content.clone());
                return Err(Error::SpecialToken { file, role, token });
            }
        }
        let id = |token: &AddedToken| vocabulary.id(&token.content).unwrap_or_default();
        let named = &settings.special_tokens;
        let template = Template {
            before: vec![id(&named.classification)],
            after: vec![id(&named.separator)],
            before_second: Vec::new(),
            second_type: 1,
        };
        let unknown = id(&named.unknown);
        tokens.extend(named.iter().map(|(_, token)| (token.clone(), id(token))));
        let special: Vec<u32> = named.iter().map(|(_, token)| id(token)).collect();
        let set_apart = SetApart::new(tokens, special);
        let special_words = named.iter().map(|(_, token)| &token.content);
        let never_split = settings.never_split.iter().chain(special_words).cloned().collect();
        let mecab = match &settings.words {
            WordSettings::Mecab { dictionary, .. } => Some(dictionaries.open(dictionary)?),
            WordSettings::Basic | WordSettings::Split { .. } => None,
        };
        Ok(Self { mecab, never_split, template, unknown, vocabulary, settings, subwords, set_apart })
    }

    /// The SentencePiece model that cuts words, if one does.
    pub(crate) fn model(&self) -> Option<&SentencePiece> {
        match &self.subwords {
            Cut::SentencePiece(cutter) => Some(&cutter.model),
            Cut::WordPiece | Cut::Characters => None,
        }
    }

    pub(crate) fn splitter(&self) -> WordSplitter<'_> {
        self.mecab.as_ref().map_or(WordSplitter::Basic, WordSplitter::mecab)
    }

    /// Normalises a text before it is split into words.
    fn normalise<'t>(&self, text: &'t str) -> Aligned<'t> {
        let text = Aligned::new(text);
        match self.settings.words {
            WordSettings::Mecab { normalise: true, .. } | WordSettings::Split { normalise: true } => {
                text.nfkc()
            }
            WordSettings::Mecab { normalise: false, .. } | WordSettings::Split { normalise: false } => text,
            WordSettings::Basic => text.characters(clean).nfc(),
        }
    }

    /// Lower-cases a word, if the settings ask for that, before it is cut into pieces.
    fn spell<'w>(&self, word: &'w str) -> Aligned<'w> {
        let spelled = Aligned::new(word);
        match self.settings.words {
            _ if !self.settings.lower_case || self.never_split.contains(word) => spelled,
            WordSettings::Mecab { .. } | WordSettings::Split { .. } => spelled.lower_case(),
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
        let mut pieces = Vec::new();
        let parts = (&self.vocabulary, &self.set_apart, &self.template);
        Builder::encode(parts, (first, second), max_length, |builder, text| {
            let start = builder.original_start();
            let mut working = Working { builder, pieces: &mut pieces };
            for part in self.set_apart.split(text) {
                match part {
                    Part::Token { at, token, id } => working.builder.push_token(start + at, token, id),
                    Part::Text { at, text } => self.push_text(&mut working, splitter, start + at, text),
                }
            }
        })
    }

    /// Adds the text between such tokens, which starts at the original's character `at`.
    fn push_text(
        &self,
        working: &mut Working<'_, '_>,
        splitter: &mut WordSplitter<'_>,
        at: usize,
        text: &str,
    ) {
        let text = self.normalise(text);
        // When there is no more room, the rest of the text is still added, but not split into words.
        if !working.builder.is_full() {
            splitter.split(text.text(), |run, range| {
                self.push_run(working, run, range.start, at, &text);
                !working.builder.is_full()
            });
        }
        working.builder.push_text(text.text());
    }

    /// Adds the pieces of a run of characters. The run starts at character `start` of `text`, which starts at the original's
    /// character `at`.
    fn push_run(
        &self,
        working: &mut Working<'_, '_>,
        run: &str,
        start: usize,
        at: usize,
        text: &Aligned<'_>,
    ) {
        let spelled = self.spell(run);
        let mut push = |word: &str, within: usize| {
            let Working { builder, pieces } = &mut *working;
            pieces.clear();
            self.cut(word, pieces);
            let before = builder.characters();
            for piece in pieces.iter() {
                let range = spelled.origin(within + piece.start..within + piece.end);
                let range = start + range.start..start + range.end;
                let original = text.origin(range.clone());
                let range = before + range.start..before + range.end;
                let original = at + original.start..at + original.end;
                builder.push(piece.id, Some(builder.word()), range, original);
            }
            if !pieces.is_empty() {
                builder.end_word();
            }
        };
        if self.splits_on_punctuation(spelled.text()) {
            split_on_punctuation(spelled.text()).for_each(|(word, range)| push(word, range.start));
        } else {
            push(spelled.text(), 0);
        }
    }

    /// Appends the pieces of a word to `pieces`. Their characters are the word's.
    fn cut(&self, word: &str, pieces: &mut Vec<Piece>) {
        match &self.subwords {
            Cut::WordPiece => word_pieces(word, &self.vocabulary, self.unknown, pieces),
            Cut::Characters => characters(word, &self.vocabulary, self.unknown, pieces),
            Cut::SentencePiece(cutter) => cutter.cut(word, pieces),
        }
    }
}

//! SentencePiece's normalisation (`normalizer.cc`): the characters' map, and spaces as `▁`.

use std::ops::Range;

use super::charsmap::Charsmap;
use super::pieces::Pieces;
use crate::aligned::Aligned;

/// What stands for a space in pieces: U+2581.
pub(crate) const SPACE: char = '▁';

/// How a model's texts are normalised.
#[derive(Debug)]
pub(crate) struct Normaliser {
    pub(super) charsmap: Charsmap,
    /// Whether a text starts with a space that it does not have, so that its first word is spelled as the others are.
    pub(crate) add_dummy_prefix: bool,
    /// Whether spaces at both ends and repeated spaces are dropped.
    pub(crate) remove_extra_spaces: bool,
    /// Whether spaces become `▁`.
    pub(crate) escape_spaces: bool,
}

impl Normaliser {
    /// Normalises a text. User-defined pieces stay as they are.
    pub(super) fn normalise<'t>(&self, text: Aligned<'t>, pieces: &Pieces) -> Aligned<'t> {
        let normalised = self.characters(text.text(), pieces);
        text.replaced(normalised)
    }

    /// The characters of the normalised text, each with the characters of `text` that it comes from.
    fn characters(&self, text: &str, pieces: &Pieces) -> Vec<(char, Range<usize>)> {
        let mut normalised = Vec::with_capacity(text.len() / 2);
        let (mut rest, mut at) = (text, 0);
        if self.remove_extra_spaces {
            while let Some((replacement, length, characters)) = self.next(rest, pieces)
                && replacement == " "
            {
                rest = rest.get(length..).unwrap_or_default();
                at += characters;
            }
        }
        if rest.is_empty() {
            return normalised;
        }
        let space = if self.escape_spaces { SPACE } else { ' ' };
        if self.add_dummy_prefix {
            // It comes from nowhere. As in the `tokenizers` library, it is assigned the first character.
            normalised.push((space, at..at + 1));
        }
        let mut follows_space = self.remove_extra_spaces;
        while let Some((replacement, length, characters)) = self.next(rest, pieces) {
            let kept = if follows_space { replacement.trim_start_matches(' ') } else { replacement };
            let spelled = kept.chars().map(|character| if character == ' ' { space } else { character });
            normalised.extend(spelled.map(|character| (character, at..at + characters)));
            if !kept.is_empty() {
                follows_space = self.remove_extra_spaces && kept.ends_with(' ');
            }
            rest = rest.get(length..).unwrap_or_default();
            at += characters;
        }
        if self.remove_extra_spaces {
            while normalised.last().is_some_and(|&(character, _)| character == space) {
                normalised.pop();
            }
        }
        normalised
    }

    /// What the text starts with: its replacement, and its length in bytes and characters.
    fn next<'a>(&'a self, text: &'a str, pieces: &Pieces) -> Option<(&'a str, usize, usize)> {
        let first = text.chars().next()?;
        if let Some(whole) = pieces.user_defined_prefix(text).and_then(|length| text.get(..length)) {
            return Some((whole, whole.len(), whole.chars().count()));
        }
        if let Some((length, replacement)) = self.charsmap.longest(text) {
            let characters = text.get(..length).map_or(0, |source| source.chars().count());
            return Some((replacement, length, characters));
        }
        text.get(..first.len_utf8()).map(|whole| (whole, whole.len(), 1))
    }
}

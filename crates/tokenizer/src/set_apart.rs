//! Special and added tokens, which are searched for in the raw text before anything else is done to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::settings::AddedToken;
use crate::wordpiece::is_python_space;

/// The tokens that are searched for, longest first.
#[derive(Debug, Default)]
pub(crate) struct SetApart {
    tokens: Vec<(AddedToken, u32)>,
    /// The ids of special tokens, which belong to no word.
    special: BTreeSet<u32>,
}

/// A part of a text; `at` is its first character.
pub(crate) enum Part<'t> {
    Token { at: usize, token: &'t str, id: u32 },
    Text { at: usize, text: &'t str },
}

impl SetApart {
    /// The tokens with their ids. Of two tokens with the same spelling, the first counts. Those in `special` are special
    /// beside those that say so themselves.
    pub(crate) fn new(
        tokens: impl IntoIterator<Item = (AddedToken, u32)>,
        special: impl IntoIterator<Item = u32>,
    ) -> Self {
        let mut by_content = BTreeMap::new();
        let mut special: BTreeSet<u32> = special.into_iter().collect();
        for (token, id) in tokens {
            if token.special {
                special.insert(id);
            }
            if !token.content.is_empty() {
                by_content.entry(token.content.clone()).or_insert((token, id));
            }
        }
        let mut tokens: Vec<_> = by_content.into_values().collect();
        tokens.sort_by_key(|(token, _)| std::cmp::Reverse(token.content.len()));
        Self { tokens, special }
    }

    /// Whether the token with this id belongs to no word.
    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.special.contains(&id)
    }

    /// All tokens with their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(AddedToken, u32)> {
        self.tokens.iter()
    }

    /// Splits a text into such tokens and the text between them.
    pub(crate) fn split<'t>(&self, text: &'t str) -> Vec<Part<'t>> {
        let mut parts = Vec::new();
        let mut rest = text;
        // Number of characters before `rest`.
        let mut start = 0;
        let mut strip_left = false;
        loop {
            let next = rest.char_indices().find_map(|(at, _)| {
                let token = self.tokens.iter().find(|(token, _)| rest[at..].starts_with(&token.content));
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

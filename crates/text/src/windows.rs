//! Windows: the overlapping parts in which a model reads a text that is longer than its longest input.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::Encoding;

/// How long texts are cut into windows: as the `tokenizers` library does with `return_overflowing_tokens`, `max_length` and
/// `stride`, and for pairs with `truncation="only_second"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windowing {
    /// Longest window in tokens, special tokens included.
    pub max_length: usize,
    /// Tokens that a window repeats from the end of the window before it; special tokens and the title of a pair, which
    /// every window has, are not counted.
    pub stride: usize,
}

/// One window: places of its tokens in the [`Encoding`] of the whole text.
///
/// Every window has the text's special tokens around its own part. The windows of a pair also have the whole first text,
/// and differ in their part of the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextWindow {
    /// The tokens from the first one on that every window has: `0..before`.
    before: usize,
    /// This window's own part.
    part: Range<usize>,
    /// The tokens up to the last one that every window has.
    after: Range<usize>,
}

impl Windowing {
    /// The windows of `text`, in their order; together they have all its tokens. A text of at most `max_length` tokens is
    /// one window.
    ///
    /// A pair whose first text is long may leave its windows no more room than `stride` tokens. They share the half of
    /// their room then.
    pub fn windows(self, text: &Encoding) -> Vec<TextWindow> {
        let length = text.len();
        if length <= self.max_length {
            return vec![TextWindow::whole(length)];
        }
        let Range { start, end } = divisible(text);
        let common = length - (end - start);
        let room = self.max_length.saturating_sub(common).max(1);
        let shared = if self.stride < room { self.stride } else { room / 2 };
        let mut windows = Vec::new();
        let mut from = start;
        loop {
            let to = (from + room).min(end);
            windows.push(TextWindow { before: start, part: from..to, after: end..length });
            if to == end {
                return windows;
            }
            from += room - shared;
        }
    }
}

/// The tokens that are divided among windows: the last run of tokens of one token type that the tokenizer did not add.
/// That is a single text without the special tokens around it, and the second text of a pair.
fn divisible(text: &Encoding) -> Range<usize> {
    let is_added = |at: usize| {
        text.word_ids.get(at).is_none_or(Option::is_none) && text.offsets.get(at).is_none_or(|&o| o == (0, 0))
    };
    let end = (0..text.len()).rev().find(|&at| !is_added(at)).map_or(text.len(), |last| last + 1);
    let kind = |at: usize| text.token_type_ids.get(at);
    let belongs = |at: &usize| !is_added(*at) && kind(*at) == kind(end - 1);
    let start = (0..end).rev().take_while(belongs).last().unwrap_or(end);
    start..end
}

impl TextWindow {
    /// The windows of `text`; without `windowing` it is one.
    pub fn all(text: &Encoding, windowing: Option<Windowing>) -> Vec<Self> {
        windowing.map_or_else(|| vec![Self::whole(text.len())], |windowing| windowing.windows(text))
    }

    /// The only window of a text of `length` tokens.
    pub fn whole(length: usize) -> Self {
        Self { before: 0, part: 0..length, after: length..length }
    }

    /// Number of tokens, special tokens included.
    pub fn len(&self) -> usize {
        self.before + self.part.len() + self.after.len()
    }

    /// Whether there are no tokens at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of tokens of the whole text.
    pub fn text_len(&self) -> usize {
        self.after.end
    }

    /// The places of its tokens in the text, in ascending order.
    pub fn places(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.before).chain(self.part.clone()).chain(self.after.clone())
    }

    /// The items of its tokens; `items` has one for each token of the text.
    pub fn select<'a, T: Clone>(&self, items: &'a [T]) -> Cow<'a, [T]> {
        if self.len() == items.len() {
            return Cow::Borrowed(items);
        }
        Cow::Owned(self.places().filter_map(|at| items.get(at).cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[CLS]`, so many tokens of the first text, `[SEP]`, and if there are any, tokens of the second text and `[SEP]`.
    fn text(first: u32, second: u32) -> Encoding {
        let mut encoding = Encoding::default();
        let mut push = |id: i32, kind: i32, word: Option<i32>, offset: (u32, u32)| {
            encoding.input_ids.push(id);
            encoding.token_type_ids.push(kind);
            encoding.word_ids.push(word);
            encoding.offsets.push(offset);
        };
        push(2, 0, None, (0, 0));
        (0..first).for_each(|at| push(10 + at as i32, 0, Some(at as i32), (at, at + 1)));
        push(3, 0, None, (0, 0));
        (0..second).for_each(|at| push(50 + at as i32, 1, Some(at as i32), (first + at, first + at + 1)));
        if second > 0 {
            push(3, 1, None, (0, 0));
        }
        encoding
    }

    fn ids(text: &Encoding, max_length: usize, stride: usize) -> Vec<Vec<i32>> {
        let windows = Windowing { max_length, stride }.windows(text);
        windows.iter().map(|window| window.select(&text.input_ids).into_owned()).collect()
    }

    #[test]
    fn a_text_that_fits_is_one_window() {
        for length in [0, 1, 5] {
            let text = text(length, 0);
            assert_eq!(ids(&text, 7, 2), std::slice::from_ref(&text.input_ids));
        }
        let untokenised = Encoding { input_ids: vec![1, 2], ..Encoding::default() };
        assert_eq!(ids(&untokenised, 7, 2), [[1, 2]]);
    }

    #[test]
    fn consecutive_windows_share_stride_tokens_and_the_last_one_ends_the_text() {
        let six = text(6, 0);
        assert_eq!(ids(&six, 6, 0), [vec![2, 10, 11, 12, 13, 3], vec![2, 14, 15, 3]]);
        assert_eq!(ids(&six, 6, 1), [vec![2, 10, 11, 12, 13, 3], vec![2, 13, 14, 15, 3]]);
        let expected = [[2, 10, 11, 12, 13, 3], [2, 11, 12, 13, 14, 3], [2, 12, 13, 14, 15, 3]];
        assert_eq!(ids(&six, 6, 3), expected);
        // The second window ends with the text, so there is no third one with only shared tokens.
        assert_eq!(ids(&text(7, 0), 6, 1), [vec![2, 10, 11, 12, 13, 3], vec![2, 13, 14, 15, 16, 3]]);
    }

    #[test]
    fn windows_of_a_pair_have_the_whole_first_text() {
        let expected = [vec![2, 10, 11, 3, 50, 51, 52, 3], vec![2, 10, 11, 3, 52, 53, 3]];
        assert_eq!(ids(&text(2, 4), 8, 1), expected);
        // Room for two tokens of the second text, of which at most one can be shared.
        let expected =
            [[2, 10, 11, 12, 3, 50, 51, 3], [2, 10, 11, 12, 3, 51, 52, 3], [2, 10, 11, 12, 3, 52, 53, 3]];
        assert_eq!(ids(&text(3, 4), 8, 3), expected);
    }

    #[test]
    fn a_special_token_that_the_author_wrote_is_part_of_the_text() {
        let mut text = text(6, 0);
        // The text begins with `[SEP]` as five characters.
        (text.input_ids[1], text.word_ids[1], text.offsets[1]) = (3, None, (0, 5));
        assert_eq!(ids(&text, 6, 0), [vec![2, 3, 11, 12, 13, 3], vec![2, 14, 15, 3]]);
    }

    #[test]
    fn windows_cover_every_token() {
        for (first, second, max_length, stride) in [(90, 0, 16, 0), (90, 0, 16, 13), (9, 80, 16, 2)] {
            let text = text(first, second);
            let windows = Windowing { max_length, stride }.windows(&text);
            let mut seen: Vec<usize> = windows.iter().flat_map(TextWindow::places).collect();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen, (0..text.len()).collect::<Vec<_>>());
            assert!(windows.iter().all(|window| window.len() <= max_length && !window.is_empty()));
        }
    }
}

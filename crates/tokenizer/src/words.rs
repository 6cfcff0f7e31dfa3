//! Text to words: by MeCab's algorithm (in Vibrato) or at white space.

use std::ops::Range;

use vibrato::tokenizer::worker::Worker;

use crate::basic::split_on_white_space;

/// Vibrato adds costs in 32 bits. A word and a connection cost at most 2¹⁵ each, so this many characters cannot overflow.
/// A longer text is split part by part. (MeCab fails if the sum overflows.)
const LONGEST_PART: usize = (1 << 15) - 1;
/// The last words of a part are found again in the next part, because the path near the end depends on what follows.
const OVERLAP: usize = 16;

/// Splits text into words and reuses its memory. Each thread needs its own.
pub(crate) enum WordSplitter<'t> {
    /// MeCab's words.
    Mecab(Box<Worker<'t>>),
    /// Words at white space.
    Basic,
}

impl<'t> WordSplitter<'t> {
    /// A splitter that finds MeCab's words.
    pub(crate) fn mecab(words: &'t vibrato::Tokenizer) -> Self {
        Self::Mecab(Box::new(words.new_worker()))
    }

    /// Calls `found` with every word and its range in characters, until it returns false.
    pub(crate) fn split(&mut self, text: &str, found: impl FnMut(&str, Range<usize>) -> bool) {
        match self {
            Self::Mecab(worker) => split_by_mecab(worker, text, found),
            Self::Basic => split_on_white_space(text, found),
        }
    }
}

/// Text after a NUL is ignored, because transformers passes MeCab a C string, which ends there.
fn split_by_mecab(worker: &mut Worker<'_>, text: &str, mut found: impl FnMut(&str, Range<usize>) -> bool) {
    let mut rest = text.split('\0').next().unwrap_or_default();
    let mut start = 0;
    loop {
        let cut = rest.char_indices().nth(LONGEST_PART).map(|(at, _)| at);
        worker.reset_sentence(cut.map_or(rest, |at| &rest[..at]));
        worker.tokenize();
        let count = worker.num_tokens();
        // A part of white space has no words. The last part keeps all of its words.
        let sure = if cut.is_some() { count.saturating_sub(OVERLAP).max(count.min(1)) } else { count };
        let (mut bytes, mut characters) = (0, 0);
        for index in 0..sure {
            let word = worker.token(index);
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

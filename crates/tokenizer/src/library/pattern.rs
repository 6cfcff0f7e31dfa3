//! Patterns of a `tokenizer.json`, under bounds.
//!
//! The library runs patterns with fancy-regex. What needs no look-around is matched in linear time; the rest is tried by going
//! back. The library cannot be told how often, and where fancy-regex gives up, it takes the rest of the text for one word
//! without a message. Here giving up is an error, and the time for a text is bounded too: even with a linear engine the search
//! for all matches can take time with the square of the length.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use fancy_regex::{Regex, RegexBuilder, escape};
use tokenizers::tokenizer::pattern::Pattern;
use tokenizers::{Offsets, Result as LibraryResult};

use super::bounds;

/// Time that every text has.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time that each byte of a text has besides. A pattern takes a hundredth of it.
const PER_BYTE: Duration = Duration::from_micros(10);

/// The longest time that counts between two looks at the clock: a process that is stopped for a while has not worked.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// How many matches are found between two looks at the clock.
const MATCHES: usize = 8;

/// A pattern that stops with an error where it would take too long.
#[derive(Debug)]
pub(super) struct BoundedPattern {
    written: String,
    /// The pattern with each of [`bounds::BACKTRACKS`]. The first is always there, the others once a text needs them.
    by_length: [OnceLock<Regex>; bounds::BACKTRACKS.len()],
}

impl BoundedPattern {
    /// The pattern `written`.
    ///
    /// # Errors
    /// Why it is none, or too large.
    pub(super) fn new(written: &str) -> Result<Self, String> {
        if written.len() > bounds::PATTERN {
            return Err(format!("a pattern of {} bytes; {} at most", written.len(), bounds::PATTERN));
        }
        let pattern = Self { written: written.to_owned(), by_length: Default::default() };
        pattern.for_length(0).map_err(|error| error.to_string())?;
        Ok(pattern)
    }

    /// The pattern of this very text.
    pub(super) fn literal(text: &str) -> Result<Self, String> {
        Self::new(&escape(text))
    }

    /// The pattern as it searches a text of `length` bytes.
    fn for_length(&self, length: usize) -> LibraryResult<&Regex> {
        let mut levels = self.by_length.iter().zip(bounds::BACKTRACKS);
        let (level, (_, backtracks)) =
            levels.find(|(_, (longest, _))| length <= *longest).ok_or("a text without end")?;
        if let Some(regex) = level.get() {
            return Ok(regex);
        }
        let regex = RegexBuilder::new(&self.written)
            .backtrack_limit(backtracks)
            .delegate_size_limit(bounds::AUTOMATON)
            .build()?;
        Ok(level.get_or_init(|| regex))
    }

    /// Start and end of each match in `text`.
    pub(super) fn matches(&self, text: &str) -> LibraryResult<Vec<Offsets>> {
        let regex = self.for_length(text.len())?;
        let mut clock = Clock::of(text.len());
        let mut matches = Vec::new();
        for (number, found) in regex.find_iter(text).enumerate() {
            let found = found.map_err(|error| {
                format!("the pattern {:?} gave up on a text of {} bytes: {error}", self.start(), text.len())
            })?;
            matches.push((found.start(), found.end()));
            if number % MATCHES == 0 && !clock.goes_on() {
                let length = text.len();
                return Err(format!(
                    "the pattern {:?} takes too long on a text of {length} bytes: more than {} seconds",
                    self.start(),
                    clock.patience.as_secs()
                )
                .into());
            }
        }
        Ok(matches)
    }

    /// The first characters of the pattern, for messages.
    fn start(&self) -> String {
        self.written.chars().take(60).collect()
    }
}

impl Pattern for &BoundedPattern {
    fn find_matches(&self, inside: &str) -> LibraryResult<Vec<(Offsets, bool)>> {
        if inside.is_empty() {
            return Ok(vec![((0, 0), false)]);
        }
        let mut parts = Vec::new();
        let mut from = 0;
        for (start, end) in self.matches(inside)? {
            if from != start {
                parts.push(((from, start), false));
            }
            parts.push(((start, end), true));
            from = end;
        }
        if from != inside.len() {
            parts.push(((from, inside.len()), false));
        }
        Ok(parts)
    }
}

/// The time that was spent on a text.
struct Clock {
    patience: Duration,
    spent: Duration,
    last: Instant,
}

impl Clock {
    fn of(length: usize) -> Self {
        let per_byte = PER_BYTE.saturating_mul(u32::try_from(length).unwrap_or(u32::MAX));
        Self { patience: PATIENCE.saturating_add(per_byte), spent: Duration::ZERO, last: Instant::now() }
    }

    /// Whether there is time left.
    fn goes_on(&mut self) -> bool {
        let now = Instant::now();
        self.spent += now.duration_since(self.last).min(LONGEST_STEP);
        self.last = now;
        self.spent <= self.patience
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Patterns of GPT-2, CLIP, Llama 3, Qwen 2, DeepSeek 3, o200k and BLOOM.
    const PUBLISHED: [&str; 7] = [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r" ?[^(\s|[.,!?…。，、।۔،])]+",
    ];

    /// The library's own pattern is the truth, on texts of all lengths that have another bound.
    #[test]
    fn published_patterns_match_as_in_the_library() {
        let text = "It's 東京都  2024年、\n\n「新型」の   I'LL\tbe\u{3000}back!?   ";
        for pattern in PUBLISHED {
            let (ours, library) =
                (BoundedPattern::new(pattern).unwrap(), tokenizers::utils::SysRegex::new(pattern).unwrap());
            // The longest text takes a second, so one pattern with a look-ahead stands for the others.
            let longest = if pattern == PUBLISHED[0] { 20_000 } else { 200 };
            for copies in [1, 100, 2_000, longest] {
                let text = text.repeat(copies);
                let expected = (&library).find_matches(&text).unwrap();
                assert_eq!((&ours).find_matches(&text).unwrap(), expected, "{pattern} {copies}");
            }
            for text in ["", " ", "a", "\n", "。"] {
                let expected = (&library).find_matches(text).unwrap();
                assert_eq!((&ours).find_matches(text).unwrap(), expected, "{pattern} {text:?}");
            }
        }
        assert_eq!(BoundedPattern::literal("a.b").unwrap().matches("a.bxaxb").unwrap(), [(0, 3)]);
    }

    #[test]
    fn a_pattern_that_goes_back_too_often_is_an_error() {
        for (pattern, text) in [
            (r"(a+)+(?!a)b", "a".repeat(64)),
            (r"(?=(a+)+b)a", "a".repeat(64)),
            (r"(?:(?=a).)*(?!.)x", "a".repeat(30_000)),
        ] {
            let start = Instant::now();
            let found = BoundedPattern::new(pattern).unwrap().matches(&text);
            // Some of them are matched in linear time, and then find nothing.
            let message = found.map_or_else(|error| error.to_string(), |found| format!("{}", found.len()));
            assert!(message.contains("gave up on a text of") || message == "0", "{pattern}: {message}");
            assert!(start.elapsed() < Duration::from_secs(30), "{pattern}: {:?}", start.elapsed());
        }
        let found = BoundedPattern::new(r"(?:a|aa)*(?!a)b").unwrap().matches(&"a".repeat(64));
        assert!(found.unwrap_err().to_string().contains("gave up on a text of 64 bytes"));
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        assert!(BoundedPattern::new("(").is_err());
        assert!(BoundedPattern::new(&"a".repeat(bounds::PATTERN + 1)).unwrap_err().contains("32769 bytes"));
        assert!(BoundedPattern::new(r"(?:\p{L}{1000}){1000}").is_err());
        assert!(BoundedPattern::new(&format!("{}a{}", "(".repeat(500), ")".repeat(500))).is_err());
    }

    /// Only time that a process works counts.
    #[test]
    fn a_stop_counts_a_second_at_most() {
        let mut clock = Clock::of(0);
        clock.last = Instant::now().checked_sub(Duration::from_secs(3600)).unwrap();
        assert!(clock.goes_on());
        clock.spent = Duration::from_secs(6);
        assert!(!clock.goes_on());
    }
}

//! Texts of files, standard input and command lines in one form: the same characters are the same text.

use std::borrow::Cow;

/// Editors write it at the start of a file of UTF-8; a file that was joined from several may begin with several.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text without byte order marks at its start, whose lines end with a line feed: `\r\n` and a lone `\r` become `\n`.
pub fn cleaned(text: &str) -> Cow<'_, str> {
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    if text.contains('\r') {
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_is_a_line_feed_and_marks_at_the_start_go() {
        assert_eq!(cleaned("a\r\nb\rc\nd\r"), "a\nb\nc\nd\n");
        assert_eq!(cleaned("a\r\r\nb"), "a\n\nb", "a lone carriage return before a pair");
        assert_eq!(cleaned("\u{feff}\u{feff}a\u{feff}b"), "a\u{feff}b", "inside a text it is a character");
        assert!(matches!(cleaned("a\nb"), Cow::Borrowed("a\nb")));
    }
}

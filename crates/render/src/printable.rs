//! Text as a page can hold it.

/// Control characters have no place in HTML; their pictures (U+2400 to U+2421) do.
pub fn printable(text: &str) -> String {
    let picture = |c: char| match c {
        '\0'..='\u{1F}' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7F}' => '\u{2421}',
        '\u{80}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(picture).collect()
}

/// The same for a text whose line feeds end lines.
pub fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_get_a_picture() {
        assert_eq!(lines("a\n\tb"), "a\n␉b");
        assert_eq!(printable("a\u{1B}[0m\u{7F}\u{85}見\u{202E}"), "a␛[0m␡\u{FFFD}見\u{202E}");
    }
}

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

/// A token as a vocabulary spells it, with the code points of characters that have no shape: what such a
/// one does to its neighbours is no part of it.
pub fn spelled(token: &str) -> String {
    let shown = |c: char| match c {
        c if is_invisible(c) && !c.is_control() => format!("U+{:04X}", c as u32),
        c => printable(c.encode_utf8(&mut [0; 4])),
    };
    token.chars().map(shown).collect()
}

/// White space, controls, and the default-ignorable characters that occur in running text.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_get_a_picture() {
        assert_eq!(lines("a\n\tb"), "a\n␉b");
        assert_eq!(spelled("##\u{202E}左"), "##U+202E左");
        assert_eq!(printable("a\u{1B}[0m\u{7F}\u{85}見\u{202E}"), "a␛[0m␡\u{FFFD}見\u{202E}");
    }
}

//! Text as a page, a picture or a terminal can hold it.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

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

/// Text in which every character has a shape: where nothing isolates it, as in a terminal, it cannot give commands,
/// change the direction of what follows, or hide. Format characters are told by their code points.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match is_shapeless(c) {
            true => shown.push_str(&format!("<U+{:04X}>", c as u32)),
            false => shown.push(c),
        }
    }
    shown
}

/// Controls, format characters (those of direction, zero-width joiners, tags), and ends of lines and paragraphs.
pub fn is_shapeless(c: char) -> bool {
    use GeneralCategory::{Control, Format, LineSeparator, ParagraphSeparator};
    matches!(c.general_category(), Control | Format | LineSeparator | ParagraphSeparator)
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

    #[test]
    fn in_a_terminal_every_character_has_a_shape() {
        assert_eq!(visible("見\u{1B}[31m\n\u{9B}2J"), "見␛[31m␊\u{FFFD}2J");
        assert_eq!(visible("a\u{202E}b\u{2069}"), "a<U+202E>b<U+2069>");
        assert_eq!(visible("👨\u{200D}👩\u{2028}\u{E0041}"), "👨<U+200D>👩<U+2028><U+E0041>");
        assert_eq!(visible("か\u{3099}\u{3000}ﾊﾟ"), "か\u{3099}\u{3000}ﾊﾟ", "marks and spaces stay");
    }
}

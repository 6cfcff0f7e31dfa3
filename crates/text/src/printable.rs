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

/// The same for one line in a table, with the code points of what has no shape, so that nothing hides in it
/// and nothing turns its direction. Joiners and variation selectors of emoji stay: they are part of a shape.
pub fn visible(text: &str) -> String {
    let mut shown = String::new();
    // The last character with a shape.
    let mut shape = None;
    for c in text.chars() {
        let joins = matches!(c, '\u{200D}' | '\u{FE00}'..='\u{FE0F}');
        if !is_invisible(c) {
            shape = Some(c);
            shown.push(c);
        } else if c.is_whitespace() || c.is_control() || joins && shape.is_some_and(|c| !c.is_alphanumeric())
        {
            shown.push(c);
        } else {
            shown += &format!("[U+{:04X}]", c as u32);
        }
    }
    printable(&shown)
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
pub fn shaped(text: &str) -> String {
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
        assert_eq!(shaped("見\u{1B}[31m\n\u{9B}2J"), "見␛[31m␊\u{FFFD}2J");
        assert_eq!(shaped("a\u{202E}b\u{2069}"), "a<U+202E>b<U+2069>");
        assert_eq!(shaped("👨\u{200D}👩\u{2028}\u{E0041}"), "👨<U+200D>👩<U+2028><U+E0041>");
        assert_eq!(shaped("か\u{3099}\u{3000}ﾊﾟ"), "か\u{3099}\u{3000}ﾊﾟ", "marks and spaces stay");
    }

    #[test]
    fn what_turns_or_hides_text_is_shown_by_its_code_point_and_emoji_stay_whole() {
        assert_eq!(
            visible("a\u{202E}b\u{200B}見\u{200D}出\u{3000}し"),
            "a[U+202E]b[U+200B]見[U+200D]出\u{3000}し"
        );
        assert_eq!(visible("👨\u{200D}👩 ❤\u{FE0F}\u{200D}🔥\n"), "👨\u{200D}👩 ❤\u{FE0F}\u{200D}🔥␊");
    }
}

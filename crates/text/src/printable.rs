//! Escaping of text for pages, pictures and terminals.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Replaces control characters, which HTML does not allow, by their pictures (U+2400 to U+2421).
pub fn printable(text: &str) -> String {
    let picture = |c: char| match c {
        '\0'..='\u{1F}' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7F}' => '\u{2421}',
        '\u{80}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(picture).collect()
}

/// As [`printable`], but keeps line feeds.
pub fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A token as the vocabulary spells it, with invisible characters as code points, so that they do not act on their
/// neighbours.
pub fn spelled(token: &str) -> String {
    let shown = |c: char| match c {
        c if is_invisible(c) && !c.is_control() => format!("U+{:04X}", c as u32),
        c => printable(c.encode_utf8(&mut [0; 4])),
    };
    token.chars().map(shown).collect()
}

/// One line of a table, with invisible characters as code points, so that nothing hides in it or changes its direction.
/// Joiners and variation selectors inside emoji stay, because they are part of a visible character.
pub fn visible(text: &str) -> String {
    let mut shown = String::new();
    // The last visible character.
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

/// Whether `c` is white space, a control character, or a default-ignorable character that occurs in running text.
pub fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}')
}

/// Text in which every character is visible, for output that does not isolate it, such as a terminal: it contains no
/// terminal commands and no direction controls. Format characters are shown by their code points.
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

/// As [`shaped`], but keeps line feeds.
pub fn shaped_lines(text: &str) -> String {
    text.split('\n').map(shaped).collect::<Vec<_>>().join("\n")
}

/// Whether `c` is a control character, a format character (direction controls, joiners, tags), or a line or paragraph
/// separator.
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
        assert_eq!(shaped_lines("見\u{1B}[31m\n\ta\n"), "見␛[31m\n␉a\n", "the lines of a table stay");
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

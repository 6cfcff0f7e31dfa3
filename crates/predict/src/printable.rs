//! Tables on a terminal: no text commands it.

use midashi_table::Format;
use midashi_text::{is_shapeless, shaped};

/// How invisible characters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As JSON does, which is the same text.
    Json,
    /// By their code points, as `<U+202E>`.
    CodePoint,
}

impl Escaping {
    /// For a table of text.
    pub fn of(format: Format) -> Self {
        if format == Format::JsonLines { Self::Json } else { Self::CodePoint }
    }

    /// Lines without invisible characters, except for line feeds and tabs.
    pub fn escape(self, lines: &[u8]) -> String {
        let mut escaped = String::with_capacity(lines.len());
        for c in String::from_utf8_lossy(lines).chars() {
            match self {
                _ if matches!(c, '\n' | '\t') || !is_shapeless(c) => escaped.push(c),
                Self::CodePoint => escaped.push_str(&shaped(c.encode_utf8(&mut [0; 4]))),
                Self::Json => {
                    let units = c
                        .encode_utf16(&mut [0; 2])
                        .iter()
                        .map(|unit| format!("\\u{unit:04x}"))
                        .collect::<String>();
                    escaped.push_str(&units);
                }
            }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::HOSTILE;

    #[test]
    fn a_table_on_a_terminal_is_safe_and_json_stays_the_same_text() {
        for escaping in [Escaping::Json, Escaping::CodePoint] {
            let escaped = escaping.escape(format!("a\t{HOSTILE}\n").as_bytes());
            assert!(escaped.starts_with("a\t<script>") && escaped.ends_with('\n'));
            assert!(!escaped.chars().any(|c| !matches!(c, '\n' | '\t') && is_shapeless(c)), "{escaped}");
        }
        // As serde_json writes it, with only the characters below U+0020 escaped.
        let line = serde_json::to_string(HOSTILE).unwrap();
        let escaped = Escaping::Json.escape(line.as_bytes());
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), HOSTILE);
    }
}

//! What a trimmed vocabulary must keep besides the pieces of the kept scripts.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;

use super::scripts::{is_kept, is_kept_letter};

/// What a trimmed vocabulary must keep besides special tokens and the pieces of the kept scripts.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Ids that are kept whatever they spell: those of the corpus, and those that the model's configuration names.
    pub ids: BTreeSet<u32>,
    /// Characters that count as kept scripts too.
    characters: BTreeSet<char>,
}

impl Wanted {
    /// Keeps all pieces that can occur in the text, whatever its scripts.
    pub fn add_text(&mut self, text: &str) {
        let lower: String = text.chars().flat_map(char::to_lowercase).collect();
        for text in [text, &lower] {
            self.characters.extend(text.chars().chain(text.nfkc()).chain(text.nfkd()));
        }
    }

    /// Whether a piece of these characters is kept: all of them are of kept scripts, or it is a single letter beside the mark
    /// of a word's start or inside.
    pub(super) fn keeps(&self, piece: &str) -> bool {
        let is_known = |character: char| is_kept(character) || self.characters.contains(&character);
        let mut letters = piece.trim_start_matches(['▁', ' ']).trim_start_matches("##").chars();
        piece.chars().all(is_known) || letters.next().is_some_and(is_kept_letter) && letters.next().is_none()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_kept_scripts_and_single_letters_of_others_are_kept() {
        let wanted = Wanted::default();
        for piece in [
            "▁", "▁the", "##ing", "東京", "カﾞ", "。", "▁「", "★", "<0xE3>", "[MASK]", "α", "▁é", "##ж", "𠮷",
            "🎌",
        ] {
            assert!(wanted.keeps(piece), "{piece}");
        }
        for piece in ["▁été", "αβ", "привет", "한국", "สวัสดี", "ส", "العربية", "東한"]
        {
            assert!(!wanted.keeps(piece), "{piece}");
        }
    }

    #[test]
    fn all_pieces_of_an_added_text_are_kept_whatever_its_normal_form() {
        let mut wanted = Wanted::default();
        wanted.add_text("ÉTÉ ㎛");
        for piece in ["ÉTÉ", "été", "▁tét", "e\u{301}", "μm"] {
            assert!(wanted.keeps(piece), "{piece}");
        }
        assert!(!wanted.keeps("été à"));
    }
}

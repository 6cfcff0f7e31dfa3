//! Joins the pieces of a tokenizer without Japanese words, such as SentencePiece, to words by their characters.
//!
//! Japanese changes its characters between most words: loanwords are katakana, names and numbers Latin, and the stems
//! of native words kanji. A dictionary would find more, but a report is made from artifacts alone.

/// The kinds of characters that words consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kanji,
    Katakana,
    /// Letters and numbers of other scripts.
    Alphanumeric,
    /// Hiragana, white space, marks: no sign of a common word.
    Other,
}

impl Kind {
    fn of(character: char) -> Self {
        match character {
            '々'
            | '〆'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{323AF}' => Self::Kanji,
            // Without the middle dot, which separates words. With half-width letters and the sound marks.
            '\u{30A1}'..='\u{30FA}'
            | 'ー'
            | 'ヽ'
            | 'ヾ'
            | '\u{31F0}'..='\u{31FF}'
            | '\u{FF66}'..='\u{FF9F}' => Self::Katakana,
            '\u{3041}'..='\u{309F}' => Self::Other,
            other if other.is_alphanumeric() => Self::Alphanumeric,
            _ => Self::Other,
        }
    }
}

/// Whether `piece` continues `word`, which it follows without a gap.
///
/// Katakana continues katakana, and letters and numbers continue each other. A single kanji is a part of a word, so
/// it joins its neighbour; two longer pieces of kanji are two words (選手 and 権, but 日本 and 代表). Hiragana is not
/// joined: most of it is particles.
pub fn belong_together(word: &str, piece: &str) -> bool {
    let (Some(end), Some(start)) = (word.chars().next_back(), piece.chars().next()) else { return false };
    let is_one = |text: &str| text.chars().count() == 1;
    match (Kind::of(end), Kind::of(start)) {
        (Kind::Kanji, Kind::Kanji) => is_one(word) || is_one(piece),
        (Kind::Katakana, Kind::Katakana) | (Kind::Alphanumeric, Kind::Alphanumeric) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_script_are_one_word() {
        for (word, piece) in
            [("スマ", "ートフォン"), ("iPhone", "4"), ("4", "S"), ("独", "女"), ("選手", "権"), ("人", "々")]
        {
            assert!(belong_together(word, piece), "{word}{piece}");
        }
        for (word, piece) in [
            ("日本", "代表"),
            ("選手権", "大会"),
            ("女", "は"),
            ("に", "は"),
            ("スマホ", "で"),
            ("ハリー", "・"),
            ("・", "ポッター"),
            ("映画", "スター"),
            ("2012", "年"),
            ("Android", " 4"),
            ("", "女"),
        ] {
            assert!(!belong_together(word, piece), "{word} {piece}");
        }
    }
}

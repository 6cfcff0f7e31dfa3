//! The characters of the kept scripts: what Japanese texts are written with, once they are normalised.

use std::ops::RangeInclusive;

/// Blocks of Unicode whose characters are kept in pieces of any length.
const KEPT: [RangeInclusive<char>; 24] = [
    // ASCII, and the punctuation and symbols of Latin-1.
    '\0'..='\u{7f}',
    '\u{a0}'..='\u{bf}',
    '×'..='×',
    '÷'..='÷',
    // From General Punctuation to Dingbats: punctuation, currencies, arrows, operators, enclosed numbers, shapes, and
    // U+2581, which stands for a space in pieces.
    '\u{2000}'..='\u{27bf}',
    // White parentheses, which NFKC makes of the full-width ones.
    '\u{2985}'..='\u{2986}',
    // Radicals and the descriptions of ideographs.
    '\u{2e80}'..='\u{2fff}',
    // CJK punctuation, hiragana, katakana.
    '\u{3000}'..='\u{30ff}',
    // Kanbun; strokes and small katakana; enclosed and squared characters.
    '\u{3190}'..='\u{319f}',
    '\u{31c0}'..='\u{33ff}',
    // Ideographs with extension A, and their compatibility forms.
    '\u{3400}'..='\u{4dbf}',
    '\u{4e00}'..='\u{9fff}',
    '\u{f900}'..='\u{faff}',
    // Selectors of variants, such as those of kanji and emoji; vertical and small punctuation.
    '\u{fe00}'..='\u{fe1f}',
    '\u{fe30}'..='\u{fe6f}',
    // Full-width ASCII and half-width katakana; full-width symbols. Half-width Hangul is between them.
    '\u{ff00}'..='\u{ff9f}',
    '\u{ffe0}'..='\u{ffef}',
    // Historic kana.
    '\u{1b000}'..='\u{1b16f}',
    // Enclosed letters and ideographs, and emoji, which began in Japan.
    '\u{1f000}'..='\u{1f2ff}',
    '\u{1f300}'..='\u{1f64f}',
    '\u{1f680}'..='\u{1f6ff}',
    '\u{1f900}'..='\u{1faff}',
    // Further ideographs, and the selectors of their variants.
    '\u{20000}'..='\u{3ffff}',
    '\u{e0100}'..='\u{e01ef}',
];

/// Blocks of letters of which only single ones are kept: JIS X 0208 and JIS X 0213 have them, and Japanese texts use them
/// alone (`α`, `Д`) or in names (`é`). Their words are those of other languages.
const LETTERS: [RangeInclusive<char>; 2] = [
    // Latin with marks, the combining marks, Greek.
    '\u{c0}'..='\u{3ff}',
    // Cyrillic.
    '\u{400}'..='\u{4ff}',
];

/// Whether pieces of such characters are kept.
pub(super) fn is_kept(character: char) -> bool {
    KEPT.iter().any(|block| block.contains(&character))
}

/// Whether a piece of this letter alone is kept.
pub(super) fn is_kept_letter(character: char) -> bool {
    LETTERS.iter().any(|block| block.contains(&character))
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    /// The guarantee is about normalised texts. This says for which written characters it holds.
    #[test]
    fn normalising_japanese_leads_to_kept_characters() {
        let blocks = ['!'..='~', '、'..='〿', 'ぁ'..='ヿ', '一'..='\u{9fff}', '\u{ff01}'..='\u{ff9f}'];
        for character in blocks.into_iter().flatten().chain("①㈱㍿㌔℃№…‥～－☆♪〒★〜―".chars())
        {
            let lower = character.to_lowercase();
            let forms = character.nfkc().chain(character.nfkd()).chain(lower);
            for form in forms {
                assert!(is_kept(form), "{character} {form:?}");
            }
        }
    }
}

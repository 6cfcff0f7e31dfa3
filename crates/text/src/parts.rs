//! A text cut into words and pieces with their weights, ready to be coloured.

use std::ops::Range;

use serde::Serialize;

use crate::{Encoding, is_invisible};

/// A token's offsets do not fit its text.
#[derive(Debug, thiserror::Error)]
#[error(
    "token {position} {token:?} has the characters {start} to {end}; expected a range in a text of {length}"
)]
pub struct Error {
    /// Position of the token in the encoding, from 0.
    pub position: usize,
    /// The token as the vocabulary spells it.
    pub token: String,
    /// Its first character.
    pub start: usize,
    /// The character after its last.
    pub end: usize,
    /// Characters in the original text.
    pub length: usize,
}

/// A stretch of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Characters without a token: spaces, or the truncated end of the text.
    Uncoloured(String),
    /// The pieces of one word; at least one.
    Word(Vec<Piece>),
    /// The number of characters at the end of a long text that the model did not read.
    Unread(usize),
}

/// A longer unread end of a text is counted and not kept: a body may have pages.
const LONGEST_UNREAD: usize = 40;

/// The characters of one token, or of several tokens with the same source: `㍿` is normalised to `株式会社`, which
/// may be four tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Piece {
    /// As the author wrote it; empty for a token without a source in the text.
    pub text: String,
    /// Shown instead of a `text` that is invisible.
    pub stand_in: Option<String>,
    /// The tokens as the vocabulary spells them; at least one.
    pub tokens: Vec<String>,
    /// Sum of the tokens' weights; negative only for methods with a sign.
    pub weight: f64,
    /// Share of the absolute weights of all the text's tokens, special tokens included.
    pub share: f64,
    /// `weight` relative to the strongest piece of this text, in [-1, 1].
    pub strength: f64,
}

/// A token such as `[CLS]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpecialToken {
    /// As the vocabulary spells it.
    pub token: String,
    /// Share of the absolute weights of all the text's tokens.
    pub share: f64,
}

/// The special tokens of a text, with their shares of `weights`, which has one item per token.
pub fn special_tokens(encoding: &Encoding, weights: &[f64]) -> Vec<SpecialToken> {
    let total = magnitude(weights);
    let places = (0..weights.len()).filter(|&at| encoding.word_ids[at].is_none());
    let token =
        |at: usize| SpecialToken { token: encoding.tokens[at].clone(), share: relative(weights[at], total) };
    places.map(token).collect()
}

fn magnitude(weights: &[f64]) -> f64 {
    weights.iter().map(|weight| weight.abs()).sum()
}

fn relative(weight: f64, whole: f64) -> f64 {
    if whole > 0.0 { weight / whole } else { 0.0 }
}

/// Tokens whose sources overlap, so that they can only be coloured as one.
struct Span {
    /// In characters of the original text.
    range: Range<usize>,
    /// Positions in the encoding; at least one.
    tokens: Vec<usize>,
}

/// The original text from its first character to its last, cut at words and tokens. `weights` has one item per token.
///
/// # Errors
/// When a token's offsets lie outside the text.
pub fn parts(encoding: &Encoding, weights: &[f64]) -> Result<Vec<Part>, Error> {
    let original: Vec<char> = encoding.original.chars().collect();
    let text = |range: Range<usize>| original[range].iter().collect::<String>();
    let spans = spans(encoding, original.len())?;
    let total = magnitude(weights);
    let weight = |span: &Span| span.tokens.iter().map(|&at| weights[at]).sum::<f64>();
    let strongest = spans.iter().map(|span| weight(span).abs()).fold(0.0, f64::max);

    let mut parts = Vec::new();
    let mut end = 0;
    let mut word_before = None;
    for span in spans {
        if end < span.range.start {
            parts.push(Part::Uncoloured(text(end..span.range.start)));
        }
        end = span.range.end;
        let tokens: Vec<_> = span.tokens.iter().map(|&at| encoding.tokens[at].clone()).collect();
        let weight = weight(&span);
        let text = text(span.range);
        let piece = Piece {
            stand_in: stand_in(&text, &tokens),
            text,
            tokens,
            weight,
            share: relative(weight, total),
            strength: relative(weight, strongest),
        };
        let word = |at: Option<&usize>| at.and_then(|&at| encoding.word_ids[at]);
        let continues = word(span.tokens.first()) == word_before;
        match parts.last_mut() {
            Some(Part::Word(pieces)) if continues => pieces.push(piece),
            _ => parts.push(Part::Word(vec![piece])),
        }
        word_before = word(span.tokens.last());
    }
    match original.len() - end {
        0 => {}
        rest if rest > LONGEST_UNREAD => parts.push(Part::Unread(rest)),
        _ => parts.push(Part::Uncoloured(text(end..original.len()))),
    }
    Ok(parts)
}

/// The spans in the order of the text, without overlaps and without special tokens.
///
/// Tokens overlap where normalisation made several characters of one. They also overlap at `▁`: Unigram puts it before
/// a text and assigns it the first character, which belongs to the next token too.
fn spans(encoding: &Encoding, length: usize) -> Result<Vec<Span>, Error> {
    let mut spans: Vec<Span> = Vec::new();
    let tokens = encoding.word_ids.iter().zip(&encoding.original_offsets).enumerate();
    for (at, (_, &(start, end))) in tokens.filter(|(_, (word, _))| word.is_some()) {
        let (start, end) = (start as usize, end as usize);
        if start > end || end > length {
            let token = encoding.tokens[at].clone();
            return Err(Error { position: at, token, start, end, length });
        }
        match spans.last_mut().filter(|span| start < span.range.end) {
            Some(span) => {
                span.range.end = span.range.end.max(end);
                span.tokens.push(at);
            }
            None => spans.push(Span { range: start..end, tokens: vec![at] }),
        }
    }
    Ok(spans)
}

/// Replaces an invisible `text` for display: an empty text by the spelling of its `tokens`, characters without a glyph
/// by their code points, and line feeds by a visible symbol. Other white space shows its colour and needs no replacement.
fn stand_in(text: &str, tokens: &[String]) -> Option<String> {
    let code_points = |text: &str| {
        let codes = text.chars().map(|c| format!("U+{:04X}", c as u32));
        codes.collect::<Vec<_>>().join(" ")
    };
    if text.is_empty() {
        let spelling = tokens.concat();
        let invisible = spelling.chars().all(is_invisible);
        return Some(if invisible { code_points(&spelling) } else { spelling });
    }
    if text.chars().all(|c| c == '\n') {
        return Some(format!("\u{240A}{text}"));
    }
    let blank = text.chars().all(char::is_whitespace);
    (!blank && text.chars().all(is_invisible)).then(|| code_points(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `original` as `[CLS]`, tokens with their word, start and end, `[SEP]`.
    fn of(original: &str, tokens: &[(&str, i32, u32, u32)]) -> Encoding {
        let special = |token: &str| (token.to_owned(), None, (0, 0));
        let in_text =
            tokens.iter().map(|&(token, word, start, end)| (token.into(), Some(word), (start, end)));
        let all: Vec<_> = [special("[CLS]")].into_iter().chain(in_text).chain([special("[SEP]")]).collect();
        Encoding {
            original: original.into(),
            tokens: all.iter().map(|(token, ..)| token.clone()).collect(),
            word_ids: all.iter().map(|&(_, word, _)| word).collect(),
            original_offsets: all.iter().map(|&(.., range)| range).collect(),
            ..Encoding::default()
        }
    }

    /// How the text is cut: a word as `piece·piece`, uncoloured text in brackets.
    fn cut(original: &str, tokens: &[(&str, i32, u32, u32)]) -> Vec<String> {
        let parts = parts(&of(original, tokens), &vec![0.2; tokens.len() + 2]).unwrap();
        let texts = parts.iter().map(|part| match part {
            Part::Uncoloured(text) => vec![text.as_str()],
            Part::Word(pieces) => pieces.iter().map(|piece| piece.text.as_str()).collect(),
            Part::Unread(_) => vec![],
        });
        let texts: Vec<_> = texts.collect();
        let unread: usize =
            parts.iter().map(|part| if let Part::Unread(rest) = part { *rest } else { 0 }).sum();
        let read = original.chars().count() - unread;
        assert_eq!(texts.concat().concat(), original.chars().take(read).collect::<String>());
        let shown = parts.iter().zip(texts).map(|(part, texts)| match part {
            Part::Uncoloured(text) => format!("({text})"),
            Part::Word(_) => texts.join("·"),
            Part::Unread(rest) => format!("…{rest}"),
        });
        shown.collect()
    }

    fn pieces(parts: &[Part]) -> Vec<&Piece> {
        let words = parts.iter().filter_map(|part| match part {
            Part::Word(pieces) => Some(pieces),
            Part::Uncoloured(_) | Part::Unread(_) => None,
        });
        words.flatten().collect()
    }

    #[test]
    fn pieces_of_a_word_stand_together() {
        let shown = cut("モデル 😀", &[("モ", 0, 0, 1), ("##デル", 0, 1, 3), ("[UNK]", 1, 4, 5)]);
        assert_eq!(shown, ["モ·デル", "( )", "😀"]);
    }

    #[test]
    fn tokens_of_the_same_characters_are_one_piece_with_the_sum_of_their_attention() {
        let encoding =
            of("㍿見出し", &[("株", 0, 0, 1), ("##式", 0, 0, 1), ("会社", 1, 0, 1), ("見出し", 2, 1, 4)]);
        let parts = parts(&encoding, &[0.5, 0.125, 0.25, 0.125, 0.25, 0.75]).unwrap();
        let pieces = pieces(&parts);
        assert_eq!(pieces[0].text, "㍿");
        assert_eq!(pieces[0].tokens, ["株", "##式", "会社"]);
        assert_eq!((pieces[0].weight, pieces[0].share, pieces[0].strength), (0.5, 0.25, 1.0));
        assert_eq!((pieces[1].text.as_str(), pieces[1].strength), ("見出し", 0.5));
        assert_eq!(parts.len(), 2, "they are two words");
    }

    #[test]
    fn a_token_that_begins_inside_the_one_before_is_one_piece_with_it() {
        // As the Unigram tokenizer of multilingual-e5-small has it: ▁ claims what モデル covers.
        assert_eq!(cut("モデル😀", &[("▁", 0, 0, 1), ("モデル", 0, 0, 3), ("😀", 0, 3, 4)]), ["モデル·😀"]);
        // ㌘ is グラム: its first character may end one token and its last begin the next.
        assert_eq!(cut("1㌘入", &[("1グ", 0, 0, 2), ("##ラ", 0, 1, 2), ("##ム入", 0, 1, 3)]), ["1㌘入"]);
        assert_eq!(cut("℃夏", &[("°", 0, 0, 1), ("C", 1, 0, 1), ("##夏", 1, 1, 2)]), ["℃·夏"]);
    }

    #[test]
    fn characters_that_normalisation_joins_stay_as_the_author_wrote_them() {
        assert_eq!(cut("ｶﾞｽ", &[("ガ", 0, 0, 2), ("##ス", 0, 2, 3)]), ["ｶﾞ·ｽ"]);
        assert_eq!(cut("か\u{3099}く", &[("が", 0, 0, 2), ("く", 1, 2, 3)]), ["か\u{3099}", "く"]);
    }

    #[test]
    fn text_of_no_token_stays_visible_without_colour() {
        assert_eq!(
            cut("\u{3000}夏\u{3000} 秋、冬 ", &[("夏", 0, 1, 2), ("秋", 1, 4, 5)]),
            ["(\u{3000})", "夏", "(\u{3000} )", "秋", "(、冬 )"],
            "spaces, and what was truncated"
        );
        assert_eq!(
            cut("モ\u{200B}デル", &[("モ", 0, 0, 1), ("##デル", 0, 2, 4)]),
            ["モ", "(\u{200B})", "デル"]
        );
        assert_eq!(cut(" ", &[]), ["( )"]);
        assert!(cut("", &[]).is_empty());
    }

    #[test]
    fn a_long_text_ends_where_the_model_stopped_reading() {
        let tokens = [("見出し", 0, 0, 3), ("本文", 1, 4, 6)];
        let body = |rest: usize| format!("見出し\n本文{}", "の".repeat(rest));
        assert_eq!(cut(&body(41), &tokens), ["見出し", "(\n)", "本文", "…41"]);
        assert_eq!(cut(&body(2), &tokens), ["見出し", "(\n)", "本文", "(のの)"]);
    }

    #[test]
    fn a_range_outside_the_text_is_refused() {
        for (start, end) in [(1, 3), (2, 1), (9, 9)] {
            let error = parts(&of("見出", &[("見", 0, start, end)]), &[0.2; 3]).unwrap_err().to_string();
            assert!(
                error.contains(&format!("token 1 \"見\" has the characters {start} to {end}")),
                "{error}"
            );
        }
    }

    #[test]
    fn only_what_has_no_shape_is_shown_by_another_text() {
        let shown = |text: &str, token: &str| stand_in(text, &[token.to_owned()]);
        assert_eq!(shown("グ", "##グ"), None);
        assert_eq!(shown(" iPhone", "▁iphone"), None);
        assert_eq!(shown("字", "<unk>"), None);
        assert_eq!(shown("\u{3000}", "▁"), None, "white space shows its colour");
        assert_eq!(shown("\n", "▁").as_deref(), Some("␊\n"));
        assert_eq!(shown("", "▁").as_deref(), Some("▁"));
        assert_eq!(shown("", "\u{FEFF}").as_deref(), Some("U+FEFF"));
        assert_eq!(shown("\u{200D}\u{202E}", "[UNK]").as_deref(), Some("U+200D U+202E"));
    }

    #[test]
    fn weights_are_scaled_to_the_strongest_piece_and_shared_among_all_tokens() {
        let encoding = of("モデル😀", &[("モ", 0, 0, 1), ("##デル", 0, 1, 3), ("[UNK]", 1, 3, 4)]);
        let weights = [1.0, 0.25, -0.5, 0.125, 0.125];
        let parts = parts(&encoding, &weights).unwrap();
        let values: Vec<_> =
            pieces(&parts).iter().map(|piece| (piece.weight, piece.share, piece.strength)).collect();
        assert_eq!(values, [(0.25, 0.125, 0.5), (-0.5, -0.25, -1.0), (0.125, 0.0625, 0.25)]);
        let special = special_tokens(&encoding, &weights);
        let special: Vec<_> = special.iter().map(|special| (special.token.as_str(), special.share)).collect();
        assert_eq!(special, [("[CLS]", 0.5), ("[SEP]", 0.0625)]);
    }
}

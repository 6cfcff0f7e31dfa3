//! Texts with weights made by hand, for the formats' tests.
#![allow(clippy::unwrap_used)]

use midashi_artifacts::{CategoryId, PaddingShares};
use midashi_classifier::{Explanation, Prediction};
use midashi_text::Encoding;
use midashi_tokenizer::Encoded;
use ndarray::Array2;

use crate::explained::Explained;
use crate::method::Method;

pub const ATTENTION: Method = Method::Attention { layer: 1, is_last: true, head: None, heads: 4 };
/// Markup, direction controls, a joiner, and terminal commands, two of them as single C1 bytes.
pub const HOSTILE: &str =
    "<script>alert(1)</script>\"'&\u{202E}左\u{2069}👨\u{200D}👩\u{1B}[31m\u{9B}2J\u{7}";

/// `original` as `[CLS]` of weight 0.25, tokens with their word, start, end and weight, and `[SEP]` of weight 0; of
/// three categories, of which the second is the answer.
pub fn explained(original: &str, tokens: &[(&str, i32, u32, u32, f64)]) -> Explained {
    let inner =
        tokens.iter().map(|&(token, word, start, end, weight)| (token, Some(word), (start, end), weight));
    let all: Vec<_> = [("[CLS]", None, (0, 0), 0.25)]
        .into_iter()
        .chain(inner)
        .chain([("[SEP]", None, (0, 0), 0.0)])
        .collect();
    let encoding = Encoding {
        original: original.to_owned(),
        text: original.to_owned(),
        input_ids: vec![0; all.len()],
        token_type_ids: vec![0; all.len()],
        tokens: all.iter().map(|(token, ..)| (*token).to_owned()).collect(),
        word_ids: all.iter().map(|&(_, word, ..)| word).collect(),
        offsets: all.iter().map(|&(.., range, _)| range).collect(),
        original_offsets: all.iter().map(|&(.., range, _)| range).collect(),
    };
    let explanation = Explanation {
        text: Encoded { encoding, truncated: false, first_truncated: false },
        prediction: Prediction {
            category: CategoryId(1),
            logits: vec![0.125_f32.ln(), 0.75_f32.ln(), 0.125_f32.ln()],
            probabilities: vec![0.125, 0.75, 0.125],
            attention: Array2::zeros((0, 0)),
            padding: PaddingShares { positions: 0.0, attention: 0.0 },
        },
        weights: all.iter().map(|&(.., weight)| weight).collect(),
        windows: 1,
    };
    Explained::new(explanation, &["a", "<b>", "c\u{202E}"].map(str::to_owned)).unwrap()
}

/// Two words with a space between them.
pub fn words() -> Explained {
    explained("モデル 夏", &[("モ", 0, 0, 1, 0.25), ("##デル", 0, 1, 3, 0.125), ("夏", 1, 4, 5, 0.75)])
}

/// One word that counts for the category and one that counts half as much against it.
pub fn signed() -> Explained {
    explained("夏秋", &[("夏", 0, 0, 1, 1.0), ("秋", 1, 1, 2, -0.5)])
}

/// Every character of [`HOSTILE`] a word.
pub fn hostile() -> Explained {
    let characters = HOSTILE.chars().enumerate();
    let tokens: Vec<_> =
        characters.map(|(at, _)| ("[UNK]", at as i32, at as u32, at as u32 + 1, 0.125)).collect();
    explained(HOSTILE, &tokens)
}

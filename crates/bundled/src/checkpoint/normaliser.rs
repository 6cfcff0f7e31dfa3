//! The map of characters as steps of `tokenizer.json`.
//!
//! The file has SentencePiece's rule `nmt_nfkc` for single characters: NFKC, control characters dropped, several kinds of
//! spaces made one, `～` kept. NFKC also composes neighbours (`か` and a voiced sound mark), as SentencePiece does, which a
//! map of single characters cannot. So the steps are the few characters in which the map differs from NFKC, then NFKC.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization;

use crate::error::{Result, damaged};
use crate::packed::PackedEncoder;

/// Characters that no text has: Unicode reserves U+FDD0 to U+FDEF for internal use. Each stands for a character while the
/// text goes through NFKC.
const STAND_INS: std::ops::RangeInclusive<char> = '\u{fdd0}'..='\u{fdef}';

/// The steps. After NFKC, spaces at both ends and repeated spaces are dropped, as SentencePiece does by default.
pub(super) fn normaliser(encoder: &PackedEncoder<'_>) -> Result<Value> {
    let differing = encoder.characters().iter().filter(|(from, to)| !from.nfkc().eq(to.chars()));
    let (mut dropped, mut spaces, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for (from, to) in differing {
        match to.as_str() {
            "" => dropped.push(*from),
            " " => spaces.push(*from),
            // The step comes before NFKC, which must not change it again.
            other if other.nfkc().eq(other.chars()) => {
                steps.push(replace(&json!({ "String": from.to_string() }), other));
            }
            other => {
                return Err(damaged(
                    format!("U+{:04X} in the map of characters", u32::from(*from)),
                    format!("the replacement {other:?}"),
                    "one that NFKC does not change",
                ));
            }
        }
    }
    let class = |characters: &[char], to: &str| {
        (!characters.is_empty()).then(|| replace(&json!({ "Regex": character_class(characters) }), to))
    };
    let mut all: Vec<Value> = [class(&dropped, ""), class(&spaces, " ")].into_iter().flatten().collect();
    all.append(&mut steps);

    let kept = kept(encoder);
    if kept.len() > STAND_INS.count() {
        return Err(damaged(
            "the map of characters",
            format!("{} characters of pieces that NFKC changes and the map does not", kept.len()),
            format!("at most {}", STAND_INS.count()),
        ));
    }
    let literal = |from: char, to: char| replace(&json!({ "String": from.to_string() }), &to.to_string());
    let stand_ins = || kept.iter().copied().zip(STAND_INS);
    all.extend(stand_ins().map(|(character, stand_in)| literal(character, stand_in)));
    all.push(json!({ "type": "NFKC" }));
    all.extend(stand_ins().map(|(character, stand_in)| literal(stand_in, character)));
    all.push(replace(&json!({ "Regex": " {2,}" }), " "));
    all.push(replace(&json!({ "Regex": "^ | $" }), ""));
    Ok(json!({ "type": "Sequence", "normalizers": all }))
}

/// The characters of pieces that NFKC changes and the map does not. A character that is in no piece would become unknown,
/// so nothing is lost if NFKC makes a known one of it.
fn kept(encoder: &PackedEncoder<'_>) -> BTreeSet<char> {
    let is_mapped =
        |character: char| encoder.characters().binary_search_by_key(&character, |(from, _)| *from).is_ok();
    let pieces = encoder.vocabulary().pieces.iter();
    let changes = |character: &char| {
        !character.is_ascii() && !character.nfkc().eq([*character]) && !is_mapped(*character)
    };
    pieces.flat_map(|piece| piece.text.chars()).filter(changes).collect()
}

fn replace(pattern: &Value, content: &str) -> Value {
    json!({ "type": "Replace", "pattern": pattern, "content": content })
}

/// A regular expression for one of the characters, in the syntax that Oniguruma and Rust's `regex` share.
fn character_class(characters: &[char]) -> String {
    let mut class = "[".to_owned();
    for character in characters {
        // Writing to a string cannot fail.
        let _ = write!(class, "\\x{{{:X}}}", u32::from(*character));
    }
    class + "]"
}

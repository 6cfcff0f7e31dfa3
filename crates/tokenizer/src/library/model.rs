//! The model of a `tokenizer.json`: its pieces, checked before the library builds its tables of them.

use std::collections::HashSet;

use serde_json::Value;
use tokenizers::ModelWrapper;
use tokenizers::models::bpe::BPE;
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;

use super::bounds;
use super::problem::Problem;
use super::value::{part, start_of, text_within, typed};

const PLACE: &str = "model";

/// Reads and checks the file's model.
pub(super) fn read(model: &Value) -> Result<ModelWrapper, Problem> {
    check_pieces(model)?;
    for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
        text_within(model, affix, bounds::AFFIX, PLACE)?;
    }
    let at_random = part(model, "dropout").filter(|dropout| dropout.as_f64() != Some(0.0));
    if let Some(dropout) = at_random {
        let expected = "null, because dropout gives other ids each time";
        return Err(Problem::new("model.dropout", dropout.to_string(), expected));
    }
    if let Some(word) = part(model, "max_input_chars_per_word")
        && word.as_u64().is_none_or(|characters| characters > bounds::WORD)
    {
        let expected = format!("{} at most", bounds::WORD);
        return Err(Problem::new("model.max_input_chars_per_word", word.to_string(), expected));
    }
    check_merges(model)?;
    // Old files do not name the type; the library then takes the first that fits.
    match part(model, "type").map(Value::as_str) {
        Some(Some("BPE")) => typed::<BPE>(model, PLACE).map(ModelWrapper::BPE),
        Some(Some("WordPiece")) => typed::<WordPiece>(model, PLACE).map(ModelWrapper::WordPiece),
        Some(Some("WordLevel")) => typed::<WordLevel>(model, PLACE).map(ModelWrapper::WordLevel),
        Some(Some("Unigram")) => typed::<Unigram>(model, PLACE).map(ModelWrapper::Unigram),
        None => typed::<ModelWrapper>(model, PLACE),
        Some(_) => {
            let found = start_of(model.get("type").unwrap_or(&Value::Null));
            Err(Problem::new("model.type", found, "BPE, WordPiece, WordLevel or Unigram"))
        }
    }
}

fn check_pieces(model: &Value) -> Result<(), Problem> {
    let too_long = |piece: &str, bytes: usize| {
        let start: String = piece.chars().take(20).collect();
        let found = format!("a piece of {} bytes, {start:?}…", piece.len());
        Err(Problem::new("model.vocab", found, format!("{bytes} bytes at most")))
    };
    match model.get("vocab") {
        Some(Value::Object(pieces)) => {
            for (piece, id) in pieces {
                if piece.len() > bounds::PIECE {
                    return too_long(piece, bounds::PIECE);
                }
                if id.as_u64().is_none_or(|id| id > bounds::ID) {
                    let found = format!("{} as the id of {piece:?}", start_of(id));
                    return Err(Problem::new("model.vocab", found, format!("a number up to {}", bounds::ID)));
                }
            }
        }
        Some(Value::Array(pieces)) => {
            let mut texts = pieces.iter().filter_map(|piece| piece.get(0)?.as_str());
            if let Some(piece) = texts.find(|piece| piece.len() > bounds::UNIGRAM_PIECE) {
                return too_long(piece, bounds::UNIGRAM_PIECE);
            }
        }
        Some(other) => return Err(Problem::new("model.vocab", start_of(other), "the pieces")),
        None => return Err(Problem::new(PLACE, "no vocab", "the pieces")),
    }
    Ok(())
}

/// Checks that the pieces of BPE's merges are known, and those that merges make. The library cuts the prefix off the right
/// piece without looking, which can be in the middle of a character.
fn check_merges(model: &Value) -> Result<(), Problem> {
    let (Some(Value::Array(merges)), Some(Value::Object(pieces))) = (model.get("merges"), model.get("vocab"))
    else {
        return Ok(());
    };
    let prefix = part(model, "continuing_subword_prefix").and_then(Value::as_str).unwrap_or_default();
    let known: HashSet<&str> = pieces.keys().map(String::as_str).collect();
    let mut made = String::new();
    for (number, merge) in merges.iter().enumerate() {
        let place = || format!("model.merges[{number}]");
        let pair = match merge {
            Value::String(line) if line.starts_with("#version") => continue,
            Value::String(line) => line.split_once(' '),
            _ => merge.get(0).and_then(Value::as_str).zip(merge.get(1).and_then(Value::as_str)),
        };
        let Some((left, right)) = pair else {
            return Err(Problem::new(&place(), start_of(merge), "two pieces"));
        };
        let Some(rest) = right.strip_prefix(prefix) else {
            let expected = format!("one that starts with the prefix {prefix:?}");
            return Err(Problem::new(&place(), format!("the right piece {right:?}"), expected));
        };
        made.clear();
        made.push_str(left);
        made.push_str(rest);
        if let Some(unknown) = [left, right, &made].into_iter().find(|piece| !known.contains(piece)) {
            return Err(Problem::new(&place(), format!("{unknown:?}"), "a piece of vocab"));
        }
    }
    Ok(())
}

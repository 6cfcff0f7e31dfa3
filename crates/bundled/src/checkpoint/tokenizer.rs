//! `tokenizer.json`.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::normaliser::normaliser;
use crate::error::Result;
use crate::packed::{PackedEncoder, SpecialPieces, Vocabulary};

/// Stands for a space in pieces.
const SPACE: &str = "▁";
/// The mask token of RoBERTa, if the vocabulary has one.
pub(super) const MASK: &str = "<mask>";

/// The file, with its keys in the order in which the `tokenizers` library writes them.
#[derive(Serialize)]
pub(super) struct TokenizerFile<'f> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: Vec<Value>,
    normalizer: Value,
    pre_tokenizer: Value,
    post_processor: Value,
    decoder: Value,
    model: Unigram<'f>,
}

#[cfg(any(test, fuzzing))]
impl TokenizerFile<'_> {
    /// How many pieces the file lists.
    pub(super) fn pieces(&self) -> usize {
        self.model.vocab.len()
    }
}

/// The pieces are many, so they are not copied into a JSON value.
#[derive(Serialize)]
struct Unigram<'f> {
    #[serde(rename = "type")]
    kind: &'static str,
    unk_id: usize,
    /// A score is written with the digits of a double, as which the library reads it.
    vocab: Vec<(&'f str, f64)>,
    byte_fallback: bool,
}

/// The file's content.
pub(super) fn tokenizer<'f>(encoder: &PackedEncoder<'f>) -> Result<TokenizerFile<'f>> {
    let vocabulary = encoder.vocabulary();
    let spaces =
        json!({ "type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": true });
    Ok(TokenizerFile {
        version: "1.0",
        truncation: None,
        padding: None,
        added_tokens: added_tokens(vocabulary),
        normalizer: normaliser(encoder)?,
        pre_tokenizer: spaces.clone(),
        post_processor: post_processor(vocabulary),
        decoder: spaces,
        model: Unigram {
            kind: "Unigram",
            unk_id: vocabulary.special.unknown,
            vocab: vocabulary.pieces.iter().map(|piece| (piece.text, f64::from(piece.score))).collect(),
            byte_fallback: false,
        },
    })
}

/// The spelling of the piece `id`.
pub(super) fn text<'f>(vocabulary: &Vocabulary<'f>, id: usize) -> &'f str {
    vocabulary.pieces.get(id).map_or("", |piece| piece.text)
}

fn added_tokens(vocabulary: &Vocabulary<'_>) -> Vec<Value> {
    let SpecialPieces { begin, end, padding, unknown } = vocabulary.special;
    let mask = vocabulary.pieces.iter().position(|piece| piece.text == MASK);
    let mut ids: Vec<usize> = [begin, end, padding, unknown].into_iter().chain(mask).collect();
    ids.sort_unstable();
    ids.dedup();
    let token = |id: usize| {
        json!({
            "id": id,
            "content": text(vocabulary, id),
            "single_word": false,
            // XLM-RoBERTa's mask includes the space before it.
            "lstrip": Some(id) == mask,
            "rstrip": false,
            "normalized": false,
            "special": true,
        })
    };
    ids.into_iter().map(token).collect()
}

/// XLM-RoBERTa's templates: `<s> A </s>` and `<s> A </s></s> B </s>`, all of token type 0.
fn post_processor(vocabulary: &Vocabulary<'_>) -> Value {
    let SpecialPieces { begin, end, .. } = vocabulary.special;
    let special = |id: usize| json!({ "SpecialToken": { "id": text(vocabulary, id), "type_id": 0 } });
    let sequence = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    let token = |id: usize| {
        let text = text(vocabulary, id);
        (text.to_owned(), json!({ "id": text, "ids": [id], "tokens": [text] }))
    };
    json!({
        "type": "TemplateProcessing",
        "single": [special(begin), sequence("A"), special(end)],
        "pair": [special(begin), sequence("A"), special(end), special(end), sequence("B"), special(end)],
        "special_tokens": Map::from_iter([token(begin), token(end)]),
    })
}

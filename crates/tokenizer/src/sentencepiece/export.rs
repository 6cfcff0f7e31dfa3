//! A tokenizer class with a SentencePiece model as `tokenizer.json`, made of the `tokenizers` library's own parts.
//!
//! The library is not SentencePiece: it adds scores in double precision, so that of two cuts with almost equal scores it
//! may take the other; and its map of characters works on grapheme clusters of less than six bytes. Our own programs
//! read the `.model` file beside it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::cleaning::Cleaning;
use super::normaliser::SPACE;
use super::pieces::Kind;
use super::tokenizer::SentencePieceTokenizer;

/// Strings that a map of characters composes if it is one of SentencePiece's own, all but `identity`.
const COMPOSED: [(&str, char); 4] =
    [("ｶﾞ", 'ガ'), ("か\u{3099}", 'が'), ("は\u{309a}", 'ぱ'), ("e\u{301}", 'é')];

/// The file's content.
pub(crate) fn tokenizer_json(tokenizer: &SentencePieceTokenizer) -> Value {
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(tokenizer),
        "normalizer": { "type": "Sequence", "normalizers": normalizers(tokenizer) },
        "pre_tokenizer": null,
        "post_processor": post_processor(tokenizer),
        "decoder": { "type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": false },
        "model": model(tokenizer),
    })
}

/// Special and added tokens, and BPE's user-defined pieces, by their ids.
fn added_tokens(tokenizer: &SentencePieceTokenizer) -> Vec<Value> {
    let mut tokens: Vec<(u32, Value)> = Vec::new();
    for (token, id) in tokenizer.set_apart.iter() {
        let mut value = token.to_json();
        if let Some(value) = value.as_object_mut() {
            value.insert("id".to_owned(), json!(id));
            value.insert("special".to_owned(), json!(tokenizer.set_apart.is_special(*id)));
        }
        tokens.push((*id, value));
    }
    if tokenizer.cutter.model.algorithm() == "BPE" {
        for (piece, id) in pieces(tokenizer).filter(|(piece, _)| piece.kind == Kind::UserDefined) {
            if !tokens.iter().any(|(known, _)| *known == id) {
                let token = json!({
                    "id": id, "content": &*piece.text, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": false,
                });
                tokens.push((id, token));
            }
        }
    }
    tokens.sort_by_key(|(id, _)| *id);
    tokens.into_iter().map(|(_, token)| token).collect()
}

/// The model's pieces with their ids in the vocabulary.
fn pieces(
    tokenizer: &SentencePieceTokenizer,
) -> impl Iterator<Item = (&super::pieces::Piece, u32)> + use<'_> {
    (0_u32..).zip(tokenizer.cutter.model.pieces.iter()).map(|(id, piece)| (piece, tokenizer.id(id)))
}

/// A step that replaces what the regular expression finds.
fn replace(pattern: &str, content: &str) -> Value {
    json!({ "type": "Replace", "pattern": { "Regex": pattern }, "content": content })
}

fn normalizers(tokenizer: &SentencePieceTokenizer) -> Vec<Value> {
    let (model, mut steps) = (&tokenizer.cutter.model, Vec::new());
    if let Some(Cleaning { remove_space, keep_accents, .. }) = tokenizer.cutter.cleaning {
        if remove_space {
            steps.extend([replace(r"\s+", " "), replace("^ | $", "")]);
        }
        steps.push(replace("``|''", "\""));
        if !keep_accents {
            steps.extend([json!({ "type": "NFKD" }), json!({ "type": "StripAccents" })]);
        }
    }
    if tokenizer.settings.lower_case {
        steps.push(json!({ "type": "Lowercase" }));
    }
    if !model.precompiled_charsmap.is_empty() {
        let charsmap = STANDARD.encode(&model.precompiled_charsmap);
        steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": charsmap }));
        // The library's map does not see a character and its mark as one string where they are six bytes. Composing
        // makes up for that, if the map composes.
        let composes = |(apart, composed): &(&str, char)| model.normalised(apart).ends_with(*composed);
        if COMPOSED.iter().all(composes) {
            steps.push(json!({ "type": "NFC" }));
        }
    }
    if model.normaliser.remove_extra_spaces {
        steps.extend([replace(" {2,}", " "), replace("^ |[ ▁]+$", "")]);
    }
    let space = if model.normaliser.escape_spaces { SPACE.to_string() } else { " ".to_owned() };
    if model.normaliser.add_dummy_prefix {
        steps.push(json!({ "type": "Prepend", "prepend": space }));
    }
    if model.normaliser.escape_spaces {
        steps.push(replace(" ", &space));
    }
    steps
}

fn post_processor(tokenizer: &SentencePieceTokenizer) -> Value {
    let template = &tokenizer.template;
    let token = |id: &u32| tokenizer.vocabulary.token(*id).unwrap_or_default().to_owned();
    let special = |ids: &[u32], kind: i32| -> Vec<Value> {
        ids.iter().map(|id| json!({ "SpecialToken": { "id": token(id), "type_id": kind } })).collect()
    };
    let sequence = |name: &str, kind: i32| vec![json!({ "Sequence": { "id": name, "type_id": kind } })];
    let first = [special(&template.before, 0), sequence("A", 0), special(&template.after, 0)].concat();
    let second = [
        special(&template.before_second, 0),
        sequence("B", template.second_type),
        special(&template.after, template.second_type),
    ]
    .concat();
    let all = template.before.iter().chain(&template.after).chain(&template.before_second);
    let tokens: Map<String, Value> =
        all.map(|id| (token(id), json!({ "id": token(id), "ids": [id], "tokens": [token(id)] }))).collect();
    let pair = [first.clone(), second].concat();
    json!({
        "type": "TemplateProcessing",
        "single": first,
        "pair": pair,
        "special_tokens": tokens,
    })
}

fn model(tokenizer: &SentencePieceTokenizer) -> Value {
    let model = &tokenizer.cutter.model;
    match model.algorithm() {
        "BPE" => bpe(tokenizer),
        _ => {
            let scores: std::collections::HashMap<u32, f32> = pieces(tokenizer)
                .map(|(piece, id)| (id, if piece.kind == Kind::UserDefined { -0.1 } else { piece.score }))
                .collect();
            let vocabulary: Vec<Value> = own_ids(tokenizer)
                .map(|id| {
                    let token = tokenizer.vocabulary.token(id).unwrap_or_default();
                    json!([token, scores.get(&id).copied().unwrap_or_default()])
                })
                .collect();
            json!({
                "type": "Unigram",
                "unk_id": tokenizer.unknown,
                "vocab": vocabulary,
                "byte_fallback": model.has_bytes(),
            })
        }
    }
}

/// The ids of the model's pieces, and of fairseq's tokens around them.
fn own_ids(tokenizer: &SentencePieceTokenizer) -> impl Iterator<Item = u32> {
    let fairseq = if tokenizer.settings.class.has_fairseq_ids() { 2 } else { 0 };
    (0..).take(tokenizer.cutter.model.pieces.iter().len() + fairseq)
}

/// SentencePiece joins any two neighbours whose union is a piece: every way to cut a piece in two is a merge.
fn bpe(tokenizer: &SentencePieceTokenizer) -> Value {
    let model = &tokenizer.cutter.model;
    let in_texts = |text: &str| model.pieces.id_in_texts(text).is_some();
    let mut merges: Vec<(f32, &str, &str)> = Vec::new();
    for piece in model.pieces.iter().filter(|piece| in_texts(&piece.text)) {
        let cuts = piece.text.char_indices().skip(1);
        let halves = cuts.filter_map(|(at, _)| piece.text.split_at_checked(at));
        let halves = halves.filter(|(left, right)| in_texts(left) && in_texts(right));
        merges.extend(halves.map(|(left, right)| (piece.score, left, right)));
    }
    // Stable: pieces of equal scores stay in the order of their ids.
    merges.sort_by(|(left, ..), (right, ..)| right.total_cmp(left));
    let merges: Vec<Value> = merges.into_iter().map(|(_, left, right)| json!([left, right])).collect();
    let own = own_ids(tokenizer);
    let spelled = own.filter_map(|id| Some((tokenizer.vocabulary.token(id)?.to_owned(), json!(id))));
    let vocabulary: Map<String, Value> = spelled.collect();
    json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": tokenizer.vocabulary.token(tokenizer.unknown),
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": true,
        "byte_fallback": model.has_bytes(),
        "ignore_merges": false,
        "vocab": vocabulary,
        "merges": merges,
    })
}

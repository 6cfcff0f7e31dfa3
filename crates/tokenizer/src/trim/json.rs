//! Trimming a `tokenizer.json`.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::bytes::ByteAlphabet;
use super::file::remove;
use super::kept_ids::KeptIds;
use super::merges::{Merge, close};
use super::settings::renumber;
use super::wanted::Wanted;
use crate::error::{Error, Result, read_text, write};
use crate::json::JsonTokenizer;
use crate::settings::{JSON, MODELS, VOCABULARY};

/// Trims the `tokenizer.json` in `folder`, of which `tokenizer` was loaded, and removes other vocabularies beside it.
pub(crate) fn trim_json(folder: &Path, tokenizer: &JsonTokenizer, wanted: &Wanted) -> Result<KeptIds> {
    let file = folder.join(JSON);
    let failed = |error: serde_json::Error| Error::Json { file: file.clone(), message: error.to_string() };
    let mut content: Value = serde_json::from_str(&read_text(&file)?).map_err(failed)?;
    let alphabet = ["pre_tokenizer", "normalizer"]
        .iter()
        .any(|part| content.get(part).is_some_and(has_byte_level))
        .then(ByteAlphabet::new);
    let keeps = |piece: &str| match &alphabet {
        Some(alphabet) => alphabet.keeps(wanted, piece),
        None => wanted.keeps(piece),
    };
    let mut ids = wanted.ids.clone();
    ids.extend(tokenizer.inner.get_added_tokens_decoder().keys());
    ids.extend(tokenizer.unknown_id);
    if let Some(processor) = content.get_mut("post_processor") {
        change_ids(processor, &mut |id| {
            ids.insert(id);
            id
        });
    }
    ids.extend(content.pointer("/padding/pad_id").and_then(id));

    let model = content.get_mut("model").and_then(Value::as_object_mut);
    let model = model.ok_or_else(|| malformed(&file, "model", "no object", "an object"))?;
    let kept = match model.get_mut("vocab") {
        Some(Value::Array(pieces)) => {
            let kept = unigram(pieces, ids, keeps);
            let mut id = 0;
            pieces.retain(|_| {
                id += 1;
                kept.has(id - 1)
            });
            kept
        }
        Some(Value::Object(_)) => by_piece(&file, model, ids, keeps)?,
        _ => return Err(malformed(&file, "model.vocab", "neither list nor object", "the pieces")),
    };
    if let Some(unknown) = model.get_mut("unk_id") {
        change(unknown, &mut |old| kept.new_id(old).unwrap_or(old));
    }
    let mut new_id = |old| kept.new_id(old).unwrap_or(old);
    if let Some(processor) = content.get_mut("post_processor") {
        change_ids(processor, &mut new_id);
    }
    if let Some(padding) = content.pointer_mut("/padding/pad_id") {
        change(padding, &mut new_id);
    }
    for token in content.get_mut("added_tokens").and_then(Value::as_array_mut).into_iter().flatten() {
        // The library's id, which may be another than the file's.
        let own =
            token.get("content").and_then(Value::as_str).and_then(|token| tokenizer.inner.token_to_id(token));
        if let (Some(own), Some(token)) = (own, token.as_object_mut()) {
            token.insert("id".to_owned(), json!(new_id(own)));
        }
    }
    write(&file, content.to_string())?;
    renumber(folder, &kept)?;
    MODELS.iter().chain([&VOCABULARY]).try_for_each(|name| remove(folder, name))?;
    Ok(kept)
}

/// The kept ids of Unigram, whose pieces are a list. The worst piece stays, because its score decides that of unknown
/// characters.
fn unigram(pieces: &[Value], mut ids: BTreeSet<u32>, keeps: impl Fn(&str) -> bool) -> KeptIds {
    let of = |piece: &Value| Some((piece.get(0)?.as_str()?.to_owned(), piece.get(1)?.as_f64()?));
    let pieces = || (0..).zip(pieces).filter_map(|(id, piece)| Some((id, of(piece)?)));
    ids.extend(pieces().filter(|(_, (piece, _))| keeps(piece)).map(|(id, _)| id));
    ids.extend(pieces().min_by(|(_, (_, one)), (_, (_, other))| one.total_cmp(other)).map(|(id, _)| id));
    ids.into()
}

/// The kept ids of the other models, whose pieces are an object, which is trimmed, as are BPE's merges.
fn by_piece(
    file: &Path,
    model: &mut Map<String, Value>,
    mut ids: BTreeSet<u32>,
    keeps: impl Fn(&str) -> bool,
) -> Result<KeptIds> {
    let merges = match model.get("merges") {
        Some(merges) => Some(read_merges(file, model, merges)?),
        None => None,
    };
    let Some(Value::Object(pieces)) = model.get_mut("vocab") else {
        return Err(malformed(file, "model.vocab", "no object", "the pieces with their ids"));
    };
    let mut kept: HashSet<String> = HashSet::new();
    for (piece, own) in pieces.iter() {
        if keeps(piece) || id(own).is_some_and(|id| ids.contains(&id)) {
            kept.insert(piece.clone());
        }
    }
    if let Some(merges) = &merges {
        close(merges, &mut kept);
    }
    pieces.retain(|piece, _| kept.contains(piece));
    ids.extend(pieces.values().filter_map(id));
    let kept_ids = KeptIds::from(ids);
    for own in pieces.values_mut() {
        change(own, &mut |old| kept_ids.new_id(old).unwrap_or(old));
    }
    if let (Some(merges), Some(Value::Array(written))) = (merges, model.get_mut("merges")) {
        let mut merges = merges.iter();
        written.retain(|_| merges.next().is_some_and(|merge| kept.contains(&merge.result)));
    }
    Ok(kept_ids)
}

/// BPE's merges, `"left right"` or `["left", "right"]`. The right piece may have a prefix, which the result has not.
fn read_merges(file: &Path, model: &Map<String, Value>, merges: &Value) -> Result<Vec<Merge>> {
    let prefix = model.get("continuing_subword_prefix").and_then(Value::as_str).unwrap_or_default();
    let parse = |(number, merge): (usize, &Value)| {
        let pair = match merge {
            Value::String(pair) => pair.split_once(' '),
            _ => merge.get(0).and_then(Value::as_str).zip(merge.get(1).and_then(Value::as_str)),
        };
        let place = || format!("model.merges, number {}", number + 1);
        let (left, right) =
            pair.ok_or_else(|| malformed(file, &place(), &merge.to_string(), "two pieces"))?;
        let result = format!("{left}{}", right.strip_prefix(prefix).unwrap_or(right));
        Ok(Merge { left: left.to_owned(), right: right.to_owned(), result })
    };
    merges.as_array().into_iter().flatten().enumerate().map(parse).collect()
}

/// Whether a part of the file, or a part of it, works on bytes.
fn has_byte_level(part: &Value) -> bool {
    match part {
        Value::Object(entries) => {
            entries.get("type") == Some(&json!("ByteLevel")) || entries.values().any(has_byte_level)
        }
        Value::Array(parts) => parts.iter().any(has_byte_level),
        _ => false,
    }
}

/// Changes the ids of a post-processor: those of a template's special tokens, and the `sep` and `cls` of BERT and RoBERTa.
fn change_ids(processor: &mut Value, new_id: &mut impl FnMut(u32) -> u32) {
    let Value::Object(entries) = processor else { return };
    if let Some(Value::Array(processors)) = entries.get_mut("processors") {
        processors.iter_mut().for_each(|processor| change_ids(processor, new_id));
    }
    for pair in ["sep", "cls"] {
        if let Some(id) = entries.get_mut(pair).and_then(|pair| pair.get_mut(1)) {
            change(id, new_id);
        }
    }
    let tokens: Option<Vec<&mut Value>> = match entries.get_mut("special_tokens") {
        Some(Value::Object(tokens)) => Some(tokens.values_mut().collect()),
        Some(Value::Array(tokens)) => Some(tokens.iter_mut().collect()),
        _ => None,
    };
    for ids in tokens.into_iter().flatten().filter_map(|token| token.get_mut("ids")?.as_array_mut()) {
        ids.iter_mut().for_each(|id| change(id, new_id));
    }
}

fn change(value: &mut Value, new_id: &mut impl FnMut(u32) -> u32) {
    if let Some(old) = id(value) {
        *value = json!(new_id(old));
    }
}

fn id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn malformed(file: &Path, place: &str, found: &str, expected: &str) -> Error {
    Error::Malformed {
        file: file.to_owned(),
        place: place.to_owned(),
        found: found.to_owned(),
        expected: expected.to_owned(),
        advice: "fetch the checkpoint again",
    }
}

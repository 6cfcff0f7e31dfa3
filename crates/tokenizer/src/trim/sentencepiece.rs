//! Trimming a SentencePiece model.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use super::file::remove;
use super::kept_ids::KeptIds;
use super::merges::{Merge, close};
use super::settings::renumber;
use super::wanted::Wanted;
use crate::error::{Result, read, write};
use crate::sentencepiece::{Kind, SentencePiece, SentencePieceTokenizer, without_pieces};
use crate::settings::{JSON, VOCABULARY};

/// Trims the model of a tokenizer class in `folder`.
pub(crate) fn trim_class(
    folder: &Path,
    tokenizer: &SentencePieceTokenizer,
    wanted: &Wanted,
) -> Result<KeptIds> {
    let model = &tokenizer.cutter.model;
    let special = tokenizer.set_apart.iter().map(|(_, id)| *id);
    let others = special.chain(tokenizer.ids_without_piece());
    trim(folder, &tokenizer.settings.model, model, others, |piece| tokenizer.id(piece), wanted)
}

/// Trims the model that cuts words, whose pieces have the model's ids; `special` are those of special and added tokens.
pub(crate) fn trim_words(
    folder: &Path,
    file: &Path,
    model: &SentencePiece,
    special: impl IntoIterator<Item = u32>,
    wanted: &Wanted,
) -> Result<KeptIds> {
    trim(folder, file, model, special, |piece| piece, wanted)
}

/// `others` are ids that are kept; `id` is the id of a piece by its number in the model.
fn trim(
    folder: &Path,
    file: &Path,
    model: &SentencePiece,
    others: impl IntoIterator<Item = u32>,
    id: impl Fn(u32) -> u32,
    wanted: &Wanted,
) -> Result<KeptIds> {
    let mut ids = wanted.ids.clone();
    ids.extend(others);
    let numbers = pieces(model, |number| ids.contains(&id(number)), wanted);
    ids.extend(numbers.iter().map(|&number| id(number)));
    let kept = KeptIds::from(ids);
    let file = folder.join(file.file_name().unwrap_or_default());
    let bytes = read(&file)?;
    write(&file, without_pieces(&file, &bytes, |number| !numbers.contains(&number))?)?;
    renumber(folder, &kept)?;
    [JSON, VOCABULARY].iter().try_for_each(|name| remove(folder, name))?;
    Ok(kept)
}

/// The kept pieces, by their numbers in the model: those that are used or of kept scripts, and
///
/// - all that are not of the usual kind: the unknown piece, control pieces, user-defined ones, bytes and unused ones;
/// - the worst and the best piece, whose scores decide those of unknown characters and user-defined pieces;
/// - of a digit and a comma, which some classes cut again after the model has;
/// - the parts of which BPE makes them.
fn pieces(model: &SentencePiece, is_used: impl Fn(u32) -> bool, wanted: &Wanted) -> BTreeSet<u32> {
    let all = || (0_u32..).zip(model.pieces.iter());
    let usual = || all().filter(|(_, piece)| piece.kind == Kind::Normal);
    let is_kept = |number: u32, text: &str, kind: Kind| {
        kind != Kind::Normal || is_used(number) || wanted.keeps(text) || is_number_with_comma(text)
    };
    let mut numbers: BTreeSet<u32> = all()
        .filter(|(number, piece)| is_kept(*number, &piece.text, piece.kind))
        .map(|(number, _)| number)
        .collect();
    let by_score = |one: &(u32, _), other: &(u32, _)| score(model, one.0).total_cmp(&score(model, other.0));
    let extremes = [usual().min_by(by_score), usual().max_by(by_score)];
    numbers.extend(extremes.into_iter().flatten().map(|(number, _)| number));
    if model.algorithm() == "BPE" {
        let merges = merges(model);
        let text = |number: &u32| model.pieces.get(*number).map(|piece| piece.text.to_string());
        let mut kept: HashSet<String> = numbers.iter().filter_map(text).collect();
        close(&merges, &mut kept);
        numbers.extend(all().filter(|(_, piece)| kept.contains(&*piece.text)).map(|(number, _)| number));
    }
    numbers
}

fn score(model: &SentencePiece, number: u32) -> f32 {
    model.pieces.get(number).map_or(0.0, |piece| piece.score)
}

fn is_number_with_comma(piece: &str) -> bool {
    let mut last = piece.chars().rev();
    last.next() == Some(',') && last.next().is_some_and(char::is_numeric)
}

/// SentencePiece joins any two neighbours whose union is a piece. Neighbours are pieces or single characters.
fn merges(model: &SentencePiece) -> Vec<Merge> {
    let known: HashSet<&str> = model.pieces.iter().map(|piece| &*piece.text).collect();
    let is_symbol = |text: &&str| known.contains(text) || text.chars().nth(1).is_none();
    let mut merges = Vec::new();
    for piece in model.pieces.iter() {
        let cuts = piece.text.char_indices().skip(1);
        let halves = cuts.filter_map(|(at, _)| piece.text.split_at_checked(at));
        let halves = halves.filter(|(left, right)| is_symbol(left) && is_symbol(right));
        merges.extend(halves.map(|(left, right)| Merge {
            left: left.to_owned(),
            right: right.to_owned(),
            result: piece.text.to_string(),
        }));
    }
    merges.sort_by_key(|merge| merge.result.len());
    merges
}

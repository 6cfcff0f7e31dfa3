//! Trimming the checkpoint's vocabulary to the corpus and the scripts of Japanese texts.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use midashi_artifacts::{VocabularyRow, write_vocabulary};
use midashi_encoder::EncoderConfig;
use midashi_stage::{Provenance, atomic};
use midashi_tokenizer::{KeptIds, Tokenizer, Wanted};
use serde::Serialize;

use crate::encode::{EncodedTexts, TextEncoder};
use crate::plan::Plan;

/// How often the vocabulary is trimmed before it is given up: texts that changed the first time are kept whole the second
/// time.
const ATTEMPTS: usize = 3;

/// How much smaller the encoder is.
#[derive(Debug, PartialEq, Serialize)]
pub struct Trimmed {
    /// Rows of the checkpoint's word embeddings.
    pub pieces_before: usize,
    /// Pieces that are left.
    pub pieces: usize,
    /// Pieces among them that the corpus uses.
    pub used_pieces: usize,
    /// Parameters of the checkpoint's encoder.
    pub parameters_before: usize,
    /// Parameters that are left.
    pub parameters: usize,
}

/// Replaces the tokenizer in the folder `copy`, which is `whole`, by a trimmed one, and the ids in `encoded` by its ids.
///
/// # Errors
/// When the tokenizer cannot be trimmed, or texts of the corpus would change.
pub fn trim(
    plan: &Plan,
    encoder: &TextEncoder<'_>,
    whole: &Tokenizer,
    encoded: &mut EncodedTexts,
    copy: &Path,
    provenance: &Provenance,
) -> Result<(Tokenizer, Trimmed)> {
    let model = plan.model().context("the vocabulary is learned and cannot be trimmed")?;
    let padding = model.pad_token_id;
    ensure!(
        u32::try_from(padding).is_ok_and(|id| whole.token(id).is_some()),
        "config.json has pad_token_id {padding}, for which the tokenizer has no token, so the vocabulary cannot be \
         trimmed; expected the id of a token: correct it in the checkpoint, or set model.trim_vocabulary = false"
    );
    let mut occurrences: Vec<i64> = vec![0; whole.vocabulary_size()];
    for &id in encoded.texts.iter().flat_map(|text| &text.encoding.input_ids) {
        if let Some(count) = usize::try_from(id).ok().and_then(|id| occurrences.get_mut(id)) {
            *count += 1;
        }
    }
    let mut wanted = Wanted::default();
    wanted.ids.extend((0..).zip(&occurrences).filter(|(_, count)| **count > 0).map(|(id, _): (u32, _)| id));
    let named = model.named_ids().into_iter().filter_map(|id| u32::try_from(id).ok());
    wanted.ids.extend(named.filter(|id| whole.token(*id).is_some()));

    let mut current: Option<KeptIds> = None;
    for _ in 0..ATTEMPTS {
        let mut kept = None;
        atomic::write_folder(copy, |folder| {
            plan.copy_tokenizer(folder)?;
            let ids = whole.trim(folder, &wanted)?;
            write_vocabulary(folder, &rows(whole, &ids, &occurrences), provenance)?;
            kept = Some(ids);
            anyhow::Ok(())
        })?;
        let kept = kept.context("the trimmed vocabulary is missing")?;
        let trimmed = plan.load(copy)?;
        check(whole, &trimmed, &kept)?;
        renumber(encoded, current.as_ref(), &kept)?;
        let changed = encoder.changed(&trimmed, &encoded.texts)?;
        if changed.is_empty() {
            let used_pieces = occurrences.iter().filter(|count| **count > 0).count();
            return Ok((trimmed, Trimmed::of(model, &kept, used_pieces)?));
        }
        for text in changed {
            wanted.add_text(&text.encoding.original);
            wanted.add_text(&text.encoding.text);
        }
        current = Some(kept);
    }
    bail!(
        "{}: the trimmed vocabulary cuts texts of the corpus into other pieces; expected the same; set \
         model.trim_vocabulary = false, and please report this checkpoint",
        copy.display()
    )
}

/// Checks that new ids stand for the old tokens, and that there are no others.
fn check(whole: &Tokenizer, trimmed: &Tokenizer, kept: &KeptIds) -> Result<()> {
    let old = kept.as_slice();
    let is_same = |(new, old): (u32, &u32)| trimmed.token(new) == whole.token(*old);
    if trimmed.vocabulary_size() == old.len() && (0..).zip(old).all(is_same) {
        return Ok(());
    }
    bail!(
        "the trimmed vocabulary has {} ids, some of them for other tokens; expected {}, each for its token; set \
         model.trim_vocabulary = false, and please report this checkpoint",
        trimmed.vocabulary_size(),
        old.len()
    )
}

/// Replaces ids, which are those of `current` or of the checkpoint, by those of `kept`.
fn renumber(encoded: &mut EncodedTexts, current: Option<&KeptIds>, kept: &KeptIds) -> Result<()> {
    for id in encoded.texts.iter_mut().flat_map(|text| &mut text.encoding.input_ids) {
        let old = match current {
            Some(current) => usize::try_from(*id).ok().and_then(|id| current.as_slice().get(id).copied()),
            None => u32::try_from(*id).ok(),
        };
        let new =
            old.and_then(|old| kept.new_id(old)).context("a used id is missing in the trimmed vocabulary")?;
        *id = new.cast_signed();
    }
    Ok(())
}

fn rows(whole: &Tokenizer, kept: &KeptIds, occurrences: &[i64]) -> Vec<VocabularyRow> {
    let row = |(id, &old): (i32, &u32)| VocabularyRow {
        id,
        checkpoint_id: old.cast_signed(),
        token: whole.token(old).unwrap_or_default(),
        occurrences: occurrences.get(old as usize).copied().unwrap_or_default(),
    };
    (0..).zip(kept.as_slice()).map(row).collect()
}

impl Trimmed {
    fn of(model: &EncoderConfig, kept: &KeptIds, used_pieces: usize) -> Result<Self> {
        let rows: Vec<usize> = kept.as_slice().iter().map(|id| *id as usize).collect();
        let smaller = model.with_words(&rows).map_err(anyhow::Error::msg)?;
        Ok(Self {
            pieces_before: model.vocab_size,
            pieces: rows.len(),
            used_pieces,
            parameters_before: parameters(model),
            parameters: parameters(&smaller),
        })
    }

    /// Size of the weights in float32 before and after, in 10⁶ bytes.
    pub fn megabytes(&self) -> (f64, f64) {
        let size = |parameters: usize| 4e-6 * parameters as f64;
        (size(self.parameters_before), size(self.parameters))
    }
}

fn parameters(model: &EncoderConfig) -> usize {
    model.tensors().iter().map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

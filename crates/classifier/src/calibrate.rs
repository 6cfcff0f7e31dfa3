//! The ranges of the frozen layers' activations, for their multiplication in 8-bit integers.

use std::borrow::Cow;

use midashi_artifacts::TokenizedCorpus;
use midashi_encoder::{
    ActivationRanges, Batch, EncoderConfig, MatmulPrecision, PaddingRule, TextIds, Weights, calibration,
};
use midashi_runtime::{Engine, Session};
use midashi_text::WindowRows;

use crate::batches::Batches;
use crate::quantized::lanes;
use crate::windows::RowIds;
use crate::{Error, Result};

/// The ranges are those of at most so many texts or windows. The error of the hidden states is then 0.060 of their
/// size; with 64 texts it is 0.068, with 512 0.055 (livedoor titles, multilingual-e5-small).
const TEXTS: usize = 128;
/// Of long texts there are fewer, about this many tokens in all.
const TOKENS: usize = 4096;
/// Texts of a batch that a message names.
const NAMED: usize = 3;
/// Tokens that are computed at a time.
const BATCH_TOKENS: usize = 1024;

/// The ranges of the first `layers` layers' activations on some texts of `corpus`, of every length.
///
/// # Errors
/// When a weight is missing or the graph fails.
pub(crate) fn activation_ranges(
    engine: &Engine,
    config: &EncoderConfig,
    weights: &Weights,
    layers: usize,
    corpus: &TokenizedCorpus,
) -> Result<ActivationRanges> {
    let rows = corpus.rows();
    let chosen = calibration_rows(&rows);
    let row_ids: Vec<RowIds<'_>> = chosen
        .iter()
        .map(|&row| RowIds::of(&corpus.texts[rows.text(row)].encoding, rows.window(row)))
        .collect();
    let texts: Vec<TextIds<'_>> = row_ids.iter().map(RowIds::ids).collect();
    let graph = calibration(config, layers)?;
    let mut lanes = lanes(engine, &graph, "calibration", Cow::Borrowed(weights), MatmulPrecision::Float32)?;
    let mut ranges = ActivationRanges::default();
    let Batches { batches, bytes } = Batches::new(&texts, BATCH_TOKENS, config.num_attention_heads);
    let compute = |session: &mut Session, at: usize| {
        let texts: Vec<TextIds<'_>> = batches[at].iter().map(|&text| texts[text]).collect();
        let batch = Batch::of_ids(&texts, config.pad_token_id, PaddingRule::Masked);
        Ok::<_, Error>(session.run(batch.inputs())?)
    };
    lanes.run_each(batches.len(), bytes, compute, |at, outputs| {
        for name in graph.output_names() {
            let largest = outputs.float32(name)?;
            // A layer's largest numbers are those of the batch: which text has them is not known.
            if let Some(&value) = largest.iter().find(|number| !number.is_finite()) {
                let ids = batches[at].iter().map(|&text| &*corpus.texts[rows.text(chosen[text])].id);
                let first = ids.take(NAMED).collect::<Vec<_>>().join(", ");
                let text = format!("one of {} texts ({first} …)", batches[at].len());
                let output = format!("the input of {}", ActivationRanges::layer(name));
                return Err(Error::NotFinite { text, output, value });
            }
            ranges.include(name, largest.iter().copied());
        }
        Ok(())
    })?;
    Ok(ranges)
}

/// Rows at equal distances in the order of their lengths: the choice depends on nothing but the corpus.
fn calibration_rows(rows: &WindowRows) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&row| rows.window(row).len());
    let tokens: usize = order.iter().map(|&row| rows.window(row).len()).sum();
    let by_tokens = TOKENS * order.len() / tokens.max(1);
    let count = order.len().min(TEXTS).min(by_tokens.max(1));
    // The middle of each of `count` equal parts.
    (0..count).map(|part| order[(2 * part + 1) * order.len() / (2 * count)]).collect()
}

//! The single attention head that explains best.

use anyhow::Result;
use midashi_artifacts::{BestHead, TokenizedText};
use midashi_stage::Progress;

use super::eraser::Eraser;
use super::erasure::{Mode, SHARES, Selection, sums_by_unit, top_shares, units_of};
use crate::statistics::mean;

/// The head of the last layer with the highest comprehensiveness on `texts`, whose units are masked.
pub fn best_head(eraser: &mut Eraser<'_>, texts: &[&TokenizedText]) -> Result<BestHead> {
    let mut totals: Vec<f64> = Vec::new();
    let mut progress = Progress::new("choosing a head", texts.len() as u64, "texts");
    for text in texts {
        let prediction = eraser.classify(text)?;
        let category = prediction.category.index();
        let units = units_of(&text.encoding, eraser.unit);
        let heads = prediction.attention.rows();
        let erasures: Vec<(Mode, Selection)> = heads
            .into_iter()
            .flat_map(|head| top_shares(&sums_by_unit(&units, &head.to_vec())))
            .map(|selection| (Mode::Masked, selection))
            .collect();
        let drops = eraser.drops(text, category, &units, &erasures)?;
        totals.resize(drops.len() / SHARES.len(), 0.0);
        for (total, drops) in totals.iter_mut().zip(drops.chunks(SHARES.len())) {
            *total += mean(drops.iter().copied());
        }
        progress.advance(1);
    }
    progress.finish();
    let best = (0..totals.len()).fold(0, |best, head| if totals[head] > totals[best] { head } else { best });
    Ok(BestHead { head: best as u64, texts: texts.len() as u64 })
}

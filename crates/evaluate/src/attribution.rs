//! Attributions of the test texts' predictions: everything that needs gradients or every layer's attention. Those of a text
//! that is read in windows are combined like their logits.

use anyhow::Result;
use midashi_artifacts::{CategoryId, Encoding, Explanation, Replacement, TokenizedText, WindowRows};
use midashi_classifier::{Attribution, Classifier, RowIds, TextIds, spread};
use midashi_stage::Progress;

/// A test text with its prediction.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The text.
    pub text: &'a TokenizedText,
    /// The predicted category, which is explained.
    pub category: CategoryId,
    /// Attention from `[CLS]` in the last layer, `[heads, tokens]`.
    pub attention: &'a [Vec<f32>],
}

/// What one run of the model gives for a window.
struct OfRow {
    layer_attention: Vec<Vec<f32>>,
    rollout: Vec<f32>,
    gradient_x_input: Vec<f32>,
    attentions: Option<Vec<f32>>,
}

/// The explanations that one run of the model gives: attention, rollout and gradient × input. The subjects
/// at `matrices`, which have one window each, keep the attention of all layers and heads.
pub fn explanations(
    classifier: &mut Classifier<'_>,
    subjects: &[Subject<'_>],
    matrices: &[usize],
) -> Result<Vec<Explanation>> {
    let encodings: Vec<&Encoding> = subjects.iter().map(|subject| &subject.text.encoding).collect();
    let rows = WindowRows::of(encodings.iter().copied(), classifier.length().windowing());
    let row_ids = RowIds::all(&encodings, &rows);
    let ids: Vec<TextIds<'_>> = row_ids.iter().map(RowIds::ids).collect();
    let mut found: Vec<Option<OfRow>> = ids.iter().map(|_| None).collect();
    let mut progress = Progress::new("explanations", ids.len() as u64, unit(&rows));
    for batch in classifier.explanation_batches(&ids) {
        let chosen: Vec<_> = batch.iter().map(|&row| ids[row]).collect();
        let categories: Vec<usize> =
            batch.iter().map(|&row| subjects[rows.text(row)].category.index()).collect();
        for (&row, attribution) in batch.iter().zip(classifier.attributions(&chosen, &categories)?) {
            let (layer_attention, rollout) = (attribution.layer_attention(), attribution.rollout());
            let Attribution { attentions, gradient_x_input } = attribution;
            let is_kept = matrices.contains(&rows.text(row));
            let attentions = is_kept.then(|| attentions.iter().copied().collect());
            found[row] = Some(OfRow { layer_attention, rollout, gradient_x_input, attentions });
        }
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    let mut found = found.into_iter().flatten();
    let explanation = |(text, subject): (usize, &Subject<'_>)| {
        let OfRow { layer_attention, rollout, gradient_x_input, attentions } =
            combined(&rows, text, found.by_ref().take(rows.rows(text).len()).collect());
        Explanation {
            id: subject.text.id.clone(),
            category: subject.category,
            layer_attention,
            rollout,
            gradient_x_input,
            integrated_gradients: None,
            leave_one_out: None,
            attentions,
        }
    };
    Ok(subjects.iter().enumerate().map(explanation).collect())
}

/// The weights of a text from those of its windows.
fn combined(rows: &WindowRows, text: usize, mut windows: Vec<OfRow>) -> OfRow {
    if windows.len() == 1 {
        return windows.remove(0);
    }
    let of = |weights: &dyn Fn(&OfRow) -> Vec<f32>| {
        let weights: Vec<Vec<f32>> = windows.iter().map(weights).collect();
        as_f32(spread(rows, text, &weights))
    };
    let layers = windows.first().map_or(0, |window| window.layer_attention.len());
    OfRow {
        layer_attention: (0..layers)
            .map(|layer| of(&|window| window.layer_attention[layer].clone()))
            .collect(),
        rollout: of(&|window| window.rollout.clone()),
        gradient_x_input: of(&|window| window.gradient_x_input.clone()),
        attentions: None,
    }
}

fn as_f32(weights: Vec<f64>) -> Vec<f32> {
    weights.into_iter().map(|weight| weight as f32).collect()
}

fn unit(rows: &WindowRows) -> &'static str {
    if rows.has_several() { "windows" } else { "texts" }
}

/// Integrated gradients of the subjects at `sample`, each `[tokens]`. The baseline is the text with all its words masked.
pub fn integrated_gradients(
    classifier: &mut Classifier<'_>,
    subjects: &[Subject<'_>],
    sample: &[usize],
    replacement: &Replacement,
    points: usize,
) -> Result<Vec<Vec<f32>>> {
    let mut progress = Progress::new("integrated gradients", sample.len() as u64, "texts");
    let integrated = sample.iter().map(|&at| {
        let Subject { text: TokenizedText { encoding, .. }, category, .. } = subjects[at];
        let masked = encoding.masked_input_ids(replacement.id);
        let rows = WindowRows::of([encoding], classifier.length().windowing());
        let of_windows = rows.windows(0).iter().map(|window| {
            let ids = RowIds::of(encoding, window);
            let baseline = window.select(&masked);
            classifier.integrated_gradients(ids.ids(), &baseline, category.index(), points)
        });
        let mut of_windows = of_windows.collect::<Result<Vec<_>, _>>()?;
        progress.advance(1);
        if of_windows.len() == 1 {
            return Ok(of_windows.remove(0));
        }
        Ok(as_f32(spread(&rows, 0, &of_windows)))
    });
    let integrated = integrated.collect();
    progress.finish();
    integrated
}

//! Attributions of the test texts' predictions: everything that needs gradients or every layer's attention. Those of a text
//! that is read in windows are combined like their logits.

use anyhow::Result;
use midashi_artifacts::{
    CategoryId, Encoding, Explanation, Integration, Replacement, TokenizedText, WindowRows,
};
use midashi_classifier::{Classifier, RowIds, TextIds, spread, text_ids};
use midashi_stage::Progress;

use crate::statistics::mean;

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
}

/// The explanations that one run of the model gives: attention, rollout and gradient × input. The subjects
/// at `matrices`, which have one window each, keep the attention of all layers and heads.
pub fn explanations(
    classifier: &mut Classifier<'_>,
    subjects: &[Subject<'_>],
    matrices: &[usize],
) -> Result<Vec<Explanation>> {
    let encodings: Vec<&Encoding> = subjects.iter().map(|subject| &subject.text.encoding).collect();
    let all_attention =
        all_attention(classifier, &matrices.iter().map(|&at| subjects[at].text).collect::<Vec<_>>())?;
    let rows = WindowRows::of(encodings.iter().copied(), classifier.length().windowing());
    let row_ids = RowIds::all(&encodings, &rows);
    let ids: Vec<TextIds<'_>> = row_ids.iter().map(RowIds::ids).collect();
    let mut found: Vec<Option<OfRow>> = ids.iter().map(|_| None).collect();
    let mut progress = Progress::new("explanations", ids.len() as u64, unit(&rows));
    let categories: Vec<usize> =
        (0..ids.len()).map(|row| subjects[rows.text(row)].category.index()).collect();
    let attributed = classifier.each_attribution(&ids, &categories, |row, attribution| {
        let (layer_attention, rollout) = (attribution.layer_attention(), attribution.rollout());
        let gradient_x_input = attribution.gradient_x_input;
        found[row] = Some(OfRow { layer_attention, rollout, gradient_x_input });
        progress.advance(1);
    });
    attributed.map_err(|error| error.with_text(|row| subjects[rows.text(row)].text.id.clone()))?;
    progress.finish();
    classifier.free_explanations();
    let mut found = found.into_iter().flatten();
    let explanation = |(text, subject): (usize, &Subject<'_>)| {
        let OfRow { layer_attention, rollout, gradient_x_input } =
            combined(&rows, text, found.by_ref().take(rows.rows(text).len()).collect());
        Explanation {
            id: subject.text.id.clone(),
            category: subject.category,
            layer_attention,
            rollout,
            gradient_x_input,
            integrated_gradients: None,
            leave_one_out: None,
            attentions: None,
        }
    };
    let mut explanations: Vec<Explanation> = subjects.iter().enumerate().map(explanation).collect();
    matrices.iter().zip(all_attention).for_each(|(&at, all)| explanations[at].attentions = Some(all));
    Ok(explanations)
}

/// The attention of all layers and heads, for each text `[layers, heads, tokens, tokens]` in row-major order.
///
/// The graph is freed afterwards: every open graph has a copy of the layers' weights.
fn all_attention(classifier: &mut Classifier<'_>, texts: &[&TokenizedText]) -> Result<Vec<Vec<f32>>> {
    let ids: Vec<TextIds<'_>> = texts.iter().map(|text| text_ids(&text.encoding)).collect();
    let all = classifier.attentions(&ids).map_err(|error| error.with_text(|text| texts[text].id.clone()))?;
    let all = all.iter().map(|attentions| attentions.iter().copied().collect()).collect();
    classifier.free_explanations();
    Ok(all)
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
    }
}

fn as_f32(weights: Vec<f64>) -> Vec<f32> {
    weights.into_iter().map(|weight| weight as f32).collect()
}

fn unit(rows: &WindowRows) -> &'static str {
    if rows.has_several() { "windows" } else { "texts" }
}

/// Integrated gradients of the subjects at `sample`, each `[tokens]`, and how exact they are. The baseline is the text with
/// all its words masked.
pub fn integrated_gradients(
    classifier: &mut Classifier<'_>,
    subjects: &[Subject<'_>],
    sample: &[usize],
    replacement: &Replacement,
) -> Result<(Vec<Vec<f32>>, Integration)> {
    let encodings: Vec<&Encoding> = sample.iter().map(|&at| &subjects[at].text.encoding).collect();
    let categories: Vec<usize> = sample.iter().map(|&at| subjects[at].category.index()).collect();
    let rows = WindowRows::of(encodings.iter().copied(), classifier.length().windowing());
    let mut progress = Progress::new("integrated gradients", 0, "points");
    let mut counted = 0;
    let mut count = |done, wanted| {
        progress.expect(wanted as u64);
        progress.advance((done - counted) as u64);
        counted = done;
    };
    let found = classifier.integrated_from_masked(&encodings, &rows, &categories, replacement.id, &mut count);
    progress.finish();
    classifier.free_explanations();
    let name = |row: usize| subjects[sample[rows.text(row)]].text.id.clone();
    let found = found.map_err(|error| error.with_text(name))?;
    let integration = Integration {
        mean_points: mean(found.iter().map(|row| row.points as f64)),
        mean_error: mean(found.iter().map(|row| row.error)),
        largest_error: found.iter().map(|row| row.error).fold(0.0, f64::max),
    };
    let mut weights = found.into_iter().map(|row| row.weights);
    let of_text = |text: usize| {
        let mut of_windows: Vec<Vec<f32>> = weights.by_ref().take(rows.rows(text).len()).collect();
        if of_windows.len() == 1 { of_windows.remove(0) } else { as_f32(spread(&rows, text, &of_windows)) }
    };
    Ok(((0..rows.texts()).map(of_text).collect(), integration))
}

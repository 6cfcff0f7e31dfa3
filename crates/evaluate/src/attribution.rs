//! Attributions of the test texts' predictions: everything that needs gradients or every layer's attention.

use anyhow::Result;
use midashi_artifacts::{CategoryId, Explanation, Replacement, TokenizedText};
use midashi_classifier::{Attribution, Classifier, text_ids};
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

/// The explanations that one run of the model gives: attention, rollout and gradient × input. The subjects
/// at `matrices` keep the attention of all layers and heads.
pub fn explanations(
    classifier: &mut Classifier<'_>,
    subjects: &[Subject<'_>],
    matrices: &[usize],
) -> Result<Vec<Explanation>> {
    let ids: Vec<_> = subjects.iter().map(|subject| text_ids(&subject.text.encoding)).collect();
    let mut rows: Vec<Option<Explanation>> = vec![None; subjects.len()];
    let mut progress = Progress::new("explanations", subjects.len() as u64, "texts");
    for batch in classifier.explanation_batches(&ids) {
        let texts: Vec<_> = batch.iter().map(|&at| ids[at]).collect();
        let categories: Vec<usize> = batch.iter().map(|&at| subjects[at].category.index()).collect();
        for (&at, attribution) in batch.iter().zip(classifier.attributions(&texts, &categories)?) {
            let (layer_attention, rollout) = (attribution.layer_attention(), attribution.rollout());
            let Attribution { attentions, gradient_x_input } = attribution;
            rows[at] = Some(Explanation {
                id: subjects[at].text.id.clone(),
                category: subjects[at].category,
                layer_attention,
                rollout,
                gradient_x_input,
                integrated_gradients: None,
                leave_one_out: None,
                attentions: matrices.contains(&at).then(|| attentions.iter().copied().collect()),
            });
        }
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    Ok(rows.into_iter().flatten().collect())
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
        let Subject { text, category, .. } = subjects[at];
        let masked = text.encoding.masked_input_ids(replacement.id);
        progress.advance(1);
        Ok(classifier.integrated_gradients(text_ids(&text.encoding), &masked, category.index(), points)?)
    });
    let integrated = integrated.collect();
    progress.finish();
    integrated
}

//! What explains the answers: for every test text, and for a sample also what costs more.

use anyhow::{Context, Result};
use midashi_artifacts::{
    Explanation, Explanations, Faithfulness, Method, Replacement, Split, TokenizedCorpus, TokenizedText, Unit,
};
use midashi_config::Explain;
use midashi_explain::{Attribution, Explainer};
use midashi_stage::Progress;
use midashi_trunk::text_ids;

use crate::Answers;
use crate::faithfulness::{self, Eraser, Subject};
use crate::model::Answer;
use crate::{spread, texts_of};

/// Of longer texts no matrices are kept: they grow with the square of the length.
const LONGEST_MATRIX: usize = 48;

/// Explains the answers, and measures whether the explanations hold where the tokenizer has a token for hidden words.
pub fn explain(
    explainer: &mut Explainer,
    corpus: &TokenizedCorpus,
    answers: &Answers,
    settings: &Explain,
) -> Result<(Explanations, Option<Faithfulness>)> {
    let answered: Vec<(usize, &Answer)> = answers.iter().map(|(&text, answer)| (text, answer)).collect();
    let explained = spread(&answered, settings.texts.of(answered.len()));
    let text = |text: usize| &corpus.texts[text];
    // A single unit has no order, and cannot be taken in shares.
    let unit = corpus.units();
    let several = |at: &usize| faithfulness::units_of(text(explained[*at].0), unit).len() > 1;
    let several: Vec<usize> = (0..explained.len()).filter(several).collect();
    let sample = spread(&several, settings.faithfulness_texts);
    let short = |at: &usize| text(explained[*at].0).input_ids.len() <= LONGEST_MATRIX;
    let (in_sample, all) = (sample.iter().copied().filter(short), (0..explained.len()).filter(short));
    let short: Vec<usize> = if sample.is_empty() { all.collect() } else { in_sample.collect() };
    let matrices = spread(&short, settings.matrices);

    let mut rows = attributions(explainer, corpus, &explained, &matrices)?;
    let Some(replacement) = corpus.replacement.as_ref().filter(|_| !sample.is_empty()) else {
        if !sample.is_empty() {
            println!(
                "  the tokenizer has neither a mask token nor an unknown token: \
                 integrated gradients and faithfulness are left out"
            );
        }
        return Ok((Explanations { categories: corpus.categories.clone(), rows }, None));
    };

    let mut progress = Progress::new("integrated gradients", sample.len() as u64, "texts");
    for &at in &sample {
        let (number, answer) = explained[at];
        let (text, category) = (text(number), answer.category.index());
        let hidden = hidden(text, replacement);
        let points = settings.integration_points;
        rows[at].integrated_gradients =
            Some(explainer.integrated_gradients(text_ids(text), &hidden, category, points)?);
        progress.advance(1);
    }
    progress.finish();

    let mut eraser = Eraser { explainer, unit, replacement };
    let others = other_texts(corpus, unit, settings.faithfulness_texts);
    let best_head = faithfulness::best_head(&mut eraser, &others)?;
    let subjects = sample.iter().map(|&at| {
        let ((number, answer), row) = (explained[at], &rows[at]);
        let integrated =
            row.integrated_gradients.clone().context("a sampled text has no integrated gradients")?;
        let sum = |token: usize| answer.attention.iter().map(|head| head[token]).sum();
        let weights = [
            (Method::Attention, (0..row.rollout.len()).map(sum).collect()),
            (Method::BestHead, answer.attention[best_head.head as usize].clone()),
            (Method::Rollout, row.rollout.clone()),
            (Method::GradientXInput, row.gradient_x_input.clone()),
            (Method::IntegratedGradients, integrated),
        ];
        Ok(Subject { text: text(number), category: answer.category.index(), weights: weights.to_vec() })
    });
    let subjects = subjects.collect::<Result<Vec<_>>>()?;
    let measured = faithfulness::measure(&mut eraser, subjects, best_head)?;
    for (&at, lost) in sample.iter().zip(measured.leave_one_out) {
        rows[at].leave_one_out = Some(lost);
    }
    Ok((Explanations { categories: corpus.categories.clone(), rows }, Some(measured.faithfulness)))
}

/// The text's ids with all its words hidden, where integrated gradients start.
fn hidden(text: &TokenizedText, replacement: &Replacement) -> Vec<i32> {
    let tokens = text.input_ids.iter().zip(&text.word_ids);
    tokens.map(|(&id, word)| if word.is_some() { replacement.id } else { id }).collect()
}

/// `count` texts of several units that are no test texts: of the validation split, or of the training split where that is empty.
fn other_texts(corpus: &TokenizedCorpus, unit: Unit, count: usize) -> Vec<&TokenizedText> {
    let of = |split| -> Vec<&TokenizedText> {
        let texts = texts_of(corpus, split).into_iter().map(|text| &corpus.texts[text]);
        texts.filter(|text| faithfulness::units_of(text, unit).len() > 1).collect()
    };
    let validation = of(Split::Validation);
    spread(&if validation.is_empty() { of(Split::Train) } else { validation }, count)
}

/// What one run per text gives; all attention stays with the texts at `matrices`.
fn attributions(
    explainer: &mut Explainer,
    corpus: &TokenizedCorpus,
    explained: &[(usize, &Answer)],
    matrices: &[usize],
) -> Result<Vec<Explanation>> {
    let ids: Vec<_> = explained.iter().map(|(text, _)| text_ids(&corpus.texts[*text])).collect();
    let categories: Vec<usize> = explained.iter().map(|(_, answer)| answer.category.index()).collect();
    let mut rows: Vec<Option<Explanation>> = vec![None; explained.len()];
    let mut progress = Progress::new("explanations", explained.len() as u64, "texts");
    for batch in explainer.explanation_batches(&ids) {
        let texts: Vec<_> = batch.iter().map(|&at| ids[at]).collect();
        let of_batch: Vec<usize> = batch.iter().map(|&at| categories[at]).collect();
        for (&at, attribution) in batch.iter().zip(explainer.explain(&texts, &of_batch)?) {
            let (text, answer) = explained[at];
            let (layer_attention, rollout) = (attribution.layer_attention(), attribution.rollout());
            let Attribution { attentions, gradient_x_input } = attribution;
            rows[at] = Some(Explanation {
                id: corpus.texts[text].id.clone(),
                category: answer.category,
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

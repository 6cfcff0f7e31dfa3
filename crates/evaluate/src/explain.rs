//! Explains the predictions of the test split, and measures the faithfulness of the explanations on a sample.

use anyhow::Result;
use midashi_artifacts::{Explanations, Faithfulness, Method, Split, TokenizedCorpus, TokenizedText};
use midashi_classifier::{Classifier, ModelFolder, Options};
use midashi_runtime::Engine;
use midashi_stage::Work;
use midashi_text::Unit;

use crate::attribution::{self, Subject};
use crate::classify::TestSplit;
use crate::faithfulness::{self, Eraser, WeightedText, units_of};
use crate::parts::Parts;
use crate::texts::{evenly_spaced, in_split};

/// Matrices of longer texts are not kept: their size grows with the square of the length. Texts of several windows have none.
const LONGEST_MATRIX: usize = 48;

/// Texts with more tokens have no measured faithfulness: each of their units is erased once, so the time and the memory grow
/// with the square of the length.
const LONGEST_MEASURED: usize = 2048;

/// Explains as many predictions as `evaluate.explain.texts` requests. Integrated gradients and faithfulness need a
/// token that replaces masked words; without one they are left out, with a note.
pub fn explain(
    work: &Work,
    engine: &Engine,
    corpus: &TokenizedCorpus,
    test: &TestSplit,
    parts: &mut Parts,
) -> Result<(Explanations, Option<Faithfulness>)> {
    let settings = &work.config().evaluate.explain;
    let rows = test.texts.iter().zip(&test.predictions.rows).zip(&test.attention);
    let all = rows.map(|((&text, row), attention)| Subject {
        text: &corpus.texts[text],
        category: row.predicted,
        attention: &attention.attention,
    });
    let all: Vec<Subject<'_>> = all.collect();
    let subjects = evenly_spaced(&all, settings.texts.of(all.len()));
    let mut explanations = Explanations { categories: corpus.categories.clone(), rows: vec![] };
    if subjects.is_empty() {
        return Ok((explanations, None));
    }

    let unit = corpus.units();
    let sample = sample(&subjects, unit, settings.faithfulness_texts);
    let candidates = if sample.is_empty() { (0..subjects.len()).collect() } else { sample.clone() };
    let longest =
        corpus.windowing.map_or(LONGEST_MATRIX, |windowing| windowing.max_length.min(LONGEST_MATRIX));
    let is_short = |at: &usize| subjects[*at].text.encoding.len() <= longest;
    let candidates: Vec<usize> = candidates.into_iter().filter(is_short).collect();
    let matrices = evenly_spaced(&candidates, settings.matrices);

    let model = ModelFolder::open(&work.folder().model())?;
    let mut classifier = Classifier::with_options(model, engine, Options::of(work.config()))?;
    explanations.rows = attribution::explanations(&mut classifier, &subjects, &matrices)?;
    parts.end("explanations");
    if sample.is_empty() {
        return Ok((explanations, None));
    }
    let Some(replacement) = &corpus.replacement else {
        midashi_stage::outln!(
            "  the tokenizer has neither a mask token nor an unknown token: \
             integrated gradients and faithfulness are left out"
        );
        return Ok((explanations, None));
    };
    let (integrated, integration) =
        attribution::integrated_gradients(&mut classifier, &subjects, &sample, replacement)?;
    parts.end("integrated gradients");

    let mut eraser = Eraser { classifier: &mut classifier, unit, replacement };
    let best_head =
        faithfulness::best_head(&mut eraser, &held_out_texts(corpus, unit, settings.faithfulness_texts))?;
    parts.end("choosing a head");
    let weighted = sample.iter().zip(&integrated).map(|(&at, integrated)| {
        let (Subject { text, category, attention }, row) = (subjects[at], &explanations.rows[at]);
        let summed = |token: usize| attention.iter().map(|head| head[token]).sum();
        let weights = vec![
            (Method::Attention, (0..row.rollout.len()).map(summed).collect()),
            (Method::BestHead, attention[best_head.head as usize].clone()),
            (Method::Rollout, row.rollout.clone()),
            (Method::GradientXInput, row.gradient_x_input.clone()),
            (Method::IntegratedGradients, integrated.clone()),
        ];
        WeightedText { text, category: category.index(), weights }
    });
    let (mut measured, leave_one_out) = faithfulness::measure(&mut eraser, weighted.collect(), best_head)?;
    measured.integration = Some(integration);
    parts.end("faithfulness");
    for ((&at, integrated), drops) in sample.iter().zip(integrated).zip(leave_one_out) {
        explanations.rows[at].integrated_gradients = Some(integrated);
        explanations.rows[at].leave_one_out = Some(drops);
    }
    Ok((explanations, Some(measured)))
}

/// The subjects whose faithfulness is measured.
fn sample(subjects: &[Subject<'_>], unit: Unit, count: usize) -> Vec<usize> {
    let is_measured = |at: &usize| is_measured(subjects[*at].text, unit);
    evenly_spaced(&(0..subjects.len()).filter(is_measured).collect::<Vec<_>>(), count)
}

/// Whether the faithfulness of a text's explanations is measured. Texts of a single unit are excluded: one unit has no
/// order, and no share of it can be erased. So are texts that would take very long.
fn is_measured(text: &TokenizedText, unit: Unit) -> bool {
    text.encoding.len() <= LONGEST_MEASURED && units_of(&text.encoding, unit).len() > 1
}

/// `count` texts that are measured from the validation split, or from the training split where that is empty.
fn held_out_texts(corpus: &TokenizedCorpus, unit: Unit, count: usize) -> Vec<&TokenizedText> {
    let texts_of = |split| -> Vec<&TokenizedText> {
        let texts = in_split(corpus, split).into_iter().map(|text| &corpus.texts[text]);
        texts.filter(|text| is_measured(text, unit)).collect()
    };
    let validation = texts_of(Split::Validation);
    evenly_spaced(&if validation.is_empty() { texts_of(Split::Train) } else { validation }, count)
}

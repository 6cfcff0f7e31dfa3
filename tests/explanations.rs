//! What `evaluate` says of why: which texts get what, that it fits the other artifacts, and what is said
//! where something cannot be had.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::path::Path;
use std::sync::OnceLock;

use midashi_artifacts::{
    AttentionRow, Explanations, Faithfulness, Method, Metrics, Predictions, TokenizedCorpus, read_attention,
};
use midashi_tests::{Run, STAGES};

/// A small model that has learned something.
const SMALL: &str = "model.scratch.layers=3 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000 train.epochs=4 \
    train.learning_rate.encoder=5e-3 train.learning_rate.classifier=5e-3 evaluate.baseline=false \
    evaluate.explain.texts=40 evaluate.explain.faithfulness_texts=20 evaluate.explain.matrices=3";

fn small(artifacts: &Path, name: &str) -> Run {
    Run::new("data/sample.toml", artifacts, name).set(SMALL)
}

/// A finished run that several tests look at; each evaluates in a copy of its own.
fn finished() -> &'static Run {
    static RUN: OnceLock<(tempfile::TempDir, Run)> = OnceLock::new();
    let (_, run) = RUN.get_or_init(|| {
        let artifacts = tempfile::tempdir().unwrap();
        let run = small(artifacts.path(), "finished");
        run.stages(&STAGES[..5]);
        (artifacts, run)
    });
    run
}

fn explanations(run: &Run) -> Explanations {
    Explanations::read(&run.artifact("explanations.parquet")).unwrap()
}

fn faithfulness(run: &Run) -> Option<Faithfulness> {
    Metrics::read(&run.artifact("metrics.json")).unwrap().faithfulness
}

#[test]
fn every_explained_text_has_its_weights_and_they_fit_the_other_artifacts() {
    let run = finished();
    let tokens = TokenizedCorpus::read(&run.artifact("tokens.arrow")).unwrap();
    let predictions = Predictions::read(&run.artifact("predictions.parquet")).unwrap();
    let attention = read_attention(&run.artifact("attention.parquet")).unwrap();
    let explanations = explanations(run);
    assert_eq!(explanations.categories, predictions.categories);
    let count = |has: fn(&midashi_artifacts::Explanation) -> bool| {
        explanations.rows.iter().filter(|row| has(row)).count()
    };
    assert_eq!(explanations.rows.len(), 40);
    assert_eq!(count(|row| row.integrated_gradients.is_some() && row.leave_one_out.is_some()), 20);
    assert_eq!(count(|row| row.attentions.is_some() && row.integrated_gradients.is_some()), 3);
    for row in &explanations.rows {
        let text = tokens.texts.iter().find(|text| text.id == row.id).unwrap();
        let prediction = predictions.rows.iter().find(|prediction| prediction.id == row.id).unwrap();
        let AttentionRow { attention: heads, .. } =
            attention.iter().find(|other| other.id == row.id).unwrap();
        let length = text.tokens.len();
        assert_eq!(row.category, prediction.predicted);
        assert_eq!(row.layer_attention.len(), 3);
        for weights in row.layer_attention.iter().chain([&row.rollout]) {
            assert_eq!(weights.len(), length);
            assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{weights:?}");
        }
        // The last layer's mean over the heads is the attention that the article shows, but for their number.
        for (token, weight) in row.layer_attention[2].iter().enumerate() {
            let mean = heads.iter().map(|head| head[token]).sum::<f32>() / 2.0;
            assert!((weight - mean).abs() < 1e-5, "{weight} {mean}");
        }
        for weights in [Some(&row.gradient_x_input), row.integrated_gradients.as_ref()].into_iter().flatten()
        {
            assert_eq!(weights.len(), length);
            assert!(weights.iter().any(|&weight| weight != 0.0));
        }
        if let Some(all) = &row.attentions {
            assert_eq!(all.len(), 3 * 2 * length * length);
            let cls = |layer: usize, head: usize| &all[(layer * 2 + head) * length * length..][..length];
            for (head, weights) in heads.iter().enumerate() {
                assert!(cls(2, head).iter().zip(weights).all(|(one, other)| (one - other).abs() < 1e-5));
            }
        }
        // Special tokens are hidden from nobody, so nothing is said of them.
        for weights in [&row.integrated_gradients, &row.leave_one_out].into_iter().flatten() {
            let special = weights.iter().zip(&text.word_ids).filter(|(_, word)| word.is_none());
            assert!(special.into_iter().all(|(&weight, _)| weight == 0.0), "{weights:?}");
        }
    }
}

#[test]
fn what_explains_the_answers_is_told_from_chance() {
    let measured = faithfulness(finished()).unwrap();
    assert_eq!((measured.texts, measured.replacement.as_str()), (20, "[MASK]"));
    assert_eq!(measured.methods.len(), 6);
    let [gradients, random] =
        [Method::IntegratedGradients, Method::Random].map(|method| *measured.of(method).unwrap());
    // Integrated gradients of so small a model say what its answer rests on; random words do not.
    let more = gradients.masked.comprehensiveness.over_random.unwrap();
    assert!(more.mean > 0.1 && more.interval.low > 0.0, "{more:?}");
    let less = gradients.masked.sufficiency.over_random.unwrap();
    assert!(less.mean < -0.1 && less.interval.high < 0.0, "{less:?}");
    assert!(gradients.leave_one_out.mean > 0.2, "{gradients:?}");
    let order = random.leave_one_out;
    assert!(order.interval.low < 0.0 && order.interval.high > 0.0, "{order:?}");
    let compared = |method| {
        let measure = measured.of(method).unwrap().masked.comprehensiveness;
        (measure.over_random.is_some(), measure.over_attention.is_some())
    };
    assert_eq!(compared(Method::Random), (false, false));
    assert_eq!(compared(Method::Attention), (true, false));
    assert_eq!(compared(Method::IntegratedGradients), (true, true));
    let [own, attention] = [Method::IntegratedGradients, Method::Attention]
        .map(|method| measured.of(method).unwrap().masked.comprehensiveness.mean);
    let difference = gradients.masked.comprehensiveness.over_attention.unwrap().mean;
    assert!((difference - (own - attention)).abs() < 1e-12, "{difference}");
    for row in &measured.methods {
        let erasures =
            [row.masked, row.removed].map(|erasure| [erasure.comprehensiveness, erasure.sufficiency]);
        for measure in erasures.as_flattened().iter().chain([&row.leave_one_out]) {
            assert!(measure.interval.low <= measure.mean && measure.mean <= measure.interval.high);
            assert!(measure.mean.abs() <= 1.0);
        }
    }
}

#[test]
fn what_is_not_asked_for_is_not_computed() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = small(artifacts.path(), "some");
    run.stages(&STAGES[..4]);
    let some = |set: &str| small(artifacts.path(), "some").set(set);
    let none = some("evaluate.explain.faithfulness_texts=0");
    let text = none.stages(&["evaluate"]);
    assert!(!text.contains("faithfulness on"), "{text}");
    assert!(faithfulness(&none).is_none());
    let rows = explanations(&none).rows;
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row.integrated_gradients.is_none() && row.leave_one_out.is_none()));
    assert_eq!(
        rows.iter().filter(|row| row.attentions.is_some()).count(),
        3,
        "matrices are kept all the same"
    );

    let nothing = some("evaluate.explain.texts=0");
    nothing.stages(&["evaluate", "render"]);
    assert!(explanations(&nothing).rows.is_empty() && faithfulness(&nothing).is_none());
}

#[test]
fn the_number_of_points_is_checked() {
    let run =
        small(tempfile::tempdir().unwrap().path(), "wrong").set("evaluate.explain.integration_points=0");
    run.stage("evaluate").refuses(&["evaluate.explain.integration_points is 0", "at least 1"]);
}

//! What `evaluate` explains: which texts get which weights, that they fit the other artifacts, and what is left out
//! when it is not asked for.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::path::Path;

use midashi_artifacts::{AttentionRow, Explanation, Faithfulness, Method, TokenizedText};
use midashi_tests::{Run, STAGES, Shared, folder};

/// A small model that has learned something.
fn small(artifacts: impl AsRef<Path>, name: &str) -> Run {
    Run::sample(artifacts, name).small_model().set(
        "model.scratch.layers=3 train.epochs=4 train.learning_rate.encoder=5e-3 \
         train.learning_rate.classifier=5e-3 evaluate.baseline=false evaluate.explain.texts=40 \
         evaluate.explain.faithfulness_texts=20 evaluate.explain.matrices=3",
    )
}

/// A run that is evaluated; a test that evaluates otherwise does so in a copy of its own.
fn evaluated() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = small(artifacts, "evaluated");
        run.stages(&STAGES[..5]);
        run
    })
}

fn faithfulness() -> Faithfulness {
    evaluated().metrics().faithfulness.unwrap()
}

/// Calls `check` with every explained text, its tokens and its attention.
fn for_each_explanation(check: impl Fn(&Explanation, &TokenizedText, &AttentionRow)) {
    let (tokens, attention) = (evaluated().tokens(), evaluated().attention());
    for row in &evaluated().explanations().rows {
        let text = tokens.texts.iter().find(|text| text.id == row.id).unwrap();
        check(row, text, attention.iter().find(|other| other.id == row.id).unwrap());
    }
}

fn assert_close(found: f32, expected: f32) {
    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
}

#[test]
fn as_many_texts_are_explained_as_are_asked_for() {
    let rows = evaluated().explanations().rows;
    let count = |has: fn(&Explanation) -> bool| rows.iter().filter(|row| has(row)).count();
    assert_eq!(rows.len(), 40);
    assert_eq!(count(|row| row.integrated_gradients.is_some() && row.leave_one_out.is_some()), 20);
    assert_eq!(count(|row| row.attentions.is_some() && row.integrated_gradients.is_some()), 3);
}

#[test]
fn what_is_explained_is_the_prediction() {
    let (explanations, predictions) = (evaluated().explanations(), evaluated().predictions());
    assert_eq!(explanations.categories, predictions.categories);
    for row in &explanations.rows {
        let prediction = predictions.rows.iter().find(|prediction| prediction.id == row.id).unwrap();
        assert_eq!(row.category, prediction.predicted);
    }
}

#[test]
fn attention_of_every_layer_and_rollout_sum_to_1() {
    for_each_explanation(|row, text, _| {
        assert_eq!(row.layer_attention.len(), 3);
        for weights in row.layer_attention.iter().chain([&row.rollout]) {
            assert_eq!(weights.len(), text.encoding.tokens.len());
            assert_close(weights.iter().sum(), 1.0);
        }
    });
}

#[test]
fn attention_of_the_last_layer_is_that_of_attention_parquet() {
    for_each_explanation(|row, text, AttentionRow { attention: heads, .. }| {
        // The article shows the sum over the heads, this is their mean.
        for (token, weight) in row.layer_attention[2].iter().enumerate() {
            assert_close(*weight, heads.iter().map(|head| head[token]).sum::<f32>() / 2.0);
        }
        let Some(all) = &row.attentions else { return };
        let length = text.encoding.tokens.len();
        assert_eq!(all.len(), 3 * 2 * length * length);
        for (head, expected) in heads.iter().enumerate() {
            let cls = &all[(2 * 2 + head) * length * length..][..length];
            for (weight, expected) in cls.iter().zip(expected) {
                assert_close(*weight, *expected);
            }
        }
    });
}

#[test]
fn gradients_weigh_every_token() {
    for_each_explanation(|row, text, _| {
        let methods = [Some(&row.gradient_x_input), row.integrated_gradients.as_ref()];
        for weights in methods.into_iter().flatten() {
            assert_eq!(weights.len(), text.encoding.tokens.len());
            assert!(weights.iter().any(|&weight| weight != 0.0));
        }
    });
}

#[test]
fn special_tokens_are_in_the_masked_baseline_too_and_weigh_nothing() {
    for_each_explanation(|row, text, _| {
        for weights in [&row.integrated_gradients, &row.leave_one_out].into_iter().flatten() {
            let special = weights.iter().zip(&text.encoding.word_ids).filter(|(_, word)| word.is_none());
            assert!(special.into_iter().all(|(&weight, _)| weight == 0.0), "{weights:?}");
        }
    });
}

#[test]
fn integrated_gradients_are_better_than_chance() {
    let measured = faithfulness();
    assert_eq!((measured.texts, measured.replacement.as_str()), (20, "[MASK]"));
    assert_eq!(measured.methods.len(), 6);
    let [gradients, random] =
        [Method::IntegratedGradients, Method::Random].map(|method| *measured.of(method).unwrap());
    // Integrated gradients of so small a model find what its answer rests on; random words do not.
    let more = gradients.masked.comprehensiveness.over_random.unwrap();
    assert!(more.mean > 0.1 && more.interval.low > 0.0, "{more:?}");
    let less = gradients.masked.sufficiency.over_random.unwrap();
    assert!(less.mean < -0.1 && less.interval.high < 0.0, "{less:?}");
    assert!(gradients.leave_one_out.mean > 0.2, "{gradients:?}");
    let order = random.leave_one_out;
    assert!(order.interval.low < 0.0 && order.interval.high > 0.0, "{order:?}");
}

#[test]
fn methods_are_compared_with_random_weights_and_with_attention() {
    let measured = faithfulness();
    let of = |method| measured.of(method).unwrap().masked.comprehensiveness;
    let compared = |method| (of(method).over_random.is_some(), of(method).over_attention.is_some());
    assert_eq!(compared(Method::Random), (false, false));
    assert_eq!(compared(Method::Attention), (true, false));
    assert_eq!(compared(Method::IntegratedGradients), (true, true));
    let [own, attention] = [Method::IntegratedGradients, Method::Attention].map(|method| of(method).mean);
    let difference = of(Method::IntegratedGradients).over_attention.unwrap().mean;
    assert!((difference - (own - attention)).abs() < 1e-12, "{difference}");
}

#[test]
fn every_measure_lies_in_its_interval() {
    for row in &faithfulness().methods {
        let erasures =
            [row.masked, row.removed].map(|erasure| [erasure.comprehensiveness, erasure.sufficiency]);
        for measure in erasures.as_flattened().iter().chain([&row.leave_one_out]) {
            assert!(measure.interval.low <= measure.mean && measure.mean <= measure.interval.high);
            assert!(measure.mean.abs() <= 1.0);
        }
    }
}

#[test]
fn without_faithfulness_the_matrices_stay() {
    let artifacts = folder();
    let run = evaluated().copy_to(&artifacts).set("evaluate.explain.faithfulness_texts=0");
    run.stages(&["evaluate"]).does_not_say("faithfulness on");
    assert!(run.metrics().faithfulness.is_none());
    let rows = run.explanations().rows;
    assert_eq!(rows.len(), 40);
    assert!(rows.iter().all(|row| row.integrated_gradients.is_none() && row.leave_one_out.is_none()));
    assert_eq!(rows.iter().filter(|row| row.attentions.is_some()).count(), 3);
}

#[test]
fn without_explanations_there_is_still_a_report() {
    let artifacts = folder();
    let run = evaluated().copy_to(&artifacts).set("evaluate.explain.texts=0");
    run.stages(&["evaluate", "render"]);
    assert!(run.explanations().rows.is_empty() && run.metrics().faithfulness.is_none());
}

#[test]
fn integrated_gradients_state_their_error_and_need_no_more_points_than_it() {
    let integration = faithfulness().integration.unwrap();
    assert!(integration.mean_points >= 13.0, "{integration:?}");
    assert!(integration.mean_error <= integration.largest_error && integration.largest_error <= 0.1);
    let artifacts = folder();
    let exact = evaluated().copy_to(&artifacts).set("evaluate.explain.integration_error=0.001");
    exact.stages(&["evaluate"]);
    let more = exact.metrics().faithfulness.unwrap().integration.unwrap();
    assert!(
        more.mean_points > integration.mean_points && more.mean_error < integration.mean_error,
        "{more:?}"
    );
}

#[test]
fn explanations_that_need_too_much_memory_are_refused_before_they_are_computed() {
    let artifacts = folder();
    let run = evaluated().copy_to(&artifacts);
    let refused = "more than evaluate.explain.memory_gib = 0.0000001; set it higher";
    let small = run.clone().set("evaluate.explain.memory_gib=0.0000001");
    small.stage("evaluate").fails_with(["tokens keeps", refused]);
    let asked = ["--explain", "integrated-gradients", "猫の新しい写真"];
    small.stage("predict").arguments(asked).fails_with([refused]);
    small.stage("predict").arguments(["--explain", "rollout", "猫の新しい写真"]).succeeds();
    run.set("evaluate.explain.memory_gib=0").stages(&["evaluate"]);
}

#[test]
fn integrated_gradients_need_two_points_and_an_error_that_is_a_share() {
    let wrong = |set: &str| small(folder(), "wrong").set(set).stage("evaluate");
    wrong("evaluate.explain.integration_points=1")
        .fails_with(["evaluate.explain.integration_points is 1", "at least 2"]);
    wrong("evaluate.explain.integration_error=1.5")
        .fails_with(["evaluate.explain.integration_error is 1.5", "a share in [0, 1]"]);
}

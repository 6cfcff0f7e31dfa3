//! A run's model as the checkpoint of another run, which trains part of it further.

use std::fs;

use midashi_tests::{Outcome, Run, STAGES, Shared, folder};

use crate::runs::{finished, further};

/// A finished run that trained the last of two layers, and what its stages printed.
fn trained() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|artifacts| {
        let run = further(artifacts, "further");
        let outcome = run.stages(&STAGES);
        (run, outcome)
    })
}

#[test]
fn the_checkpoints_vocabulary_is_not_learned_again() {
    let (run, _) = trained();
    assert_eq!(run.bytes("model/vocab.txt"), finished().bytes("model/vocab.txt"));
}

#[test]
fn frozen_layers_stay_and_trainable_layers_change() {
    let (run, _) = trained();
    let (before, after) = (finished().weights(), run.weights());
    for (name, tensor) in before.iter() {
        let trainable = name.starts_with("bert.encoder.layer.1.");
        // A key's bias has no gradient but rounding.
        if !name.ends_with("key.bias") {
            assert_eq!(after.get(name) != Some(tensor), trainable, "{name}");
        }
    }
}

#[test]
fn without_trainable_layers_the_classifier_alone_is_trained() {
    let artifacts = folder();
    let run = further(&artifacts, "frozen").set("train.trainable_layers=0");
    run.stages(&STAGES);
    let (before, after) = (finished().weights(), run.weights());
    assert!(before.iter().all(|(name, tensor)| after.get(name) == Some(tensor)));
}

#[test]
fn another_learning_rate_starts_from_the_same_features() {
    let (run, outcome) = trained();
    outcome.says("features of 1 frozen layers: 1440 texts");

    let artifacts = folder();
    let copy = run.copy_to(&artifacts);
    let made = copy.modified("features.arrow");
    let changed = copy.clone().set("train.learning_rate.classifier=1e-2");
    changed.stages(&STAGES[3..]).says("frozen layers: read from");
    assert_eq!(changed.modified("features.arrow"), made);
    assert_ne!(changed.predictions(), run.predictions());

    // And the first learning rate again, which gives the first predictions again.
    copy.stages(&STAGES[3..]).says("frozen layers: read from");
    assert_eq!(copy.predictions(), run.predictions());
}

#[test]
fn without_features_the_whole_model_predicts_the_same() {
    let (run, _) = trained();
    let artifacts = folder();
    let copy = run.copy_to(&artifacts);
    fs::remove_file(copy.artifact("features.arrow")).unwrap();
    fs::remove_file(copy.artifact("predictions.parquet")).unwrap();
    copy.stages(&["evaluate"]);
    let (with_features, without) = (run.predictions(), copy.predictions());
    assert_eq!(with_features.rows.len(), without.rows.len());
    for (one, other) in with_features.rows.iter().zip(&without.rows) {
        assert_eq!(one.predicted, other.predicted, "{}", one.id);
        for (one, other) in one.probabilities.iter().zip(&other.probabilities) {
            assert!((one - other).abs() < 1e-5);
        }
    }
}

#[test]
fn damaged_features_are_computed_again_and_reported() {
    let artifacts = folder();
    let copy = trained().0.copy_to(&artifacts).set("train.learning_rate.classifier=1e-2");
    fs::write(copy.artifact("features.arrow"), "damaged").unwrap();
    copy.stages(&["train"]).says("features.arrow: ").says("1440 texts in");
}

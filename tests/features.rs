//! Features, the frozen layers' hidden states: when they are computed, how they are stored, and that the model is the
//! same either way.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;

use midashi_tests::{Run, STAGES, Shared, folder};

/// A checkpoint of three small layers, trained a little.
fn from_scratch() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = Run::sample(artifacts, "checkpoint").small_model().set(
            "model.scratch.layers=3 model.scratch.vocabulary_size=3000 train.epochs=4 \
             train.learning_rate.encoder=5e-3 train.learning_rate.classifier=5e-3",
        );
        run.stages(&STAGES[..4]);
        run
    })
}

/// A run that trains the last layer of [`from_scratch`]; the others are frozen.
fn frozen(artifacts: impl AsRef<Path>, name: &str) -> Run {
    Run::sample(artifacts, name)
        .plain_recipe()
        .checkpoint(&from_scratch().artifact("model"))
        .set("train.trainable_layers=1 train.epochs=2 evaluate.baseline=false")
}

const FLOAT16: &str = "train.features.precision=f16";
const INT8: &str = "train.trunk_precision=int8";

/// Evaluated runs: of float32, of features in float16, of a trunk in int8.
fn evaluated() -> &'static [Run; 3] {
    static RUNS: Shared<[Run; 3]> = Shared::new();
    RUNS.get(|artifacts| {
        [("f32", ""), ("f16", FLOAT16), ("int8", INT8)].map(|(name, set)| {
            let run = frozen(artifacts, name).set(set);
            run.stages(&STAGES[..5]);
            run
        })
    })
}

/// Largest difference of two runs' probabilities of a category.
fn difference(one: &Run, other: &Run) -> f32 {
    let (one, other) = (one.predictions().rows, other.predictions().rows);
    assert_eq!(one.len(), other.len());
    let pairs =
        one.iter().zip(&other).flat_map(|(one, other)| one.probabilities.iter().zip(&other.probabilities));
    pairs.fold(0.0, |most, (one, other)| most.max((one - other).abs()))
}

#[test]
fn features_are_taken_again_where_nothing_that_they_depend_on_changes() {
    let artifacts = folder();
    let run = evaluated()[0].copy_to(&artifacts);
    let made = run.modified("features.arrow");
    for set in [
        "train.learning_rate.classifier=1e-2",
        "train.seed=1",
        "train.batch_size=16",
        "train.dropout.hidden=0.1",
        "train.epochs=1",
        "train.features.disk_budget_gib=1",
        "run.threads=1",
        "corpus.split.test=0.3",
        "corpus.split.validation=0.1",
    ] {
        run.clone().set(set).stages(&STAGES[..4]).says("frozen layers: read from");
        assert_eq!(run.modified("features.arrow"), made, "{set}");
    }
}

#[test]
fn features_are_computed_again_where_they_depend_on_a_change() {
    let artifacts = folder();
    let other = frozen(&artifacts, "other").set("train.seed=7");
    other.stages(&STAGES[..4]);
    let checkpoint = format!("model.checkpoint={}", other.artifact("model").display());
    let run = evaluated()[0].copy_to(&artifacts);
    let batches = "train.trunk_batch_tokens=100";
    for set in ["train.trainable_layers=2", INT8, FLOAT16, "tokenize.max_length=8", batches, &checkpoint] {
        // Going back changes them too.
        for set in [set, ""] {
            run.clone().set(set).stages(&STAGES[..4]).says("frozen layers: 1440 texts in");
        }
    }
}

#[test]
fn features_are_the_same_bytes_whatever_the_threads() {
    let artifacts = folder();
    let [float32, _, int8] = evaluated();
    for (precision, two_threads) in [("f32", float32), ("int8", int8)] {
        for threads in [1, 3] {
            let run = frozen(&artifacts, &format!("{precision}-{threads}"))
                .set(&format!("run.threads={threads} train.trunk_precision={precision}"));
            run.stages(&STAGES[..4]);
            let same = run.bytes("features.arrow") == two_threads.bytes("features.arrow");
            assert!(same, "{precision}: {threads} threads give other features than 2");
        }
    }
    assert!(float32.bytes("features.arrow") != int8.bytes("features.arrow"), "int8 is not f32");
}

#[test]
fn over_the_budget_nothing_is_written_and_the_model_is_the_same() {
    let artifacts = folder();
    for precision in ["train.trunk_precision=f32", INT8, FLOAT16] {
        let folder = artifacts.path().join(precision);
        let validation = format!("corpus.split.validation=0.1 {precision}");
        let written = frozen(&folder, "written").set(&validation);
        written.stages(&STAGES[..5]);
        let computed =
            frozen(&folder, "computed").set(&validation).set("train.features.disk_budget_gib=1e-4");
        computed
            .stages(&STAGES[..5])
            .says("features of 2 frozen layers: ")
            .says("more than train.features.disk_budget_gib = 0.0001: not kept, computed for every batch")
            .says("features of 2 frozen layers: not cached, computed");
        assert!(!computed.artifact("features.arrow").exists());

        let (steps, computed_steps) = (written.training(), computed.training());
        assert_eq!(steps.len(), computed_steps.len());
        for (one, other) in steps.iter().zip(&computed_steps) {
            assert_eq!((one.step, one.split), (other.step, other.split));
            let difference = (one.loss - other.loss).abs();
            assert!(difference <= 1e-5, "{}: {} and {}", one.step, one.loss, other.loss);
        }
        assert!(difference(&written, &computed) <= 1e-5, "{precision}");
        let (weights, computed) = (written.weights(), computed.weights());
        for (name, tensor) in weights.iter() {
            let other = computed.get(name).unwrap();
            let largest = tensor.iter().zip(other).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(largest <= 1e-5, "{precision}: {name} differs by {largest}");
        }
    }
}

#[test]
fn a_model_is_evaluated_with_the_trunk_it_was_trained_with() {
    let artifacts = folder();
    let [exact, float16, int8] = evaluated();
    for (name, run) in [("f16", float16), ("int8", int8)] {
        assert!(difference(run, exact) > 1e-5, "{name} is another precision");
        // With its features gone the same trunk computes them again.
        let gone = run.copy_to(&artifacts);
        fs::remove_file(gone.artifact("features.arrow")).unwrap();
        fs::remove_file(gone.artifact("predictions.parquet")).unwrap();
        gone.stages(&["evaluate"])
            .says("features of 2 frozen layers: the cached ones of the training are gone, computed");
        assert!(difference(run, &gone) <= 1e-6, "{name}");
    }
}

#[test]
fn float16_takes_half_the_disk() {
    let [float32, float16, _] = evaluated();
    let size = |run: &Run| run.bytes("features.arrow").len() as f64;
    let share = size(float16) / size(float32);
    assert!((0.49..0.53).contains(&share), "{share}");
}

#[test]
fn int8_needs_frozen_layers() {
    let artifacts = folder();
    let run = frozen(&artifacts, "all").set("train.trainable_layers=all").set(INT8);
    run.stages(&STAGES[..3]);
    run.stage("train").fails_with(["train.trunk_precision is \"int8\"", "no layer is computed apart"]);
}

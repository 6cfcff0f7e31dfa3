//! The frozen layers' hidden states: when they are computed, how they are kept, and that it makes no
//! difference to the model.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

use midashi_artifacts::{Predictions, read_training};
use midashi_bert::Checkpoint;
use midashi_tests::{Run, STAGES};

/// A checkpoint of two small layers, trained a little.
fn checkpoint() -> &'static Run {
    static RUN: OnceLock<(tempfile::TempDir, Run)> = OnceLock::new();
    let (_, run) = RUN.get_or_init(|| {
        let artifacts = tempfile::tempdir().unwrap();
        let run = Run::new("data/sample.toml", artifacts.path(), "checkpoint").set(
            "model.scratch.layers=3 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
             model.scratch.intermediate_size=48 train.epochs=4 \
             train.learning_rate.encoder=5e-3 train.learning_rate.classifier=5e-3",
        );
        run.stages(&STAGES[..4]);
        (artifacts, run)
    });
    run
}

/// A run that trains the last layer of [`checkpoint`]; the others are frozen.
fn frozen(artifacts: &Path, name: &str) -> Run {
    let model = checkpoint().artifact("model");
    Run::new("data/sample.toml", artifacts, name).set(&format!(
        "model.checkpoint={} train.trainable_layers=1 train.epochs=2 evaluate.baseline=false \
         train.dropout.hidden=0 train.dropout.attention=0 train.weight_decay=0 train.max_grad_norm=0 \
         train.learning_rate.schedule=constant train.learning_rate.warmup=0",
        model.display()
    ))
}

fn modified(run: &Run) -> SystemTime {
    fs::metadata(run.artifact("features.arrow")).unwrap().modified().unwrap()
}

/// Largest difference of two runs' probabilities of a category.
fn difference(one: &Run, other: &Run) -> f32 {
    let rows = |run: &Run| Predictions::read(&run.artifact("predictions.parquet")).unwrap().rows;
    let (one, other) = (rows(one), rows(other));
    assert_eq!(one.len(), other.len());
    let pairs =
        one.iter().zip(&other).flat_map(|(one, other)| one.probabilities.iter().zip(&other.probabilities));
    pairs.fold(0.0, |most, (one, other)| most.max((one - other).abs()))
}

#[test]
fn what_features_depend_on_and_nothing_else_makes_them_anew() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = |set: &str| frozen(artifacts.path(), "key").set(set);
    run("").stages(&STAGES[..4]);
    let made = modified(&run(""));
    for set in [
        "train.learning_rate.classifier=1e-2",
        "train.seed=1",
        "train.batch_size=16",
        "train.dropout.hidden=0.1",
        "train.epochs=1",
        "train.features.disk_budget_gib=1",
        "train.trunk_batch_tokens=100",
        "run.threads=1",
        "corpus.split.test=0.3",
        "corpus.split.validation=0.1",
    ] {
        let text = run(set).stages(&STAGES[..4]);
        assert!(text.contains("frozen layers: taken from"), "{set}:\n{text}");
        assert_eq!(modified(&run("")), made, "{set}");
    }

    // Each of these is computed, and going back is too.
    let other = frozen(artifacts.path(), "other").set("train.seed=7");
    other.stages(&STAGES[..4]);
    let checkpoint = format!("model.checkpoint={}", other.artifact("model").display());
    for set in [
        "train.trainable_layers=2",
        "train.trunk_precision=int8",
        "train.features.precision=f16",
        "tokenize.max_length=8",
        &checkpoint,
    ] {
        for set in [set, ""] {
            let text = run(set).stages(&STAGES[..4]);
            assert!(text.contains("frozen layers: 1440 texts in"), "{set:?}:\n{text}");
        }
    }
}

#[test]
fn features_are_the_same_bytes_whatever_the_threads() {
    let artifacts = tempfile::tempdir().unwrap();
    let features = ["f32", "int8"].map(|precision| {
        [1, 2, 3].map(|threads| {
            let run = frozen(artifacts.path(), &format!("{precision}-{threads}"))
                .set(&format!("run.threads={threads} train.trunk_precision={precision}"));
            run.stages(&STAGES[..4]);
            fs::read(run.artifact("features.arrow")).unwrap()
        })
    });
    for [one, two, three] in &features {
        assert!(one == two && two == three);
    }
    assert!(features[0][0] != features[1][0], "int8 is not f32");
}

#[test]
fn over_the_budget_nothing_is_kept_and_the_model_is_the_same() {
    let artifacts = tempfile::tempdir().unwrap();
    for precision in
        ["train.trunk_precision=f32", "train.trunk_precision=int8", "train.features.precision=f16"]
    {
        let folder = artifacts.path().join(precision);
        let validation = format!("corpus.split.validation=0.1 {precision}");
        let kept = frozen(&folder, "kept").set(&validation);
        kept.stages(&STAGES[..5]);
        let computed =
            frozen(&folder, "computed").set(&validation).set("train.features.disk_budget_gib=1e-4");
        let text = computed.stages(&STAGES[..5]);
        let said = "more than train.features.disk_budget_gib = 0.0001: not kept, computed for every batch";
        assert!(text.contains("features of 2 frozen layers: ") && text.contains(said), "{text}");
        assert!(text.contains("features of 2 frozen layers: not kept, computed"), "{text}");
        assert!(!computed.artifact("features.arrow").exists());

        let rows = |run: &Run| read_training(&run.artifact("training.parquet")).unwrap();
        let (kept_rows, computed_rows) = (rows(&kept), rows(&computed));
        assert_eq!(kept_rows.len(), computed_rows.len());
        for (kept, computed) in kept_rows.iter().zip(&computed_rows) {
            assert_eq!((kept.step, kept.split), (computed.step, computed.split));
            assert!(
                (kept.loss - computed.loss).abs() <= 1e-5,
                "{}: {} and {}",
                kept.step,
                kept.loss,
                computed.loss
            );
        }
        assert!(difference(&kept, &computed) <= 1e-5, "{precision}");
        let weights = |run: &Run| Checkpoint::open(&run.artifact("model")).unwrap().encoder().unwrap();
        let (kept, computed) = (weights(&kept), weights(&computed));
        for (name, tensor) in kept.iter() {
            let other = computed.get(name).unwrap();
            let largest = tensor.iter().zip(other).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(largest <= 1e-5, "{precision}: {name} differs by {largest}");
        }
    }
}

#[test]
fn a_model_is_evaluated_with_the_trunk_it_was_trained_with() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = |name: &str, set: &str| {
        let run = frozen(artifacts.path(), name).set(set);
        run.stages(&STAGES[..5]);
        run
    };
    let exact = run("f32", "");
    for (name, set) in [("f16", "train.features.precision=f16"), ("int8", "train.trunk_precision=int8")] {
        let kept = run(name, set);
        assert!(difference(&kept, &exact) > 1e-5, "{name} is another precision");
        // With its features gone the same trunk computes them again.
        let gone = run(&format!("{name}-gone"), set);
        fs::remove_file(gone.artifact("features.arrow")).unwrap();
        fs::remove_file(gone.artifact("predictions.parquet")).unwrap();
        let text = gone.stages(&["evaluate"]);
        assert!(
            text.contains("features of 2 frozen layers: those of the training are gone, computed"),
            "{text}"
        );
        assert!(difference(&kept, &gone) <= 1e-6, "{name}");
    }
}

#[test]
fn float16_takes_half_the_disk() {
    let artifacts = tempfile::tempdir().unwrap();
    let size = |precision: &str| {
        let run = frozen(artifacts.path(), precision).set(&format!("train.features.precision={precision}"));
        run.stages(&STAGES[..4]);
        fs::metadata(run.artifact("features.arrow")).unwrap().len() as f64
    };
    let share = size("f16") / size("f32");
    assert!((0.49..0.53).contains(&share), "{share}");
}

#[test]
fn int8_needs_frozen_layers() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = frozen(artifacts.path(), "all").set("train.trainable_layers=all train.trunk_precision=int8");
    run.stages(&STAGES[..3]);
    run.stage("train").refuses(&["train.trunk_precision is \"int8\"", "no layer is computed apart"]);
}

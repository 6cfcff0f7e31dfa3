//! Trainings that are killed, stopped and begun anew.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use midashi_tests::{Outcome, Run};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// All that a training has to remember: moments, schedule, dropout, parts of steps, the best epoch.
const RECIPE: &str = "model.scratch.layers=2 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000 corpus.split.validation=0.1 \
    train.epochs=4 train.learning_rate.schedule=cosine train.learning_rate.warmup=0.1 train.max_grad_norm=1 \
    train.weight_decay=0.01 train.dropout.hidden=0.1 train.dropout.attention=0.1 train.gradient_accumulation_steps=2 \
    train.save_interval=0";

/// A run that is ready to train.
fn ready(artifacts: &Path, name: &str) -> Run {
    let run = Run::new("data/sample.toml", artifacts, name).set(RECIPE);
    run.stages(&["fetch", "ingest", "tokenize"]);
    run
}

fn assert_same_model(run: &Run, expected: &Run) {
    let names = fs::read_dir(expected.artifact("model")).unwrap().map(|entry| entry.unwrap().file_name());
    let files: Vec<_> = names.map(|name| Path::new("model").join(name)).collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files.iter().map(|file| file.to_str().unwrap()).chain(["training.parquet"]) {
        let bytes = |run: &Run| fs::read(run.artifact(file)).unwrap();
        assert!(bytes(run) == bytes(expected), "{file} differs");
    }
    assert!(!run.artifact("training.state").exists(), "a finished training leaves no state");
}

/// Waits until the training has saved a state, and stops it with a signal.
fn stop(run: &Run, signal: &str) -> Outcome {
    let mut child = run.start("train");
    while !run.artifact("training.state").exists() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    Outcome::new(&child.wait_with_output().unwrap())
}

#[test]
fn a_killed_training_ends_in_the_bytes_of_one_that_was_not() {
    const KILLS: usize = 8;
    let artifacts = tempfile::tempdir().unwrap();
    let whole = ready(artifacts.path(), "whole");
    let started = Instant::now();
    whole.stages(&["train"]);
    let seconds = started.elapsed().as_secs_f64();

    let killed = ready(artifacts.path(), "killed");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..KILLS {
        let mut child = killed.start("train");
        sleep(Duration::from_secs_f64(seconds * rng.random_range(0.0..0.5)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // However the moments above fell, once it is killed with a state to go on from.
    if !killed.artifact("model").exists() {
        stop(&killed, "-KILL");
        assert!(killed.stages(&["train"]).contains("going on after step"));
    }
    assert_same_model(&killed, &whole);
}

#[test]
fn a_stopped_training_says_how_to_go_on_and_another_one_does_not_take_its_state() {
    let artifacts = tempfile::tempdir().unwrap();
    let stopped = ready(artifacts.path(), "stopped");
    let outcome = stop(&stopped, "-INT");
    assert_eq!(outcome.code, Some(130), "{}", outcome.text);
    assert!(outcome.text.contains("interrupted: the state after step"), "{}", outcome.text);
    assert!(outcome.text.contains("the same command goes on from there"), "{}", outcome.text);
    assert!(!stopped.artifact("model").exists());

    let other = ready(artifacts.path(), "stopped").set("train.seed=1");
    assert!(!other.stages(&["train"]).contains("going on"));
    let fresh = ready(artifacts.path(), "fresh").set("train.seed=1");
    fresh.stages(&["train"]);
    assert_same_model(&other, &fresh);
}

#[test]
fn a_state_that_cannot_be_read_is_said_and_left() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = ready(artifacts.path(), "damaged");
    fs::write(run.artifact("training.state"), "no safetensors").unwrap();
    assert!(run.stages(&["train"]).contains("training starts from the beginning"));
    assert!(!run.artifact("training.state").exists());
}

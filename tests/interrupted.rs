//! Trainings that are killed, stopped and begun anew.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use midashi_tests::{Outcome, Run, STAGES, folder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// All that a training has to remember: moments, schedule, dropout, accumulated gradients, the best epoch; of all tensors,
/// a pooler's too.
const RECIPE: &str = "corpus.split.validation=0.1 train.epochs=4 train.learning_rate.schedule=cosine \
    train.learning_rate.warmup=0.1 train.max_grad_norm=1 train.weight_decay=0.01 train.dropout.hidden=0.1 \
    train.dropout.attention=0.1 train.head=pooler train.gradient_accumulation_steps=2 train.save_interval=0";

/// A run that is ready to train.
fn ready(artifacts: impl AsRef<Path>, name: &str) -> Run {
    let run = Run::sample(artifacts, name).small_model().set(RECIPE);
    run.stages(&["fetch", "ingest", "tokenize"]);
    run
}

fn assert_same_model(run: &Run, expected: &Run) {
    let names = fs::read_dir(expected.artifact("model")).unwrap().map(|entry| entry.unwrap());
    let names = names.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name());
    let mut files: Vec<_> = names.map(|name| Path::new("model").join(name)).collect();
    files.push("model/onnx/model.onnx".into());
    assert!(files.len() > 8, "{files:?}");
    for file in files.iter().map(|file| file.to_str().unwrap()).chain(["training.parquet"]) {
        assert!(run.bytes(file) == expected.bytes(file), "{file} differs");
    }
    assert!(!run.artifact("training.state").exists(), "a finished training leaves no state");
}

/// Waits until the training has saved a state, and stops it with a signal.
fn stop(run: &Run, signal: &str) -> Outcome {
    let mut child = run.stage("train").starts();
    while !run.artifact("training.state").exists() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
    Outcome::of(child)
}

#[test]
fn a_killed_training_ends_in_the_bytes_of_one_that_was_not() {
    const KILLS: usize = 8;
    let artifacts = folder();
    let whole = ready(&artifacts, "whole");
    let started = Instant::now();
    whole.stages(&["train"]);
    let seconds = started.elapsed().as_secs_f64();

    let killed = ready(&artifacts, "killed");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..KILLS {
        let mut child = killed.stage("train").starts();
        sleep(Duration::from_secs_f64(seconds * rng.random_range(0.0..0.5)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // However the moments above fell, once it is killed with a state to go on from.
    if !killed.artifact("model").exists() {
        stop(&killed, "-KILL");
        killed.stages(&["train"]).says("going on after step");
    }
    assert_same_model(&killed, &whole);
}

/// `MIDASHI_ROUNDS=100 cargo test --release --test interrupted` kills a hundred times.
#[test]
fn a_chain_that_is_killed_anywhere_ends_in_the_same_bytes() {
    let rounds = std::env::var("MIDASHI_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(6);
    let artifacts = folder();
    let checkpoint = Run::sample(&artifacts, "checkpoint").small_model();
    checkpoint.stages(&STAGES[..4]);
    let run = |name: &str| {
        let run = Run::sample(&artifacts, name).checkpoint(&checkpoint.artifact("model"));
        run.set("train.trainable_layers=1 evaluate.explain.texts=4 evaluate.explain.faithfulness_texts=2")
    };
    let whole = run("whole");
    let mut seconds = Vec::new();
    for stage in STAGES {
        let started = Instant::now();
        whole.stages(&[stage]);
        seconds.push(started.elapsed().as_secs_f64());
    }
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let killed = run("killed");
    let (mut kills, mut again) = (0, 0);
    while kills < rounds {
        // A finished chain begins anew at a stage.
        if killed.artifact("report.html").exists() {
            let names =
                ["sources.json", "corpus.parquet", "tokens.arrow", "training.parquet", "metrics.json"];
            fs::remove_file(killed.artifact(names[rng.random_range(0..names.len())])).unwrap();
            fs::remove_file(killed.artifact("report.html")).unwrap();
            again += 1;
        }
        let victim = rng.random_range(0..STAGES.len());
        killed.stages(&STAGES[..victim]);
        let mut child = killed.stage(STAGES[victim]).starts();
        sleep(Duration::from_secs_f64(seconds[victim] * rng.random_range(0.0..1.2)));
        if child.try_wait().unwrap().is_none() {
            let signal = if kills % 3 == 2 { "-TERM" } else { "-KILL" };
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
            kills += 1;
        }
        if child.wait().unwrap().success() {
            killed.stages(&STAGES[victim + 1..]);
        }
    }
    killed.stages(&STAGES);
    for file in [
        "corpus.parquet",
        "tokens.arrow",
        "training.parquet",
        "model/SHA256SUMS",
        "predictions.parquet",
        "attention.parquet",
        "explanations.parquet",
        "metrics.json",
    ] {
        assert!(killed.bytes(file) == whole.bytes(file), "{file} differs after {kills} kills");
    }
    killed.stage("verify").succeeds();
    println!("{kills} kills, {again} times begun anew: the same bytes");
}

#[test]
fn a_stopped_training_tells_how_to_go_on() {
    let artifacts = folder();
    let run = ready(&artifacts, "stopped");
    let outcome = stop(&run, "-INT");
    assert_eq!(outcome.code, Some(130), "{}", outcome.printed());
    outcome.says("interrupted: the state after step").says("the same command goes on from there");
    assert!(!run.artifact("model").exists());

    // Another training does not take its state.
    let other = run.clone().set("train.seed=1");
    other.stages(&["train"]).does_not_say("going on");
    let fresh = ready(&artifacts, "fresh").set("train.seed=1");
    fresh.stages(&["train"]);
    assert_same_model(&other, &fresh);
}

#[test]
fn a_state_that_cannot_be_read_is_reported_and_not_used() {
    let artifacts = folder();
    let run = ready(&artifacts, "damaged");
    fs::write(run.artifact("training.state"), "no safetensors").unwrap();
    run.stages(&["train"]).says("training starts from the beginning");
    assert!(!run.artifact("training.state").exists());
}

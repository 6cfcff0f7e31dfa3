//! Files that change behind the stages' backs. A flipped bit or a cut end is found, or its file is made again; it never
//! becomes another number.
//!
//! `MIDASHI_ROUNDS=200 cargo test --release --test integrity -- --nocapture` damages every file so often and prints a
//! table. Without it, every file is damaged once in each way. Another `MIDASHI_SEED` than 15 damages other places.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use midashi_tests::{Corpus, Outcome, Run, STAGES, folder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The files of a run that a stage or a tool reads or would leave in place.
const FILES: [&str; 22] = [
    "sources.json",
    "corpus.parquet",
    "tokens.arrow",
    "tokenizer/vocab.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/SHA256SUMS",
    "features.arrow",
    "features.arrow.sha256",
    "training.parquet",
    "model/model.safetensors",
    "model/config.json",
    "model/midashi.json",
    "model/labels.json",
    "model/vocab.txt",
    "model/classifier.onnx",
    "model/SHA256SUMS",
    "predictions.parquet",
    "attention.parquet",
    "explanations.parquet",
    "baseline.parquet",
    "metrics.json",
    "run.json",
];

/// They hold times, or are the scripts' own.
const NOT_COMPARED: [&str; 4] = ["run.json", "report.html", ".lock", "tensorboard"];

/// A training with the same frozen layers and the same texts.
const NEXT_TRAINING: &str = "train.learning_rate.classifier=2e-3";

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    Truncation,
}

fn rounds() -> usize {
    number("MIDASHI_ROUNDS").unwrap_or(1)
}

/// The number in an environment variable, where it is set.
fn number<N: FromStr<Err: Debug>>(variable: &str) -> Option<N> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap())
}

/// Random places of damages. Each `stream` has its own.
fn random(stream: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(number("MIDASHI_SEED").unwrap_or(15));
    rng.set_stream(stream as u64);
    rng
}

/// A run of few texts and a small model: a stage takes a fifth of a second, so thousands of damages can be tried.
fn whole_run(artifacts: &Path) -> Run {
    let corpus = Corpus::few_of_the_sample(8).write(artifacts.join("text"));
    // Only a checkpoint has frozen layers, whose hidden states are cached.
    let checkpoint = Run::sample(artifacts, "checkpoint").reads(&corpus).small_model();
    checkpoint.stages(&STAGES[..4]);
    let run = Run::sample(artifacts, "whole").reads(&corpus).checkpoint(&checkpoint.artifact("model")).set(
        "train.trainable_layers=1 train.epochs=1 evaluate.explain.texts=4 evaluate.explain.faithfulness_texts=2 \
         evaluate.explain.matrices=1",
    );
    run.stages(&STAGES);
    run
}

/// The bytes of all files below `folder` whose equality is required, by relative path.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if NOT_COMPARED.contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                collect(root, &path, found);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(folder, folder, &mut found);
    found
}

/// Changes a file and leaves, where `keep_time` says so, its modification time.
fn damage(path: &Path, kind: Damage, keep_time: bool, rng: &mut ChaCha8Rng) -> String {
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let mut bytes = fs::read(path).unwrap();
    let place = rng.random_range(0..bytes.len());
    match kind {
        Damage::Flip => bytes[place] ^= 1 << rng.random_range(0..8),
        Damage::Truncation => bytes.truncate(place),
    }
    // The model's files have several names; a damaged disk damages all of them, a test of one name does not.
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
    if keep_time {
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }
    format!("{kind:?} at byte {place}{}", if keep_time { ", time restored" } else { "" })
}

/// Asserts that a program either did its work or refused it in one line.
fn assert_decent(outcome: &Outcome, what: &str) {
    let printed = outcome.printed();
    assert!(!printed.contains("panicked"), "{what}: {printed}");
    match outcome.code {
        Some(0) => {}
        Some(2) => assert!(printed.lines().any(|line| line.starts_with("error: ")), "{what}: {printed}"),
        other => panic!("{what}: exit code {other:?}: {printed}"),
    }
}

/// The files that differ from the whole run's. One that is not there is no different number.
fn differing(run: &Run, expected: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<PathBuf> {
    let found = contents(&run.folder());
    found
        .into_iter()
        .filter(|(path, bytes)| expected.get(path) != Some(bytes))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn a_damaged_file_is_refused_or_made_again_by_every_stage_alone_and_by_all() {
    let artifacts = folder();
    let whole = whole_run(artifacts.path());
    let expected = contents(&whole.folder());
    // A cache is read by the next training or evaluation that needs it.
    let place = folder();
    let next_run = whole.copy_to(&place).set(NEXT_TRAINING);
    next_run.stages(&STAGES);
    let expected_next = contents(&next_run.folder());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                while let Some(file) = FILES.get(next.fetch_add(1, Ordering::Relaxed)) {
                    damage_often(file, &whole, &expected, &expected_next);
                }
            });
        }
    });
}

/// Damages one file of the `whole` run in each way and as often as [`rounds`] says. `expected_next` are the files of the next
/// training, which reads a cache.
#[expect(clippy::print_stdout, reason = "a row of the table that MIDASHI_ROUNDS asks for")]
fn damage_often(
    file: &str,
    whole: &Run,
    expected: &BTreeMap<PathBuf, Vec<u8>>,
    expected_next: &BTreeMap<PathBuf, Vec<u8>>,
) {
    let mut rng = random(FILES.iter().position(|known| *known == file).unwrap());
    let (mut tried, mut refused, mut remade) = (0, 0, 0);
    for round in 0..rounds() {
        for kind in [Damage::Flip, Damage::Truncation] {
            let place = folder();
            let run = whole.copy_to(&place);
            let keep_time = round % 2 == 0;
            let what = format!("{file}: {}", damage(&run.artifact(file), kind, keep_time, &mut rng));
            let damaged = differing(&run, expected);
            // Every stage alone, on the same damage: it changes nothing that was right.
            for stage in STAGES {
                let alone = folder();
                let copy = run.copy_to(&alone);
                let outcome = copy.stage(stage).ends();
                assert_decent(&outcome, &format!("{what}, {stage} alone"));
                let now = differing(&copy, expected);
                let new: Vec<_> = now.iter().filter(|path| !damaged.contains(path)).collect();
                assert!(new.is_empty(), "{what}, {stage} alone: {new:?} differ\n{}", outcome.printed());
                tried += 1;
                refused += usize::from(outcome.code == Some(2));
            }
            let is_cache = ["features", "baseline"].iter().any(|cache| file.starts_with(cache));
            let (run, expected) =
                if is_cache { (run.set(NEXT_TRAINING), expected_next) } else { (run, expected) };
            let outcome = run.stages(&STAGES);
            let damaged = differing(&run, expected);
            assert!(damaged.is_empty(), "{what}, all: {damaged:?} differ\n{}", outcome.printed());
            remade += 1;
        }
    }
    println!("{file}: {tried} stages alone, {refused} refused; {remade} times all stages: the same bytes");
}

#[test]
fn a_damaged_model_is_not_asked() {
    let artifacts = folder();
    let whole = whole_run(artifacts.path());
    let ask = |run: &Run| run.stage("predict").arguments(["--format", "json", "猫の新しい写真"]).ends();
    let answer = ask(&whole);
    assert_eq!(answer.code, Some(0), "{}", answer.printed());
    let mut rng = random(FILES.len());
    for file in FILES.into_iter().filter(|file| file.starts_with("model/")) {
        for round in 0..rounds() {
            for kind in [Damage::Flip, Damage::Truncation] {
                let place = folder();
                let run = whole.copy_to(&place);
                let what = format!("{file}: {}", damage(&run.artifact(file), kind, round % 2 == 0, &mut rng));
                let outcome = ask(&run);
                assert_decent(&outcome, &what);
                assert!(
                    outcome.code == Some(2) || outcome.stdout == answer.stdout,
                    "{what}: {}",
                    outcome.printed()
                );
            }
        }
    }
}

#[test]
fn a_damaged_model_is_not_the_checkpoint_of_another_run() {
    let artifacts = folder();
    let whole = whole_run(artifacts.path());
    let mut rng = random(FILES.len() + 1);
    for file in ["model/model.safetensors", "model/config.json", "model/vocab.txt"] {
        let place = folder();
        let run = whole.copy_to(&place);
        damage(&run.artifact(file), Damage::Flip, true, &mut rng);
        let says = [file, "has changed since it was written"];
        Run::sample(place.path(), "next").checkpoint(&run.artifact("model")).stage("fetch").fails_with(says);
        let model = run.artifact("model");
        run.stage("inspect").arguments([model.to_str().unwrap()]).fails_with(says);
    }
}

#[test]
fn an_evaluation_that_is_up_to_date_still_names_a_damaged_model() {
    let artifacts = folder();
    let run = whole_run(artifacts.path());
    run.stage("evaluate").succeeds().up_to_date(1);
    let expected = contents(&run.folder());
    let mut rng = random(FILES.len() + 2);
    for file in ["model/model.safetensors", "model/config.json", "model/midashi.json", "model/vocab.txt"] {
        damage(&run.artifact(file), Damage::Flip, true, &mut rng);
        let name = format!("{file} is not as train wrote it");
        run.stage("evaluate").fails_with([&*name, "run `make train` to make it again"]);
        run.stage("train").succeeds().up_to_date(0);
        run.stage("evaluate").succeeds().up_to_date(1);
        assert!(differing(&run, &expected).is_empty(), "{file}");
    }
}

#[test]
fn verify_names_the_file_that_does_not_belong_to_its_run() {
    let artifacts = folder();
    let whole = whole_run(artifacts.path());
    whole.stage("verify").succeeds().says("belong to this run");
    let mut rng = random(FILES.len() + 3);
    for (file, says) in [
        ("tokens.arrow", "not as tokenize wrote it; run `make tokenize`"),
        ("model/model.safetensors", "not as train wrote it; run `make train`"),
        ("features.arrow", "the stage that needs it makes it again"),
        ("metrics.json", "not as evaluate wrote it; run `make evaluate`"),
    ] {
        let place = folder();
        let run = whole.copy_to(&place);
        damage(&run.artifact(file), Damage::Flip, true, &mut rng);
        let outcome = run.stage("verify").fails_with(["do not belong to this run"]);
        outcome.says(file).says(says);
    }

    let place = folder();
    let without = whole.copy_to(&place);
    fs::remove_file(without.artifact("features.arrow")).unwrap();
    without.stage("verify").succeeds();

    // A stage that worked again: what was made from its former output is outdated.
    let other = whole.clone().set("corpus.split.seed=1");
    other.stages(&["ingest"]);
    let outcome = other.stage("verify").fails_with(["do not belong to this run"]);
    outcome.says("outdated   corpus.parquet: not as tokenize read it; run `make tokenize`");
}

#[test]
fn verify_names_every_artifact_without_a_record() {
    let artifacts = folder();
    let whole = whole_run(artifacts.path());
    let record: serde_json::Value =
        serde_json::from_slice(&fs::read(whole.artifact("run.json")).unwrap()).unwrap();
    let entries = record["stages"].as_object().unwrap();
    assert_eq!(entries.keys().collect::<Vec<_>>(), STAGES);
    let place = folder();
    let run = whole.copy_to(&place);
    for (stage, entry) in entries {
        let mut others = record.clone();
        others["stages"].as_object_mut().unwrap().remove(stage);
        fs::write(run.artifact("run.json"), serde_json::to_vec(&others).unwrap()).unwrap();
        let outcome = run.stage("verify").fails_with(["do not belong to this run"]);
        let unrecorded = |line: &&str| line.trim_start().starts_with("unrecorded");
        let outputs = entry["outputs"].as_array().unwrap();
        assert_eq!(outcome.printed().lines().filter(unrecorded).count(), outputs.len(), "{stage}");
        for output in outputs {
            let path = output["path"].as_str().unwrap();
            outcome.says(&format!(
                "unrecorded {path}: run.json does not say how it was made; run `make {stage}`"
            ));
        }
    }
    fs::remove_file(run.artifact("run.json")).unwrap();
    run.stage("verify").fails_with(["do not belong to this run"]).says("unrecorded corpus.parquet");
    run.stages(&STAGES);
    run.stage("verify").succeeds().says("belong to this run");
}

#[test]
fn a_corpus_of_the_same_size_and_time_is_seen_to_have_changed() {
    let artifacts = folder();
    let corpus = artifacts.path().join("texts");
    for (category, text) in [("pets", "猫の写真"), ("cars", "車の写真")] {
        fs::create_dir_all(corpus.join(category)).unwrap();
        for number in 0..6 {
            let article =
                format!("http://example.com/{number}\n2026-01-01T00:00:00+0900\n{text}{number}\n本文\n");
            fs::write(corpus.join(category).join(format!("{category}-{number}.txt")), article).unwrap();
        }
    }
    let run = Run::sample(artifacts.path(), "changed").reads(&corpus);
    run.stages(&["fetch", "ingest"]);
    run.stage("ingest").succeeds().up_to_date(1);
    let file = corpus.join("pets/pets-0.txt");
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let text = fs::read_to_string(&file).unwrap().replace('猫', "犬");
    fs::write(&file, text).unwrap();
    File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    run.stage("ingest").succeeds().up_to_date(0);
}

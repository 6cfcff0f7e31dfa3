//! A machine that does not do what a program expects: full disks, folders that may only be read, few open files, strange
//! paths, readers that have gone. Work that is finished stays, and a message says what is wrong.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use midashi_tests::{Corpus, Run, STAGES, folder, root};

fn small(artifacts: impl AsRef<Path>, name: &str) -> Run {
    Run::sample(artifacts, name)
        .small_model()
        .set("evaluate.explain.texts=4 evaluate.explain.faithfulness_texts=2")
}

/// The shell command of a user who may write only what permissions allow. The superuser may write everywhere unless it
/// gives up the right to.
fn as_reader() -> &'static str {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if is_root { r#"exec setpriv --bounding-set=-dac_override "$@""# } else { r#"exec "$@""# }
}

#[test]
fn a_report_that_nobody_reads_or_that_has_no_room_is_no_reason_to_stop() {
    let place = folder();
    let full = small(&place, "full");
    let closed = small(&place, "closed");
    for stage in STAGES {
        full.stage(stage).shell(r#"exec "$@" >/dev/full"#).succeeds();
        let outcome = closed.stage(stage).shell(r#""$@" | head -c 0; exit 0"#).succeeds();
        outcome.does_not_say("panicked");
    }
    assert!(full.bytes("predictions.parquet") == closed.bytes("predictions.parquet"));
    full.stage("verify").succeeds();
    closed.stage("verify").succeeds();
}

#[test]
fn answers_that_cannot_be_written_are_an_error() {
    let place = folder();
    let run = small(&place, "run");
    run.stages(&["fetch", "ingest", "tokenize", "train"]);
    let predict = run.stage("predict").arguments(["--format", "json", "猫の写真"]);
    let outcome = predict.shell(r#"exec "$@" >/dev/full"#).ends();
    assert_eq!(outcome.code, Some(2), "{}", outcome.printed());
    outcome.says("error: ").does_not_say("panicked");
}

#[test]
fn a_finished_run_that_may_only_be_read_is_up_to_date() {
    let place = folder();
    let run = small(&place, "run");
    run.stages(&STAGES);
    let protect = |mode: u32| {
        for entry in fs::read_dir(run.folder()).unwrap().map(Result::unwrap) {
            let executable = if entry.path().is_dir() { 0o111 } else { 0 };
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(mode | executable)).unwrap();
        }
        fs::set_permissions(run.folder(), fs::Permissions::from_mode(mode | 0o111)).unwrap();
    };
    protect(0o444);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for stage in STAGES {
        run.stage(stage).shell(as_reader()).succeeds().up_to_date(1);
    }
    let outcome = run.stage("render").set("render.title=Other").shell(as_reader()).ends();
    protect(0o644);
    outcome.refuses(["may only be read", "render is not up to date", "run.artifacts"]);
}

#[test]
fn a_cache_that_may_only_be_read_costs_time_and_is_said() {
    let place = folder();
    let cache = place.path().join("cache");
    fs::create_dir(&cache).unwrap();
    for brought in ["onnxruntime", "ipadic"] {
        std::os::unix::fs::symlink(root().join("cache").join(brought), cache.join(brought)).unwrap();
    }
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let usual = small(&place, "usual");
    let poor = small(&place, "poor").set(&format!("run.cache={}", cache.display()));
    let copy = cache.join("dictionaries/ipadic-").display().to_string();
    let note = "the MeCab dictionary is converted anew each time";
    for stage in STAGES {
        usual.stage(stage).succeeds().does_not_say(note);
        let outcome = poor.stage(stage).shell(as_reader()).succeeds();
        if stage == "tokenize" {
            outcome.says(&copy).says("cannot be written").says(note);
        }
    }
    for artifact in ["tokens.arrow", "tokenizer/vocab.txt", "model/model.safetensors", "predictions.parquet"]
    {
        assert!(poor.bytes(artifact) == usual.bytes(artifact), "{artifact}");
    }
    // Programs whose standard output is the answer say it beside the answer.
    let predicted = |run: &Run| run.stage("predict").arguments(["--format", "json", "猫の写真を撮る"]);
    let outcome = predicted(&poor).shell(as_reader()).succeeds();
    assert_eq!(outcome.stdout, predicted(&usual).succeeds().stdout);
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    let model = usual.artifact("model").display().to_string();
    let inspected = |run: &Run| run.stage("inspect").arguments(["--text", "猫の写真を撮る", &model]);
    let outcome = inspected(&poor).shell(as_reader()).succeeds();
    assert!(outcome.stdout.contains("pieces of \"猫の写真を撮る\"") && outcome.stderr.contains(note));
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn thirty_two_open_files_are_enough() {
    let place = folder();
    let run = small(&place, "run");
    for stage in STAGES {
        run.stage(stage).shell(r#"ulimit -n 32; exec "$@""#).succeeds();
    }
}

#[test]
fn a_disk_that_is_full_leaves_what_was_finished() {
    let place = folder();
    let run = small(&place, "run");
    run.stages(&["fetch", "ingest", "tokenize"]);
    let tokens = run.bytes("tokens.arrow");
    // A file may have 64 KiB, which the model has not: as on a full disk, a write fails in the middle.
    let outcome = run.stage("train").shell(r#"trap '' XFSZ; ulimit -f 64; exec "$@""#).ends();
    assert_eq!(outcome.code, Some(2), "{}", outcome.printed());
    outcome.says("error: cannot ").does_not_say("panicked");
    assert!(!run.artifact("model").exists(), "half a model");
    assert!(run.bytes("tokens.arrow") == tokens);
    run.stages(&["train"]);
    run.stage("verify").succeeds();
}

#[test]
fn a_home_is_not_needed_and_a_path_may_have_any_name() {
    let place = folder();
    for name in ["with spaces", "見出し", "a line\nfeed", "quote'\"s"] {
        let artifacts = place.path().join(name);
        let corpus = artifacts.join("corpus");
        Corpus::sample().write(&corpus);
        let config = artifacts.join("run.toml");
        let source = toml::Value::from(corpus.display().to_string());
        let text = fs::read_to_string(root().join("data/scratch.toml")).unwrap();
        let sample = r#"source = "data/sample/text""#;
        assert!(text.contains(sample));
        fs::write(&config, text.replace(sample, &format!("source = {source}"))).unwrap();
        let run = small(&artifacts, "run").config(&config);
        for stage in STAGES {
            run.stage(stage).shell(r#"unset HOME XDG_CACHE_HOME; exec "$@""#).succeeds();
        }
        run.stage("verify").succeeds();
    }
}

#[test]
fn an_older_versions_run_is_worked_again() {
    let place = folder();
    let run = small(&place, "run");
    run.stages(&STAGES);
    let record = run.text("run.json");
    assert!(record.contains(r#""version": "0.1.0+"#));
    let mut older: serde_json::Value = serde_json::from_str(&record).unwrap();
    for (_, entry) in older["stages"].as_object_mut().unwrap() {
        entry["version"] = serde_json::json!("0.0.9+1");
        // Older versions did not seal their entries.
        entry.as_object_mut().unwrap().remove("sha256");
    }
    fs::write(run.artifact("run.json"), older.to_string()).unwrap();
    let tokens = run.bytes("tokens.arrow");
    for stage in STAGES {
        run.stage(stage).succeeds().up_to_date(0);
    }
    assert!(run.bytes("tokens.arrow") == tokens);
}

//! Sweeps as their user meets them: what the runs share, what is written about them, what is refused.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use midashi_artifacts::{Corpus, Metrics};
use midashi_tests::{Outcome, Run, STAGES, Shared, folder, root};
use serde_json::{Value, json};

fn small(artifacts: impl AsRef<Path>, name: &str) -> Run {
    Run::sample(artifacts, name).small_model().set("evaluate.attention_texts=20")
}

/// A run from scratch, of whose model the sweeps train the last layer further.
fn from_scratch() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = small(artifacts, "checkpoint")
            .set("train.epochs=4 train.learning_rate.encoder=5e-3 train.learning_rate.classifier=5e-3");
        run.stages(&STAGES[..4]);
        run
    })
}

fn run(artifacts: impl AsRef<Path>, name: &str) -> Run {
    small(artifacts, name)
        .checkpoint(&from_scratch().artifact("model"))
        .set("train.trainable_layers=1 corpus.split.validation=0.1 train.learning_rate.classifier=5e-3")
}

fn swept(artifacts: impl AsRef<Path>, sweep: &str) -> Run {
    run(artifacts, "base").environment("MIDASHI_SWEEP", sweep)
}

/// A finished sweep of two seeds, and what it printed.
fn seeds() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|artifacts| {
        let base = swept(artifacts, "train.seed=1,2");
        let outcome = base.stage("sweep").succeeds();
        (base, outcome)
    })
}

/// The artifact `name` of each of the two runs.
fn of_seeds(name: &str) -> [PathBuf; 2] {
    [1, 2].map(|seed| seeds().0.artifact(&format!("sweep/train.seed={seed}/{name}")))
}

fn metrics_of_seeds() -> [Metrics; 2] {
    of_seeds("metrics.json").map(|path| Metrics::read(&path).unwrap())
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

/// The cells of the table's row on accuracy.
fn accuracy(outcome: &Outcome) -> Vec<String> {
    let printed = outcome.printed();
    let line = printed.lines().find(|line| line.starts_with("| accuracy ")).unwrap();
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn runs_share_what_they_have_in_common() {
    let (base, outcome) = seeds();
    // Fetch, ingest and tokenize of both.
    outcome.up_to_date(6);
    // Features are computed once.
    outcome.says_times(1, "1440 texts in").says_times(1, "frozen layers: read from");
    for name in ["sources.json", "corpus.parquet", "tokens.arrow", "tokenizer/vocab.txt"] {
        for path in of_seeds(name) {
            assert_eq!(inode(&path), inode(&base.artifact(name)), "{name} is one file");
        }
    }
    for name in ["features.arrow", "baseline.parquet"] {
        let [one, other] = of_seeds(name);
        assert_eq!(inode(&one), inode(&other), "{name} is one file");
    }
    let [one, other] = of_seeds("predictions.parquet").map(|path| fs::read(path).unwrap());
    assert!(one != other, "two seeds are two models");
}

#[test]
fn a_row_has_a_runs_setting_and_scores() {
    let sweep = seeds().0.sweep();
    assert_eq!(sweep.keys, ["train.seed"]);
    assert_eq!(sweep.rows.len(), 2);
    for (row, (seed, metrics)) in sweep.rows.iter().zip([1, 2].into_iter().zip(metrics_of_seeds())) {
        assert_eq!((row.run.as_str(), row.values[0].as_i64()), (&*format!("train.seed={seed}"), Some(seed)));
        let scores = row.scores.unwrap();
        assert_eq!(
            (scores.accuracy, scores.macro_f1, scores.weighted_f1),
            (metrics.accuracy, metrics.macro_f1, metrics.weighted_f1)
        );
        let baseline = metrics.baseline.map(|baseline| baseline.scores.accuracy);
        assert_eq!(scores.baseline_accuracy, baseline);
        assert!(scores.validation_accuracy.is_some() && scores.ensemble_accuracy.is_none());
    }
}

#[test]
fn the_table_has_mean_and_standard_deviation() {
    let [one, other] = metrics_of_seeds().map(|metrics| metrics.accuracy);
    // Of two numbers: their mean, and the difference by the root of 2.
    let (mean, deviation) = ((one + other) / 2.0, (one - other).abs() / 2_f64.sqrt());
    let expected = [mean, deviation, one.min(other), one.max(other)].map(|number| format!("{number:.4}"));
    let cells = accuracy(&seeds().1);
    assert_eq!(cells[2], "2");
    assert_eq!(cells[3..7], expected);
}

#[test]
fn a_run_of_a_sweep_is_the_run_alone() {
    let artifacts = folder();
    let alone = run(&artifacts, "alone").set("train.seed=2");
    alone.stages(&STAGES[..5]);
    for name in ["model/model.safetensors", "predictions.parquet", "metrics.json"] {
        let [_, swept] = of_seeds(name);
        assert!(alone.bytes(name) == fs::read(swept).unwrap(), "{name} differs from that of a run alone");
    }
}

#[test]
fn a_finished_sweep_does_nothing_again_and_its_runs_can_be_opened() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.seed=1 train.weight_decay=0,1e-2");
    base.stage("sweep").succeeds();
    let state = || (inode(&base.artifact("sweep.parquet")), base.modified("sweep.parquet"));
    let before = state();
    let again = base.stage("sweep").succeeds();
    again.up_to_date(3 + 2 * 5 + 1).says("| accuracy ").says("One run per setting");
    assert_eq!(state(), before);

    // One more value: one more run.
    let more = swept(&artifacts, "train.seed=1 train.weight_decay=0,1e-2,0.1");
    more.stage("sweep").succeeds().up_to_date(3 + 2 * 5 + 3);

    let name = "train.seed=1,train.weight_decay=1e-2";
    let runs = base.artifact("sweep");
    let one = Run::sample(&runs, name).config(&runs.join(name).join("pipeline.toml"));
    // All but render.
    one.stages(&STAGES).up_to_date(5);
    assert!(one.artifact("report.html").exists());
}

#[test]
fn a_run_with_another_split_makes_its_own_corpus() {
    let artifacts = folder();
    let base = swept(&artifacts, "corpus.split.seed=0,1 train.seed=1,2").set("train.epochs=1");
    let outcome = base.stage("sweep").succeeds();
    // Features once for each split.
    outcome.says_times(2, "1440 texts in");
    let corpus = |name: &str| base.artifact(name).join("corpus.parquet");
    let [own, other] = [0, 1].map(|seed| corpus(&format!("sweep/corpus.split.seed={seed},train.seed=2")));
    assert_eq!(inode(&own), inode(&corpus("")));
    assert_eq!(inode(&other), inode(&corpus("sweep/corpus.split.seed=1,train.seed=1")));
    let splits = |path: &Path| -> Vec<_> {
        Corpus::read(path).unwrap().articles.into_iter().map(|article| article.split).collect()
    };
    assert_ne!(splits(&own), splits(&other));
    assert_eq!(accuracy(&outcome)[2], "4", "seeds of both kinds are repetitions");
}

#[test]
fn a_failed_run_is_named_and_the_others_go_on() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.learning_rate.encoder=1e36,1e-3").set("train.epochs=1");
    let outcome = base.stage("sweep").ends();
    assert_eq!(outcome.code, Some(2));
    outcome
        .says("error: 1 of 2 runs failed")
        .says("train.learning_rate.encoder=1e36 failed in train: the loss is")
        .says("0 of 1");
    let scored: Vec<bool> = base.sweep().rows.iter().map(|row| row.scores.is_some()).collect();
    assert_eq!(scored, [false, true]);
}

#[test]
fn a_wrong_sweep_is_refused_before_anything_runs() {
    let artifacts = folder();
    for (sweep, parts) in [
        ("", &["SWEEP is empty", "train.seed=1,2,3"][..]),
        ("train.sed=1,2", &["SWEEP", "unknown key train.sed; did you mean train.seed?"]),
        ("train.seed=1 train.seed=2", &["train.seed is swept already"]),
        ("train.seed=1,", &["SWEEP train.seed=1,", "expected section.key=value,value"]),
        ("run.name=a,b", &["run.name cannot be swept"]),
        ("train.epochs=1,0", &["train.epochs is 0"]),
    ] {
        swept(&artifacts, sweep).stage("sweep").fails_with(parts.iter().copied());
    }
    assert!(!artifacts.path().join("base").exists(), "nothing was made");
}

/// The artifacts of a run of two seeds that do not depend on its place.
const OF_A_RUN: [&str; 6] = [
    "tokens.arrow",
    "training.parquet",
    "model/model.safetensors",
    "model/classifier.onnx",
    "predictions.parquet",
    "metrics.json",
];

/// Asserts that a sweep of two seeds is, byte for byte, the one that was not spread.
fn is_the_plain_sweep(base: &Run, collected: &Outcome) {
    assert!(base.bytes("sweep.parquet") == seeds().0.bytes("sweep.parquet"), "sweep.parquet differs");
    for name in OF_A_RUN {
        for (seed, plain) in [1, 2].into_iter().zip(of_seeds(name)) {
            let spread = base.bytes(&format!("sweep/train.seed={seed}/{name}"));
            assert!(spread == fs::read(plain).unwrap(), "{name} of seed {seed} differs");
        }
    }
    let scores = |outcome: &Outcome| -> Vec<String> {
        let lines = outcome.stdout.lines().filter(|line| line.starts_with("| ") && !line.contains("seconds"));
        lines.map(str::to_owned).collect()
    };
    assert!(scores(collected).len() > 4);
    assert_eq!(scores(collected), scores(&seeds().1));
}

fn list(base: &Run) -> Vec<Value> {
    let listed = base.stage("sweep").arguments(["--list"]).succeeds();
    assert_eq!(listed.stderr, "");
    listed.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_list_says_what_each_run_is_and_which_one_should_finish_first() {
    let artifacts = folder();
    let base = swept(&artifacts, "corpus.split.seed=0,1 train.seed=1,2");
    let runs = list(&base);
    assert!(!base.folder().exists(), "nothing is written");
    let name = "corpus.split.seed=1,train.seed=2";
    let folder = base.artifact("sweep").join(name);
    let last = json!({
        "number": 4,
        "name": name,
        "values": {"corpus.split.seed": 1, "train.seed": 2},
        "folder": folder,
        "config": folder.join("pipeline.toml"),
        "after": 3,
        "shares": ["corpus", "tokens", "features", "baseline"],
    });
    assert_eq!(runs[3], last);
    let after: Vec<&Value> = runs.iter().map(|run| &run["after"]).collect();
    assert_eq!(after, [&json!(null), &json!(1), &json!(null), &json!(3)]);
    // The tokens of the first split are those of the sweep's own folder.
    assert_eq!(runs[1]["shares"], json!(["features", "baseline"]));

    let all = base.set("train.trainable_layers=all evaluate.baseline=false");
    let after: Vec<Value> = list(&all).into_iter().map(|run| run["after"].clone()).collect();
    assert_eq!(after, [json!(null), json!(null), json!(null), json!(3)], "there is nothing else to share");
}

#[test]
fn runs_at_once_and_in_any_order_are_the_sweep() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.seed=1,2");
    // A scheduler that believes the second run dead starts it once more.
    let runs = ["2", "1", "2"].map(|number| base.stage("sweep").arguments(["--run", number]).starts());
    for (number, run) in ["2", "1", "2 once more"].into_iter().zip(runs) {
        let outcome = Outcome::of(run);
        assert_eq!(outcome.code, Some(0), "run {number}: {}", outcome.printed());
    }
    let collected = base.stage("sweep").arguments(["--collect"]).succeeds();
    collected.does_not_say("train · ");
    is_the_plain_sweep(&base, &collected);
    let made = base.modified("sweep.parquet");
    // All that the sweep itself would do has been done.
    base.stage("sweep").succeeds().up_to_date(3 + 2 * 5 + 1);
    assert_eq!(base.modified("sweep.parquet"), made);
}

#[test]
fn a_run_whose_process_was_killed_is_done_again() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.seed=1,2");
    let mut killed = base.stage("sweep").arguments(["--run", "1"]).starts();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("train · ")));
    killed.kill().unwrap();
    killed.wait().unwrap();
    // The stage that it had started goes on by itself, and the second process waits for it.
    base.stage("sweep").arguments(["--collect"]).ends().says("train.seed=1 has not finished");
    for number in ["1", "2"] {
        base.stage("sweep").arguments(["--run", number]).succeeds();
    }
    is_the_plain_sweep(&base, &base.stage("sweep").arguments(["--collect"]).succeeds());
}

#[test]
fn a_sweep_that_is_ended_ends_its_stage_too_and_goes_on_from_there() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.seed=1").set("train.epochs=6 train.save_interval=0");
    let mut sweep = base.stage("sweep").starts();
    let state = base.artifact("sweep/train.seed=1/training.state");
    while !state.exists() && sweep.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(2));
    }
    // Only the sweep, as a scheduler does it.
    assert!(Command::new("kill").args(["-TERM", &sweep.id().to_string()]).status().unwrap().success());
    let outcome = Outcome::of(sweep);
    assert_eq!(outcome.code, Some(130), "{}", outcome.printed());
    outcome.says("is saved").says("the same sweep goes on from there");
    base.stage("sweep").succeeds().says("going on after step");
}

#[test]
fn a_run_takes_over_the_work_of_the_one_before() {
    let artifacts = folder();
    let base = swept(&artifacts, "corpus.split.seed=0,1 train.seed=1,2").set("train.epochs=1");
    let run = |number: &str| base.stage("sweep").arguments(["--run", number]).succeeds();
    run("3").says("1440 texts in").says("run 3/4 · corpus.split.seed=1,train.seed=1");
    // Fetch, ingest and tokenize of the sweep's folder and of the run.
    run("4").up_to_date(6).says("frozen layers: read from");
    for name in ["corpus.parquet", "tokens.arrow", "features.arrow", "baseline.parquet"] {
        let [one, other] =
            [1, 2].map(|seed| base.artifact(&format!("sweep/corpus.split.seed=1,train.seed={seed}/{name}")));
        assert_eq!(inode(&one), inode(&other), "{name} is one file");
    }
    let [one, other] = of_seeds("predictions.parquet").map(|path| fs::read(path).unwrap());
    assert!(one != other, "two seeds are two models");
}

#[test]
fn failed_and_missing_runs_are_named_with_the_command_that_does_them() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.learning_rate.encoder=1e36,1e-3").set("train.epochs=1");
    let collect = || base.stage("sweep").arguments(["--collect"]).ends();
    let failed = base.stage("sweep").arguments(["--run", "1"]).ends();
    failed.refuses([]);
    failed.says("error: train.learning_rate.encoder=1e36 failed in train: the loss is");

    let collected = collect();
    collected.refuses(["1 of 2 runs failed, missing: 1", "run the commands above"]);
    collected.says("train.learning_rate.encoder=1e36 failed in train: the loss is");
    collected.says("train.learning_rate.encoder=1e-3 has not finished").says("0 of 1");
    // The command is complete: neither the environment nor this process's options are needed.
    let commands: Vec<&str> = collected.stderr.lines().filter(|line| line.ends_with("--run 2")).collect();
    let mut command = Command::new("sh");
    command.args(["-c", commands[0]]).current_dir(root()).env_remove("MIDASHI_SET");
    assert!(command.output().unwrap().status.success() && commands.len() == 1, "{commands:?}");

    let collected = collect();
    collected.refuses(["1 of 2 runs failed; run the commands above"]);
    collected.says("train.learning_rate.encoder=1e36 failed in train: the loss is");
    let spread = base.bytes("sweep.parquet");
    let scored: Vec<bool> = base.sweep().rows.iter().map(|row| row.scores.is_some()).collect();
    assert_eq!(scored, [false, true]);
    fs::remove_file(base.artifact("sweep.parquet")).unwrap();
    base.stage("sweep").ends().says("error: 1 of 2 runs failed; run the commands above");
    assert!(base.bytes("sweep.parquet") == spread, "the sweep writes the same");
}

#[test]
fn scores_of_other_settings_and_changed_scores_are_not_collected() {
    let artifacts = folder();
    let base = seeds().0.copy_to(&artifacts);
    let collect = |base: &Run| base.stage("sweep").arguments(["--collect"]).ends();
    let again = collect(&base);
    assert_eq!(again.code, Some(0), "a sweep may be moved: {}", again.printed());
    is_the_plain_sweep(&base, &again);

    let other = collect(&base.clone().set("train.epochs=3"));
    other.refuses(["2 of 2 runs are missing"]);
    other.says("train.seed=1 has finished with other settings");

    let metrics = base.artifact("sweep/train.seed=2/metrics.json");
    let text = fs::read_to_string(&metrics).unwrap();
    fs::write(&metrics, text.replacen("accuracy", "accuracx", 1)).unwrap();
    let changed = collect(&base);
    changed.refuses(["1 of 2 runs are missing"]);
    changed.says("train.seed=2 has changed since it finished").does_not_say("train.seed=1 has");
    base.stage("sweep").arguments(["--run", "2"]).succeeds();
    is_the_plain_sweep(&base, &base.stage("sweep").arguments(["--collect"]).succeeds());
}

#[test]
fn a_run_that_is_not_in_the_list_is_refused_before_anything_runs() {
    let artifacts = folder();
    let base = swept(&artifacts, "train.seed=1,2");
    for (options, part) in [
        (
            &["--run", "0"][..],
            "--run is 0, expected a number from 1 to 2; `midashi-sweep --list` shows the runs",
        ),
        (&["--run", "3"], "--run is 3, expected a number from 1 to 2"),
        (&["--run", "x"], "invalid value 'x' for '--run <N>'"),
        (&["--run", "1", "--collect"], "cannot be used with"),
        (&["--list", "--collect"], "cannot be used with"),
    ] {
        base.stage("sweep").arguments(options).fails_with([part]);
    }
    assert!(!base.folder().exists(), "nothing was made");
}

#[test]
fn gnu_parallel_spreads_a_sweep() {
    for program in ["parallel", "jq"] {
        if Command::new(program).arg("--version").output().is_err() {
            // Written past the test harness, which hides what passing tests print.
            let line = format!("SKIPPED gnu_parallel_spreads_a_sweep: {program} is not installed\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            return;
        }
    }
    let artifacts = folder();
    let base = swept(&artifacts, "train.seed=1,2");
    let script = root().join("examples/cluster/sweep/parallel.sh");
    let spread = |base: &Run| {
        let command = format!("export JOBS=2; exec sh {} \"$@\"", script.display());
        base.stage("sweep").shell(&command).ends()
    };
    let outcome = spread(&base);
    assert_eq!(outcome.code, Some(0), "{}", outcome.printed());
    is_the_plain_sweep(&base, &outcome);

    let failing = base.environment("MIDASHI_SWEEP", "train.seed=1 train.learning_rate.encoder=1e36,1e-3");
    let outcome = spread(&failing.set("train.epochs=1"));
    assert_eq!(outcome.code, Some(2));
    outcome
        .says("error: 1 of 2 runs failed")
        .says("train.seed=1,train.learning_rate.encoder=1e36 failed in train: the loss is");
}

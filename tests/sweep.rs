//! Sweeps as their user meets them: what the runs share, what is written about them, what is refused.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use midashi_artifacts::{Corpus, Metrics};
use midashi_tests::{Outcome, Run, STAGES, Shared, folder};

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
    assert_ne!(one, other, "two seeds have a spread");
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

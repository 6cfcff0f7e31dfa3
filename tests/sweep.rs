//! Sweeps as their user meets them: what the runs share, what is written of them, what is refused.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use midashi_artifacts::{Corpus, Metrics, Sweep};
use midashi_tests::{Run, STAGES};

/// A model so small that a run takes a second.
const SMALL: &str = "model.scratch.layers=2 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000 train.epochs=2 evaluate.attention_texts=20";

/// A model from scratch, of which the sweeps train the last layer further.
fn checkpoint() -> &'static Path {
    static MODEL: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, model) = MODEL.get_or_init(|| {
        let artifacts = tempfile::tempdir().unwrap();
        let run = Run::new("data/sample.toml", artifacts.path(), "checkpoint").set(SMALL);
        let model = run.artifact("model");
        run.set("train.epochs=4 train.learning_rate.encoder=5e-3 train.learning_rate.classifier=5e-3")
            .stages(&STAGES[..4]);
        (artifacts, model)
    });
    model
}

fn run(artifacts: &Path, name: &str) -> Run {
    let checkpoint = format!("model.checkpoint={}", checkpoint().display());
    Run::new("data/sample.toml", artifacts, name)
        .set(SMALL)
        .set(&checkpoint)
        .set("train.trainable_layers=1 corpus.split.validation=0.1 train.learning_rate.classifier=5e-3")
}

fn swept(artifacts: &Path, name: &str, sweep: &str) -> Run {
    run(artifacts, name).environment("MIDASHI_SWEEP", sweep)
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[test]
fn runs_share_what_they_have_in_common_and_score_as_alone() {
    let artifacts = tempfile::tempdir().unwrap();
    let base = swept(artifacts.path(), "base", "train.seed=1,2");
    let text = base.stages(&["sweep"]);
    let settings = ["sweep/train.seed=1", "sweep/train.seed=2"].map(|name| base.artifact(name));
    assert_eq!(text.matches("up to date").count(), 6, "fetch, ingest and tokenize of both:\n{text}");
    assert_eq!(text.matches("1440 texts in").count(), 1, "features are computed once:\n{text}");
    assert_eq!(text.matches("taken from").count(), 1, "{text}");
    for name in ["sources.json", "corpus.parquet", "tokens.arrow", "tokenizer/vocab.txt"] {
        for setting in &settings {
            assert_eq!(inode(&setting.join(name)), inode(&base.artifact(name)), "{name} is one file");
        }
    }
    for name in ["features.arrow", "baseline.parquet"] {
        assert_eq!(inode(&settings[0].join(name)), inode(&settings[1].join(name)), "{name} is one file");
    }

    let sweep = Sweep::read(&base.artifact("sweep.parquet")).unwrap();
    assert_eq!(sweep.keys, ["train.seed"]);
    let metrics = settings.each_ref().map(|setting| Metrics::read(&setting.join("metrics.json")).unwrap());
    for (row, (seed, metrics)) in sweep.rows.iter().zip([1, 2].into_iter().zip(&metrics)) {
        assert_eq!((row.run.as_str(), row.values[0].as_i64()), (&*format!("train.seed={seed}"), Some(seed)));
        let scores = row.scores.unwrap();
        assert_eq!(
            (scores.accuracy, scores.macro_f1, scores.weighted_f1),
            (metrics.accuracy, metrics.macro_f1, metrics.weighted_f1)
        );
        assert_eq!(
            scores.baseline_accuracy,
            metrics.baseline.as_ref().map(|baseline| baseline.scores.accuracy)
        );
        assert!(scores.validation_accuracy.is_some() && scores.ensemble_accuracy.is_none());
    }
    // Of two numbers: their mean, and the difference by the root of 2.
    let [one, other] = metrics.each_ref().map(|metrics| metrics.accuracy);
    assert_ne!(one, other, "two seeds have a spread");
    let (mean, deviation) = ((one + other) / 2.0, (one - other).abs() / 2_f64.sqrt());
    let line = text.lines().find(|line| line.starts_with("| accuracy ")).unwrap();
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let expected = [mean, deviation, one.min(other), one.max(other)].map(|number| format!("{number:.4}"));
    assert_eq!(cells[2..7], ["2", &expected[0], &expected[1], &expected[2], &expected[3]]);

    let alone = run(artifacts.path(), "alone").set("train.seed=2");
    alone.stages(&STAGES[..5]);
    for name in ["model/model.safetensors", "predictions.parquet", "metrics.json"] {
        let same = fs::read(alone.artifact(name)).unwrap() == fs::read(settings[1].join(name)).unwrap();
        assert!(same, "{name} differs from that of a run alone");
    }
}

#[test]
fn a_finished_sweep_does_nothing_again_and_its_runs_can_be_opened() {
    let artifacts = tempfile::tempdir().unwrap();
    let base = swept(artifacts.path(), "base", "train.seed=1 train.weight_decay=0,1e-2");
    base.stages(&["sweep"]);
    let state = || {
        let file = fs::metadata(base.artifact("sweep.parquet")).unwrap();
        (file.ino(), file.modified().unwrap())
    };
    let before = state();
    let text = base.stages(&["sweep"]);
    assert_eq!(text.matches("up to date").count(), 3 + 2 * 5 + 1, "{text}");
    assert_eq!(state(), before);
    assert!(text.contains("| accuracy ") && text.contains("One run per setting"), "{text}");

    // One more value: one more run.
    let more = swept(artifacts.path(), "base", "train.seed=1 train.weight_decay=0,1e-2,0.1");
    let text = more.stages(&["sweep"]);
    assert_eq!(text.matches("up to date").count(), 3 + 2 * 5 + 3, "{text}");

    let name = "train.seed=1,train.weight_decay=1e-2";
    let runs = base.artifact("sweep");
    let one = Run::new("data/sample.toml", &runs, name).config(&runs.join(name).join("pipeline.toml"));
    let text = one.stages(&STAGES);
    assert_eq!(text.matches("up to date").count(), 5, "all but render:\n{text}");
    assert!(one.artifact("report.html").exists());
}

#[test]
fn a_run_with_another_split_makes_its_own_corpus() {
    let artifacts = tempfile::tempdir().unwrap();
    let base = swept(artifacts.path(), "base", "corpus.split.seed=0,1 train.seed=1,2").set("train.epochs=1");
    let text = base.stages(&["sweep"]);
    assert_eq!(text.matches("1440 texts in").count(), 2, "features once for each split:\n{text}");
    let corpus = |name: &str| base.artifact(name).join("corpus.parquet");
    let [own, other] = [0, 1].map(|seed| corpus(&format!("sweep/corpus.split.seed={seed},train.seed=2")));
    assert_eq!(inode(&own), inode(&corpus("")));
    assert_eq!(inode(&other), inode(&corpus("sweep/corpus.split.seed=1,train.seed=1")));
    let splits = |path: &Path| -> Vec<_> {
        Corpus::read(path).unwrap().articles.into_iter().map(|article| article.split).collect()
    };
    assert_ne!(splits(&own), splits(&other));
    let line = text.lines().find(|line| line.starts_with("| accuracy ")).unwrap();
    assert!(line.contains("|    4 |"), "seeds of both kinds are repetitions: {line}");
}

#[test]
fn a_failed_run_is_named_and_the_others_go_on() {
    let artifacts = tempfile::tempdir().unwrap();
    let base = swept(artifacts.path(), "base", "train.learning_rate.encoder=1e36,1e-3").set("train.epochs=1");
    let outcome = base.stage("sweep");
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.text.contains("error: 1 of 2 runs failed"), "{}", outcome.text);
    let named = "train.learning_rate.encoder=1e36 failed in train: the loss is";
    assert!(outcome.text.contains(named), "{}", outcome.text);
    let sweep = Sweep::read(&base.artifact("sweep.parquet")).unwrap();
    let scored: Vec<bool> = sweep.rows.iter().map(|row| row.scores.is_some()).collect();
    assert_eq!(scored, [false, true]);
    assert!(outcome.text.contains("0 of 1"), "{}", outcome.text);
}

#[test]
fn a_wrong_sweep_is_refused_before_anything_runs() {
    let artifacts = tempfile::tempdir().unwrap();
    for (sweep, parts) in [
        ("", &["SWEEP is empty", "train.seed=1,2,3"][..]),
        ("train.sed=1,2", &["SWEEP", "unknown key train.sed; did you mean train.seed?"]),
        ("train.seed=1 train.seed=2", &["train.seed is swept already"]),
        ("train.seed=1,", &["SWEEP train.seed=1,", "expected section.key=value,value"]),
        ("run.name=a,b", &["run.name cannot be swept"]),
        ("train.epochs=1,0", &["train.epochs is 0"]),
    ] {
        swept(artifacts.path(), "wrong", sweep).stage("sweep").refuses(parts);
    }
    assert!(!artifacts.path().join("wrong").exists(), "nothing was made");
}

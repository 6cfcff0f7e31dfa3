//! A run that is made again.

use midashi_tests::STAGES;

use crate::runs::{finished, twin};

#[test]
fn running_again_does_nothing_and_another_title_renders_the_report_alone() {
    let made = || {
        ["corpus.parquet", "tokens.arrow", "training.parquet", "model", "metrics.json", "report.html"]
            .map(|name| twin().modified(name))
    };
    let before = made();
    twin().stages(&STAGES).up_to_date(STAGES.len());
    assert_eq!(made(), before);

    twin().clone().set("render.title=Other").stages(&STAGES).up_to_date(STAGES.len() - 1);
    assert_eq!(made()[..5], before[..5]);
    assert!(twin().text("report.html").contains("<title>Other"));
}

#[test]
fn the_same_run_gives_the_same_bytes_wherever_it_is_made() {
    for name in [
        "corpus.parquet",
        "tokens.arrow",
        "tokenizer/vocab.txt",
        "training.parquet",
        "model/model.safetensors",
        "model/config.json",
        "model/classifier.onnx",
        "model/training.onnx",
        "model/README.md",
        "model/tokenizer_config.json",
        "predictions.parquet",
        "attention.parquet",
        "explanations.parquet",
        "metrics.json",
        "README.md",
    ] {
        assert!(finished().bytes(name) == twin().bytes(name), "{name} differs between two runs");
    }
}

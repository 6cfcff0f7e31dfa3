//! Stage 5, `midashi-evaluate`: classifies the test split, scores the predictions, compares them with a
//! linear baseline, explains them, and measures whether the explanations are faithful.

mod article;
mod attribution;
mod calibration;
mod classify;
mod comparison;
mod explain;
mod faithfulness;
mod metrics;
mod parts;
mod score;
mod statistics;
mod table;
mod texts;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use midashi_artifacts::{TokenizedCorpus, write_attention};
use midashi_classifier::ModelFolder;
use midashi_config::Evaluate;
use midashi_runtime::{Engine, EngineDescription};
use midashi_stage::{Stage, StageArguments};
use serde::Serialize;
use serde_json::json;

use crate::parts::Parts;

/// Raised when this stage's code gives other results for the same input.
const REVISION: u32 = 11;

/// Classifies the test split and writes predictions.parquet, attention.parquet, explanations.parquet and metrics.json
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

/// Everything besides the inputs that the results depend on.
#[derive(Serialize)]
struct Settings {
    evaluate: Evaluate,
    /// The last digits depend on the device, the number of threads and the version of ONNX Runtime.
    #[serde(flatten)]
    engine: EngineDescription,
    /// Texts per batch with `compat.article`, where texts attend to padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    article_batch_size: Option<usize>,
}

fn main() -> ExitCode {
    midashi_stage::main(|arguments: &Arguments| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("evaluate", REVISION, arguments)?;
    let (folder, config) = (stage.folder().clone(), stage.config().clone());
    let engine =
        Engine::open(&config.run.cache.join("onnxruntime"), config.evaluate.device, config.threads())?;
    midashi_stage::outln!("  {engine}");
    let settings = Settings {
        evaluate: config.evaluate.clone(),
        engine: engine.description(),
        article_batch_size: config.compat.article.then_some(config.train.batch_size),
    };
    // Also a run that is up to date must not pass a damaged model over: it is named here and not only by the next program.
    for file in ModelFolder::files(&folder.model()) {
        stage.require_intact(&file, "train")?;
    }
    // The list of the model's digests stands for its files.
    let (tokens, model) = (folder.tokens(), folder.model_sums());
    let outputs = [folder.predictions(), folder.attention(), folder.explanations(), folder.metrics()];
    let Some(work) = stage.begin(&settings, &[(&tokens, "tokenize"), (&model, "train")], &outputs)? else {
        return Ok(());
    };

    let corpus = TokenizedCorpus::read(&tokens)?;
    let mut parts = Parts::new();
    let test = classify::test_split(&work, &engine, &corpus)?;
    let mut metrics = score::score(&test)?;
    midashi_stage::out!("{}", score::report(&metrics));
    parts.end("predictions");
    let compared = comparison::compare(&work, &corpus, &test.predictions)?;
    (metrics.baseline, metrics.ensemble) = (compared.baseline, compared.ensemble);
    midashi_stage::out!("{}", comparison::lines(&metrics));
    parts.end("linear baseline");
    let (explanations, faithfulness) = explain::explain(&work, &engine, &corpus, &test, &mut parts)?;
    midashi_stage::out!("{}", faithfulness.as_ref().map(faithfulness::table).unwrap_or_default());
    metrics.faithfulness = faithfulness;
    midashi_stage::outln!("  time: {}", parts.line());
    let count = config.evaluate.attention_texts.of(test.attention.len());
    let attention = texts::evenly_spaced(&test.attention, count);

    test.predictions.write(compared.predictions.as_ref(), &folder.predictions(), &work.provenance())?;
    write_attention(&folder.attention(), &attention, &work.provenance())?;
    explanations.write(&folder.explanations(), &work.provenance())?;
    metrics.write(&folder.metrics())?;
    work.finish(&json!({
        "test_rows": metrics.test_rows,
        "attention_texts": attention.len(),
        "explained_texts": explanations.rows.len(),
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
    }))?;
    Ok(())
}

//! Stage 5, `midashi-evaluate`: what the fine-tuned model says of the test split, how right it is,
//! and what it attended to.

mod metrics;
mod model;
mod table;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use midashi_pipeline::artifact::{
    AttentionRow, Prediction, Predictions, Split, TokenizedCorpus, write_attention,
};
use midashi_pipeline::config::Evaluate;
use midashi_pipeline::{Progress, Stage, StageArguments, run_stage};
use serde::Serialize;
use serde_json::json;

use crate::model::{Answer, Model};

/// Raised when this stage's code gives other results for the same input.
const REVISION: u32 = 1;

/// Classifies the test split and writes predictions.parquet, attention.parquet and metrics.json
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

/// What the results depend on, besides their inputs.
#[derive(Serialize)]
struct Settings {
    evaluate: Evaluate,
    /// What computes decides the last digits.
    onnxruntime: String,
    device: String,
    threads: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_stage(|| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("evaluate", REVISION, arguments)?;
    let folder = stage.folder().clone();
    let (runtime, device) = model::engine(stage.config())?;
    let settings = Settings {
        evaluate: stage.config().evaluate.clone(),
        onnxruntime: runtime.version(),
        device: device.to_string(),
        threads: stage.config().threads(),
    };
    let (tokens, model) = (folder.tokens(), folder.model());
    let outputs = [folder.predictions(), folder.attention(), folder.metrics()];
    let Some(work) = stage.begin(&settings, &[(&tokens, "tokenize"), (&model, "train")], &outputs)? else {
        return Ok(());
    };

    let corpus = TokenizedCorpus::read(&tokens)?;
    let mut model = Model::open(&work, &runtime, device, &corpus)?;
    let test = texts_of(&corpus, Split::Test);
    if test.is_empty() {
        bail!("the test split is empty; raise corpus.split.test and run `make all` again");
    }
    let shown = spread(&test, settings.evaluate.attention_texts);

    let mut progress = Progress::new("test texts", test.len() as u64, "texts");
    let mut answers: Vec<Option<Answer>> = vec![None; corpus.texts.len()];
    for batch in model.batches(&test, settings.evaluate.batch_tokens) {
        for (&text, answer) in batch.iter().zip(model.classify(&batch)?) {
            answers[text] = Some(answer);
        }
        progress.advance(batch.len() as u64);
    }
    progress.finish();

    let answered = |texts: &[usize]| -> Result<Vec<(usize, &Answer)>> {
        let of = |&text: &usize| Some((text, answers[text].as_ref()?));
        texts.iter().map(of).collect::<Option<_>>().context("a test text was not classified")
    };
    let rows = answered(&test)?.into_iter().map(|(text, answer)| prediction(&corpus, text, answer)).collect();
    let predictions = Predictions { categories: corpus.categories.clone(), rows };
    let attention: Vec<AttentionRow> =
        answered(&shown)?.into_iter().map(|(text, answer)| attention(&corpus, text, answer)).collect();
    let metrics = metrics::metrics(&predictions)?;
    print!("{}", table::classification_report(&metrics));

    predictions.write(&folder.predictions(), &work.provenance())?;
    write_attention(&folder.attention(), &attention, &work.provenance())?;
    metrics.write(&folder.metrics())?;
    work.finish(&json!({
        "test_rows": test.len(),
        "attention_texts": shown.len(),
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
    }))?;
    Ok(())
}

fn texts_of(corpus: &TokenizedCorpus, split: Split) -> Vec<usize> {
    (0..corpus.texts.len()).filter(|&text| corpus.texts[text].split == split).collect()
}

/// `count` of the texts at equal distances, so that every category is among them in its share
/// (texts are sorted by category).
fn spread(texts: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(texts.len());
    (0..count).map(|at| texts[at * texts.len() / count]).collect()
}

fn prediction(corpus: &TokenizedCorpus, text: usize, answer: &Answer) -> Prediction {
    let text = &corpus.texts[text];
    Prediction {
        id: text.id.clone(),
        label: text.label,
        predicted: answer.category,
        probabilities: answer.probabilities.clone(),
    }
}

fn attention(corpus: &TokenizedCorpus, text: usize, answer: &Answer) -> AttentionRow {
    let text = &corpus.texts[text];
    AttentionRow {
        id: text.id.clone(),
        tokens: text.tokens.clone(),
        word_ids: text.word_ids.clone(),
        attention: answer.attention.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_texts_are_spread_over_the_split() {
        assert_eq!(spread(&[5, 6, 7, 8, 9, 10], 3), [5, 7, 9]);
        assert_eq!(spread(&[5, 6], 10), [5, 6], "no more than there are");
        assert!(spread(&[5, 6], 0).is_empty());
    }
}

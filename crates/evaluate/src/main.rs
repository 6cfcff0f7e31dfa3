//! Stage 5, `midashi-evaluate`: what the fine-tuned model says of the test split, how right it is,
//! what it attended to, and whether that explains anything.

mod article;
mod beside;
mod calibration;
mod explain;
mod faithfulness;
mod metrics;
mod model;
mod statistics;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use midashi_artifacts::{
    AttentionRow, Explanations, PaddingShares, Prediction, Predictions, Split, TokenizedCorpus,
    write_attention,
};
use midashi_bert::PaddingRule;
use midashi_config::Evaluate;
use midashi_explain::Explainer;
use midashi_runtime::{Engine, EngineDescription};
use midashi_stage::{Progress, Stage, StageArguments, run_stage};
use serde::Serialize;
use serde_json::json;

use crate::beside::Kept;
use crate::model::{Answer, Model};

/// Raised when this stage's code gives other results for the same input.
const REVISION: u32 = 7;

/// Classifies the test split and writes predictions.parquet, attention.parquet, explanations.parquet and metrics.json
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
    #[serde(flatten)]
    engine: EngineDescription,
    /// With `compat.article`, how many texts are classified together, attending to padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    article_batch_size: Option<usize>,
}

/// By text, in the order of tokens.arrow.
type Answers = BTreeMap<usize, Answer>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_stage(|| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("evaluate", REVISION, arguments)?;
    let (folder, config) = (stage.folder().clone(), stage.config().clone());
    let engine =
        Engine::open(&config.run.cache.join("onnxruntime"), config.evaluate.device, config.threads())?;
    println!("  {engine}");
    let settings = Settings {
        evaluate: config.evaluate.clone(),
        engine: engine.description(),
        article_batch_size: config.compat.article.then_some(config.train.batch_size),
    };
    let (tokens, model) = (folder.tokens(), folder.model());
    let outputs = [folder.predictions(), folder.attention(), folder.explanations(), folder.metrics()];
    let Some(work) = stage.begin(&settings, &[(&tokens, "tokenize"), (&model, "train")], &outputs)? else {
        return Ok(());
    };

    let corpus = TokenizedCorpus::read(&tokens)?;
    let test = texts_of(&corpus, Split::Test);
    if test.is_empty() {
        bail!("the test split is empty; raise corpus.split.test and run `make all` again");
    }
    let mut model = Model::open(&work, &engine, &corpus, config.compat)?;
    let by_length = model.batches_by_length(&test, settings.evaluate.batch_tokens);
    let masked = classify(&mut model, &by_length, PaddingRule::Masked)?;
    let attended = settings.article_batch_size.map(|size| {
        let in_order: Vec<Vec<usize>> = test.chunks(size).map(<[usize]>::to_vec).collect();
        classify(&mut model, &in_order, PaddingRule::Attended)
    });
    let attended = attended.transpose()?;

    // With the article's choices its answers are the run's, and ours stand beside them.
    let answers = attended.as_ref().unwrap_or(&masked);
    let predicted = predictions(&corpus, answers);
    let mut metrics = metrics::metrics(&predicted)?;
    if attended.is_some() {
        let padding: Vec<PaddingShares> = answers.values().map(|answer| answer.padding).collect();
        let article = article::article_metrics(&predicted, &predictions(&corpus, &masked), &padding)?;
        print!("{}", article::both_reports(&metrics, &article));
        metrics.article = Some(article);
    } else {
        print!("{}", table::classification_report(&metrics));
    }
    metrics.intervals = Some(statistics::bootstrap(&predicted));
    metrics.calibration = Some(calibration::calibration(&predicted));
    if settings.evaluate.baseline {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(config.threads()).build()?;
        let tokens_sha256 = work.sha256_of(&tokens).context("tokens.arrow is no input of this stage")?;
        let kept = Kept { path: folder.baseline(), tokens_sha256: tokens_sha256.to_owned() };
        let beside = threads.install(|| beside::beside(&corpus, &predicted, &settings.evaluate, &kept))?;
        metrics.ensemble = beside.as_ref().and_then(|beside| beside.ensemble);
        metrics.baseline = beside.map(|beside| beside.baseline);
    }
    print!("{}", beside::lines(&metrics));
    // The classifier is needed no more, and its memory is.
    drop(model);
    let (explanations, faithfulness) = if settings.evaluate.explain.texts.of(answers.len()) == 0 {
        (Explanations { categories: corpus.categories.clone(), rows: vec![] }, None)
    } else {
        let (folder, budget) = (folder.model(), settings.evaluate.batch_tokens);
        let mut explainer = Explainer::open(&engine, &folder, corpus.categories.len(), budget)?;
        explain::explain(&mut explainer, &corpus, answers, &settings.evaluate.explain)?
    };
    print!("{}", faithfulness.as_ref().map(faithfulness::table).unwrap_or_default());
    metrics.faithfulness = faithfulness;
    let answered: Vec<(&usize, &Answer)> = answers.iter().collect();
    let shown = spread(&answered, settings.evaluate.attention_texts.of(answered.len()));
    let attention: Vec<AttentionRow> =
        shown.into_iter().map(|(&text, answer)| attention(&corpus, text, answer)).collect();

    predicted.write(&folder.predictions(), &work.provenance())?;
    write_attention(&folder.attention(), &attention, &work.provenance())?;
    explanations.write(&folder.explanations(), &work.provenance())?;
    metrics.write(&folder.metrics())?;
    work.finish(&json!({
        "test_rows": test.len(),
        "attention_texts": attention.len(),
        "explained_texts": explanations.rows.len(),
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
    }))?;
    Ok(())
}

fn texts_of(corpus: &TokenizedCorpus, split: Split) -> Vec<usize> {
    (0..corpus.texts.len()).filter(|&text| corpus.texts[text].split == split).collect()
}

fn classify(model: &mut Model<'_>, batches: &[Vec<usize>], padding: PaddingRule) -> Result<Answers> {
    let texts = batches.iter().map(Vec::len).sum::<usize>();
    let mut progress = Progress::new("test texts", texts as u64, "texts");
    let mut answers = Answers::new();
    for batch in batches {
        answers.extend(batch.iter().copied().zip(model.classify(batch, padding)?));
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    Ok(answers)
}

/// `count` of the items at equal distances: of texts sorted by category, every category is among
/// them in its share.
fn spread<T: Copy>(items: &[T], count: usize) -> Vec<T> {
    let count = count.min(items.len());
    (0..count).map(|at| items[at * items.len() / count]).collect()
}

fn predictions(corpus: &TokenizedCorpus, answers: &Answers) -> Predictions {
    let row = |(&text, answer): (&usize, &Answer)| Prediction {
        id: corpus.texts[text].id.clone(),
        label: corpus.texts[text].label,
        predicted: answer.category,
        probabilities: answer.probabilities.clone(),
    };
    Predictions { categories: corpus.categories.clone(), rows: answers.iter().map(row).collect() }
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
        assert!(spread::<usize>(&[5, 6], 0).is_empty());
    }
}

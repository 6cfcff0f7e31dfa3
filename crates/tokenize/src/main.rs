//! Stage 3, `midashi-tokenize`: encodes the texts of `corpus.parquet` into `tokens.arrow`, the input of the model.

mod encode;
mod plan;
mod report;
mod trim;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use midashi_artifacts::{Replacement, Sources, TokenizedCorpus};
use midashi_stage::{Stage, StageArguments};
use midashi_tokenizer::Length;

use crate::encode::TextEncoder;
use crate::plan::{Plan, Settings};
use crate::report::Statistics;

/// Raise this when the stage's code gives other results for the same input.
const REVISION: u32 = 5;

/// Encodes the texts of corpus.parquet into tokens.arrow, with the checkpoint's tokenizer or, for a
/// model from scratch, with a vocabulary learned from the training split
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(|arguments: &Arguments| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("tokenize", REVISION, arguments)?;
    let folder = stage.folder().clone();
    stage.require_intact(&folder.sources(), "fetch")?;
    let sources = Sources::read(&folder.sources(), stage.config())?;
    let plan = Plan::new(stage.config(), sources.checkpoint)?;

    let corpus_path = folder.corpus();
    let mut inputs = vec![(corpus_path.as_path(), "ingest")];
    inputs.extend(plan.inputs());
    let outputs = [folder.tokens(), folder.tokenizer()];
    let Some(work) = stage.begin(&plan.settings, &inputs, &outputs)? else { return Ok(()) };

    let corpus = plan.read(&corpus_path)?;
    let tokenizer = plan.make_tokenizer(&corpus, &folder.tokenizer())?;
    let Settings { text, max_length, .. } = plan.settings;
    let windowing = plan.windowing(&tokenizer)?;
    let length = windowing.map_or(Length::AtMost(max_length), Length::Windows);
    let encoder = TextEncoder::new(&corpus, text, length, work.config().threads())?;
    let mut encoded = encoder.encode(&tokenizer)?;
    plan.check_ids(&encoded.texts, &tokenizer)?;
    plan.check_token_types(&encoded.texts)?;
    let (tokenizer, trimmed) = match plan.settings.trim_vocabulary {
        true => {
            let (tokenizer, trimmed) = trim::trim(
                &plan,
                &encoder,
                &tokenizer,
                &mut encoded,
                &folder.tokenizer(),
                &work.provenance(),
            )?;
            (tokenizer, Some(trimmed))
        }
        false => (tokenizer, None),
    };
    let statistics = Statistics::of(&encoded, &corpus, &tokenizer, text, windowing);
    report::print(&tokenizer, &plan, trimmed.as_ref(), &statistics);

    let tokens = TokenizedCorpus {
        categories: corpus.categories,
        tokenizer: tokenizer.describe(),
        vocabulary_size: tokenizer.vocabulary_size(),
        replacement: tokenizer.replacement().map(|(id, token)| Replacement { id, token }),
        windowing,
        texts: encoded.texts,
    };
    tokens.write(&folder.tokens(), &work.provenance())?;
    work.finish(&report::details(&tokenizer, &plan, trimmed.as_ref(), &statistics))?;
    Ok(())
}

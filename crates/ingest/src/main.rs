//! Stage 2, `midashi-ingest`: reads the corpus and writes `corpus.parquet`, with the split of each article.

mod article;
mod corpus_files;
mod reading;
mod report;
mod split;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use midashi_artifacts::Sources;
use midashi_config::{BadFiles, Compat, Corpus as CorpusSection, Layout, SplitShares};
use midashi_stage::{Stage, StageArguments};
use serde::Serialize;

use crate::reading::Reading;

/// Raise this when the stage's code gives other results for the same input.
const REVISION: u32 = 1;

/// Reads the corpus (a .tar.gz archive, or a folder with one sub-folder per category) and writes
/// corpus.parquet, one row per article, split into train, validation and test
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

/// The settings that the output depends on, besides the corpus itself.
#[derive(Serialize)]
struct Settings {
    layout: Layout,
    bad_files: BadFiles,
    split: SplitShares,
    #[serde(skip_serializing_if = "Compat::is_off")]
    compat: Compat,
}

fn main() -> ExitCode {
    midashi_stage::main(|arguments: &Arguments| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("ingest", REVISION, arguments)?;
    let sources = Sources::read(&stage.folder().sources(), stage.config())?;
    let CorpusSection { layout, bad_files, split, .. } = stage.config().corpus.clone();
    let compat = stage.config().compat;
    let settings = Settings { layout, bad_files, split, compat };
    let output = stage.folder().corpus();
    let inputs = [(sources.corpus.as_path(), "fetch")];
    let Some(work) = stage.begin(&settings, &inputs, std::slice::from_ref(&output))? else {
        return Ok(());
    };

    let mut reading = Reading::of(&sources.corpus, layout, bad_files, compat)?;
    report::print_skipped(&reading);
    split::assign(&mut reading.corpus, &settings.split)?;
    if compat.article {
        split::shuffle(&mut reading.corpus, settings.split.seed);
    }
    report::print_splits(&reading.corpus);
    report::print_untrained(&split::untrained_categories(&reading.corpus));
    reading.corpus.write(&output, &work.provenance())?;

    work.finish(&report::details(&reading))?;
    Ok(())
}

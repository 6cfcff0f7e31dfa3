//! Stage 2, `midashi-ingest`: reads the corpus and writes `corpus.parquet`, with the split of each article.

mod labels;
mod names;
mod report;
mod settings;
mod source;
mod split;
mod split_names;
mod tables;
mod texts;
mod weight;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use midashi_artifacts::{CategoryId, Sources, Split};
use midashi_stage::{Stage, StageArguments, Work, require};

use crate::settings::Settings;
use crate::source::Source;
use crate::tables::rows::Tables;
use crate::tables::table_corpus::TableCorpus;
use crate::texts::corpus_files::check_archive;
use crate::texts::reading::Reading;

/// Raise this when the stage's code gives other results for the same input.
const REVISION: u32 = 3;

/// Reads the corpus (a table such as CSV or Parquet, a folder with one sub-folder per category, or an archive of
/// one) and writes corpus.parquet, one row per article, split into train, validation and test
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
    let stage = Stage::open("ingest", REVISION, arguments)?;
    stage.require_intact(&stage.folder().sources(), "fetch")?;
    let sources = Sources::read(&stage.folder().sources(), stage.config())?;
    let mut settings = Settings::of(stage.config())?;
    let tables = check(&sources.corpus, &mut settings)?;
    let output = stage.folder().corpus();
    let inputs = [(sources.corpus.as_path(), "fetch")];
    let Some(work) = stage.begin(&settings, &inputs, std::slice::from_ref(&output))? else {
        return Ok(());
    };
    match tables {
        None => ingest_texts(&sources.corpus, &settings, &output, work),
        Some(tables) => ingest_tables(tables, &settings, &output, work),
    }
}

/// Checks what can be checked before the digest reads the whole corpus, which takes its time. Adds to the settings what
/// the digest does not hold. Returns the tables; none if the corpus is text files.
fn check(corpus: &Path, settings: &mut Settings) -> Result<Option<Tables>> {
    require(corpus, "fetch")?;
    weight::check(corpus, &settings.limits)?;
    match Source::of(corpus)? {
        Source::Texts if corpus.is_dir() => {
            settings.folder_links = Reading::check_folder(corpus, &settings.text_options()?)?;
        }
        Source::Texts => check_archive(corpus)?,
        Source::Tables(files) => {
            let tables = Tables::open(files, settings.read_options()?, settings.column_names())?;
            settings.describe_labels(&tables);
            return Ok(Some(tables));
        }
    }
    Ok(None)
}

/// From text files, which are sorted by category and id.
fn ingest_texts(source: &Path, settings: &Settings, output: &Path, work: Work) -> Result<()> {
    let mut reading = Reading::of(source, &settings.text_options()?)?;
    report::print_skipped(&reading);
    report::print_merged(&reading.merged);
    if reading.has_splits {
        report::print_origin_of_splits(&split::keep(&mut reading.corpus, &settings.split)?);
    } else {
        split::assign(&mut reading.corpus, &settings.split)?;
    }
    if settings.compat.article {
        split::shuffle(&mut reading.corpus, settings.split.seed);
    }
    let articles = reading.corpus.articles.iter();
    let texts: Vec<_> = articles.map(|article| (article.category, article.split)).collect();
    report_splits(&reading.corpus.categories, &texts, reading.has_splits);
    reading.corpus.write(output, &work.provenance())?;
    work.finish(&report::details(&reading))?;
    Ok(())
}

/// From tables, whose rows stay in their order.
fn ingest_tables(tables: Tables, settings: &Settings, output: &Path, work: Work) -> Result<()> {
    let corpus = TableCorpus::of(tables, settings)?;
    report::print_table(&corpus);
    report::print_merged(&corpus.categories.merged);
    if corpus.has_splits {
        report::print_origin_of_splits(&corpus.made);
    }
    let texts: Vec<_> = corpus.category_of.iter().copied().zip(corpus.split_of.iter().copied()).collect();
    report_splits(&corpus.categories.names, &texts, corpus.has_splits);
    corpus.write(output, &work.provenance())?;
    work.finish(&report::table_details(&corpus))?;
    Ok(())
}

fn report_splits(names: &[String], texts: &[(CategoryId, Split)], has_splits: bool) {
    report::print_splits(names, texts.iter().copied());
    let (categories, splits): (Vec<_>, Vec<_>) = texts.iter().copied().unzip();
    let without = |split| split::categories_without(split, &categories, &splits, names);
    report::print_missing(&without(Split::Train), &without(Split::Test), has_splits);
}

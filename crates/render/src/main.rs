//! Stage 6, `midashi-render`: everything the run found out becomes `report.html`, one file that
//! asks nothing of the network. With `--text`, texts of one's own without a browser ([`text`]).

mod artifacts;
mod charts;
mod explorer;
mod gallery;
mod page;
mod printable;
mod report;
mod sections;
mod sources;
mod strings;
mod summary;
mod text;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use midashi_stage::{RunRecord, Stage, StageArguments, atomic, run_stage};
use serde_json::json;

use crate::artifacts::Artifacts;
use crate::report::Report;
use crate::text::TextArguments;

/// Raised when this stage's code gives other results for the same input.
const REVISION: u32 = 13;

/// Write report.html: the run in figures, its curves, its confusion matrix and what it attended to; or, with --text,
/// show what the model makes of a text
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
    #[command(flatten)]
    text: TextArguments,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_stage(|| match arguments.text.is_given() {
        true => arguments.text.run(&arguments.stage),
        false => render(&arguments.stage),
    })
}

fn render(arguments: &StageArguments) -> anyhow::Result<()> {
    let stage = Stage::open("render", REVISION, arguments)?;
    let (folder, config) = (stage.folder().clone(), stage.config().clone());
    // run.json is no input: every stage rewrites it, this one too, so its digest would make the
    // report out of date the moment it is done. What the report shows of it, the entries of the
    // stages before, counts among the settings instead.
    let stages = summary::stages(&RunRecord::read(&folder));
    let configuration = config.changes()?;
    let inputs = [
        (folder.corpus(), "ingest"),
        (folder.tokens(), "tokenize"),
        (folder.training(), "train"),
        (folder.predictions(), "evaluate"),
        (folder.attention(), "evaluate"),
        (folder.explanations(), "evaluate"),
        (folder.metrics(), "evaluate"),
    ];
    let inputs = inputs.each_ref().map(|(path, made_by)| (path.as_path(), *made_by));
    let Some(work) = stage.begin(&(&config.render, stages, &configuration), &inputs, &[folder.report()])?
    else {
        return Ok(());
    };

    let artifacts = Artifacts::read(&folder)?;
    let report = Report::of(&config.render.title, &config.run.name, &configuration, &artifacts)?;
    let html = page::html(&report)?;
    atomic::write_bytes(&folder.report(), html.as_bytes())?;

    let sources = report.explorer.sources.iter();
    let coloured: BTreeMap<_, _> = sources.map(|source| (source.kind.name, source.texts.len())).collect();
    let (texts, any) = (report.explorer.texts.len(), coloured.values().max().unwrap_or(&0));
    println!("  {} · {texts} texts, {any} of them coloured", folder.report().display());
    work.finish(&json!({"bytes": html.len(), "texts": texts, "coloured": coloured}))?;
    Ok(())
}

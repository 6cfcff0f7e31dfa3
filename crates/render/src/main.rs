//! Stage 6, `midashi-render`: writes `report.html`, a single file that loads nothing from the network, and the model
//! card with the results.

mod artifacts;
mod card;
mod chart;
mod command;
mod data;
mod explorer;
mod gallery;
mod joined;
mod labels;
mod page;
mod probabilities;
mod sections;
mod share;
mod sources;
mod strings;
mod trust;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Parser;
use midashi_stage::{Stage, StageArguments, atomic};
use serde_json::json;

use crate::artifacts::Artifacts;
use crate::explorer::Explorer;
use crate::sections::run;

/// Raised when this stage's code gives other results for the same input.
const REVISION: u32 = 18;

/// Writes report.html, with the run's metrics, learning curves, errors and explanations, and README.md, the model card
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(|arguments: &Arguments| render(&arguments.stage))
}

fn render(arguments: &StageArguments) -> anyhow::Result<()> {
    let stage = Stage::open("render", REVISION, arguments)?;
    let (folder, config) = (stage.folder().clone(), stage.config().clone());
    // run.json is not an input: this stage writes to it too, so its digest would always be out of date. The entries
    // that the report shows are part of the settings instead.
    let stages = run::stages(stage.record());
    let configuration = config.changes()?;
    let command = command::command(&arguments.config, &config.run.name, &arguments.set);
    let inputs = [
        (folder.corpus(), "ingest"),
        (folder.tokens(), "tokenize"),
        (folder.training(), "train"),
        (card::of_model(&folder), "train"),
        (folder.predictions(), "evaluate"),
        (folder.attention(), "evaluate"),
        (folder.explanations(), "evaluate"),
        (folder.metrics(), "evaluate"),
    ];
    let inputs = inputs.each_ref().map(|(path, made_by)| (path.as_path(), *made_by));
    let outputs = [folder.report(), folder.card()];
    let Some(work) = stage.begin(&(&config.render, stages, &configuration, &command), &inputs, &outputs)?
    else {
        return Ok(());
    };

    let artifacts = Artifacts::read(&folder, configuration)?;
    let explorer = Explorer::of(&artifacts, command)?;
    let html = page::html(&config.render.title, &config.run.name, &artifacts, &explorer)?;
    atomic::write_bytes(&folder.report(), html.as_bytes())?;
    card::write(&folder, &artifacts.metrics)?;

    let sources = explorer.sources.iter();
    let coloured: BTreeMap<_, _> = sources.map(|source| (source.kind.name, source.texts.len())).collect();
    let (texts, any) = (explorer.texts.len(), coloured.values().max().unwrap_or(&0));
    midashi_stage::outln!("  {} · {texts} texts, {any} of them coloured", folder.report().display());
    work.finish(&json!({"bytes": html.len(), "texts": texts, "coloured": coloured}))?;
    Ok(())
}

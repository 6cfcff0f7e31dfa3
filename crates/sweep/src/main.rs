//! `midashi-sweep`: trains and evaluates all combinations of some settings and compares their scores.
//!
//! It is a tool and not a stage: each combination is a run of its own, made by the stages' programs.

mod donors;
mod grid;
mod results;
mod share;
mod stages;
mod summary;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use midashi_artifacts::{Sweep, SweepRow};
use midashi_config::Config;
use midashi_stage::{RunFolder, Stage, StageArguments, atomic};
use serde_json::json;

use crate::donors::Donors;
use crate::grid::{Grid, Setting};
use crate::stages::{Failure, Stages};

/// Raised when this tool's code gives another sweep.parquet for the same runs.
const REVISION: u32 = 1;

/// Stages whose work runs with the same corpus and checkpoint share.
const SHARED: [&str; 3] = ["fetch", "ingest", "tokenize"];
/// Stages that each run needs itself. No report is rendered; `make render` does it for a single run.
const OWN: [&str; 2] = ["train", "evaluate"];

/// Trains and evaluates all combinations of some settings; writes sweep.parquet and prints mean and spread
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The values to combine: 'section.key=value,value other.key=value,value'
    #[arg(long, env = "MIDASHI_SWEEP", value_name = "SWEEP", default_value = "", hide_env_values = true)]
    sweep: String,
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(recipe)
}

fn recipe(arguments: &Arguments) -> Result<()> {
    let StageArguments { config: file, set } = &arguments.stage;
    let base = Config::load(file, set)?;
    let grid = Grid::new(&arguments.sweep, file, set)?;
    let stages = Stages::beside_this_program(SHARED.iter().chain(&OWN))?;
    midashi_stage::outln!("sweep · {} · {}", RunFolder::of(&base).path().display(), grid.describe());

    for stage in SHARED {
        stages.run(stage, file, set)??;
    }
    let mut donors = Donors::new(&base);
    let mut failures = Vec::new();
    for (number, setting) in (1..).zip(&grid.settings) {
        midashi_stage::outln!();
        midashi_stage::outln!("run {number}/{} · {}", grid.settings.len(), setting.name);
        failures.push(run(setting, &stages, &mut donors)?);
    }

    let rows = grid.settings.iter().zip(&failures).map(|(setting, failure)| row(setting, failure.as_ref()));
    let sweep = Sweep { keys: grid.keys(), rows: rows.collect::<Result<_>>()? };
    midashi_stage::outln!();
    write(&sweep, &grid, &arguments.stage)?;
    let seconds = grid.settings.iter().map(|setting| results::seconds(&RunFolder::of(&setting.config), &OWN));
    midashi_stage::out!("\n{}", summary::table(&sweep, &seconds.collect::<Vec<_>>()));
    report(&grid, &failures)
}

/// Runs all stages of one setting, and shares the work of an earlier run.
fn run(setting: &Setting, stages: &Stages, donors: &mut Donors) -> Result<Option<Failure>> {
    let config = RunFolder::of(&setting.config).config();
    atomic::write_bytes(&config, setting.config.to_toml()?.as_bytes())?;
    donors.share_with(&setting.config, &SHARED)?;
    for stage in SHARED {
        if let Err(failure) = stages.run(stage, &config, &[])? {
            return Ok(Some(failure));
        }
    }
    // Its tokens are valid from here on, and so are the features that training may write.
    donors.add(&setting.config);
    for stage in OWN {
        if let Err(failure) = stages.run(stage, &config, &[])? {
            return Ok(Some(failure));
        }
    }
    Ok(None)
}

fn row(setting: &Setting, failure: Option<&Failure>) -> Result<SweepRow> {
    let scores = match failure {
        None => Some(results::scores(&RunFolder::of(&setting.config))?),
        Some(_) => None,
    };
    Ok(SweepRow { run: setting.name.clone(), values: setting.values.clone(), scores })
}

/// Writes sweep.parquet if a run or the sweep has changed.
fn write(sweep: &Sweep, grid: &Grid, arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("sweep", REVISION, arguments)?;
    let path = stage.folder().sweep();
    let settings = json!({ "sweep": grid.axes, "metrics": results::digests(sweep, grid)? });
    if let Some(work) = stage.begin(&settings, &[], std::slice::from_ref(&path))? {
        sweep.write(&path, &work.provenance())?;
        work.finish(&json!({ "runs": sweep.rows.len() }))?;
    }
    Ok(())
}

/// Prints the failed runs. They are an error although the others are complete.
fn report(grid: &Grid, failures: &[Option<Failure>]) -> Result<()> {
    let mut failed = 0;
    for (setting, failure) in grid.settings.iter().zip(failures) {
        if let Some(failure) = failure {
            midashi_stage::errln!("{} failed in {failure}", setting.name);
            failed += 1;
        }
    }
    if failed > 0 {
        bail!("{failed} of {} runs failed; run the sweep again to repeat only those", failures.len());
    }
    Ok(())
}

//! `midashi-sweep`: trains and evaluates all combinations of some settings and compares their scores.
//!
//! It is a tool and not a stage: each combination is a run of its own, made by the stages' programs. A scheduler can
//! start the runs instead, on several machines: one process lists them, one does each, one collects their scores.

mod collect;
mod donors;
mod grid;
mod interruption;
mod list;
mod outcome;
mod results;
mod runs;
mod share;
mod stages;
mod summary;
mod turn;

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser;
use midashi_config::Config;
use midashi_stage::{RunFolder, StageArguments};

use crate::donors::Donors;
use crate::grid::Grid;
use crate::runs::Runs;

/// Trains and evaluates all combinations of some settings; writes sweep.parquet and prints mean and spread
///
/// A scheduler can spread the runs over processes and machines that share the folder: --list prints them, --run does one,
/// --collect makes the table. All take the same options and start in the same folder.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The values to combine: 'section.key=value,value other.key=value,value'
    #[arg(long, env = "MIDASHI_SWEEP", value_name = "SWEEP", default_value = "", hide_env_values = true)]
    sweep: String,
    #[command(flatten)]
    part: Part,
    #[command(flatten)]
    stage: StageArguments,
}

/// The part of the sweep that this process does; without an option all of it.
#[derive(clap::Args)]
#[group(multiple = false)]
struct Part {
    /// Prints the runs as JSON Lines and does nothing else
    #[arg(long)]
    list: bool,
    /// Does one run, by its number in the list
    #[arg(long, value_name = "N")]
    run: Option<usize>,
    /// Writes sweep.parquet and prints the table from the runs that have finished
    #[arg(long)]
    collect: bool,
}

fn main() -> ExitCode {
    midashi_stage::main(recipe)
}

fn recipe(arguments: &Arguments) -> Result<()> {
    let (part, stage) = (&arguments.part, &arguments.stage);
    let base = Config::load(&stage.config, &stage.set)?;
    let grid = Grid::new(&arguments.sweep, &stage.config, &stage.set)?;
    let donors = Donors::new(&base, &grid);
    if part.list {
        return list::print(&grid, &donors);
    }
    let only = part.run.map(|number| grid.setting(number)).transpose()?;
    midashi_stage::outln!("sweep · {} · {}", RunFolder::of(&base).path().display(), grid.describe());

    if !part.collect {
        let runs = Runs::new(&grid, &donors, stage)?;
        runs.prepare()?;
        if let Some(setting) = only {
            return runs.run(setting)?.map_err(|failure| anyhow!("{} failed in {failure}", setting.name));
        }
        for setting in &grid.settings {
            // A failed run does not end the others. Its failure is recorded, and named by what follows.
            let _ = runs.run(setting)?;
        }
    }
    collect::collect(&grid, &donors, &arguments.sweep, stage)
}

//! The scores of the runs that have finished: `sweep.parquet` and the table.

use anyhow::{Context, Result, bail};
use midashi_artifacts::{Sweep, SweepRow};
use midashi_config::hide_secrets;
use midashi_stage::{RunFolder, Stage, StageArguments};
use serde_json::json;

use crate::donors::Donors;
use crate::grid::{Grid, Setting};
use crate::outcome::{self, State};
use crate::stages::OWN;
use crate::{results, summary, turn};

/// Raised when this tool's code gives another sweep.parquet for the same runs.
const REVISION: u32 = 1;

/// Writes sweep.parquet and prints the table. `sweep` and `arguments` are this process's, and those of the command that
/// repeats a run.
///
/// # Errors
/// When a run has failed or is missing, after the others are in the table; when the scores cannot be read or written.
pub fn collect(grid: &Grid, donors: &Donors, sweep: &str, arguments: &StageArguments) -> Result<()> {
    let state = |setting: &Setting| outcome::state(&RunFolder::of(&setting.config), &setting.config);
    let states = grid.settings.iter().map(state).collect::<Result<Vec<_>>>()?;
    let rows = grid.settings.iter().zip(&states).map(|(setting, state)| row(setting, state));
    let table = Sweep { keys: grid.keys(), rows: rows.collect::<Result<_>>()? };
    midashi_stage::outln!();
    write(&table, grid, donors, arguments)?;
    let seconds = grid.settings.iter().map(|setting| results::seconds(&RunFolder::of(&setting.config), &OWN));
    midashi_stage::out!("\n{}", summary::table(&table, &seconds.collect::<Vec<_>>()));
    report(grid, &states, |number| command(number, sweep, arguments))
}

fn row(setting: &Setting, state: &State) -> Result<SweepRow> {
    let scores = match state {
        State::Finished => Some(results::scores(&RunFolder::of(&setting.config))?),
        State::Failed(_) | State::Missing(_) => None,
    };
    Ok(SweepRow { run: setting.name.clone(), values: setting.values.clone(), scores })
}

/// Writes sweep.parquet if a run or the sweep has changed.
fn write(sweep: &Sweep, grid: &Grid, donors: &Donors, arguments: &StageArguments) -> Result<()> {
    let _turn = turn::wait(donors.base())?;
    let stage = Stage::open("sweep", REVISION, arguments)?;
    let path = stage.folder().sweep();
    let settings = json!({ "sweep": grid.axes, "metrics": results::digests(sweep, grid)? });
    if let Some(work) = stage.begin(&settings, &[], std::slice::from_ref(&path))? {
        sweep.write(&path, &work.provenance())?;
        work.finish(&json!({ "runs": sweep.rows.len() }))?;
    }
    Ok(())
}

/// Prints the runs without scores. They are an error although the others are complete.
fn report(grid: &Grid, states: &[State], command: impl Fn(usize) -> Result<String>) -> Result<()> {
    let (mut failed, mut missing) = (0, 0);
    for (setting, state) in grid.settings.iter().zip(states) {
        match state {
            State::Finished => continue,
            State::Failed(failure) => {
                failed += 1;
                midashi_stage::errln!("{} failed in {failure}", setting.name);
            }
            State::Missing(reason) => {
                missing += 1;
                midashi_stage::errln!("{} {reason}", setting.name);
            }
        }
        midashi_stage::errln!("  {}", command(setting.number)?);
    }
    let what = match (failed, missing, states.len()) {
        (0, 0, _) => return Ok(()),
        (_, 0, runs) => format!("{failed} of {runs} runs failed"),
        (0, _, runs) => format!("{missing} of {runs} runs are missing"),
        (_, _, runs) => format!("{failed} of {runs} runs failed, missing: {missing}"),
    };
    bail!("{what}; run the commands above, or the sweep again, which repeats only those")
}

/// The command line that does the run `number`, whichever way this process got its options.
fn command(number: usize, sweep: &str, arguments: &StageArguments) -> Result<String> {
    let program = std::env::args_os().next().unwrap_or_else(|| "midashi-sweep".into());
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(["--config".to_owned(), arguments.config.display().to_string()]);
    words.extend(["--sweep".to_owned(), sweep.to_owned()]);
    words.extend(arguments.set.iter().flat_map(|word| ["--set".to_owned(), hide_secrets(word)]));
    words.extend(["--run".to_owned(), number.to_string()]);
    shlex::try_join(words.iter().map(String::as_str)).context("cannot write the command of a run")
}

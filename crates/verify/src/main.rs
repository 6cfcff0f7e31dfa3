//! Checks that a run's files are as its stages wrote them, and that each was made from the files that are there now.

mod advice;

use std::process::ExitCode;

use anyhow::ensure;
use clap::Parser;
use midashi_config::Config;
use midashi_stage::{RunFolder, StageArguments, verify_run};

use crate::advice::advice;

#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(|arguments: &Arguments| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> anyhow::Result<()> {
    let config = Config::load(&arguments.config, &arguments.set)?;
    let folder = RunFolder::of(&config);
    midashi_stage::outln!("verify · {}", folder.path().display());
    let findings = verify_run(&folder)?;
    ensure!(!findings.is_empty(), "{} has no artifacts: run `make all` first", folder.path().display());
    for finding in &findings {
        midashi_stage::outln!("  {:<10} {}{}", finding.state.word(), finding.path, advice(finding));
    }
    let wrong = findings.iter().filter(|finding| !finding.state.is_intact()).count();
    ensure!(wrong == 0, "{wrong} of {} files do not belong to this run", findings.len());
    midashi_stage::outln!("  all {} files belong to this run", findings.len());
    Ok(())
}

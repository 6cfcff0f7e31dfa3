//! The `main` function of every program.

use std::process::ExitCode;

use clap::Parser;

use crate::error::Interrupted;

/// Exit code of an error.
const FAILED: u8 = 2;
/// Exit code of a process that SIGINT ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// Parses the command line and runs `recipe`. An error is printed on one line with its causes and gives exit
/// code 2, an interruption exit code 130.
pub fn main<Arguments: Parser>(recipe: impl FnOnce(&Arguments) -> anyhow::Result<()>) -> ExitCode {
    exit_code(recipe(&Arguments::parse()))
}

fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn an_interruption_has_the_exit_code_of_its_signal_and_an_error_has_2() {
        let interrupted = || Err(Interrupted("epoch 1".into()).into());
        assert_eq!(exit_code(interrupted()), ExitCode::from(130));
        assert_eq!(exit_code(interrupted().context("training")), ExitCode::from(130));
        assert_eq!(exit_code(Err(anyhow::anyhow!("no"))), ExitCode::from(2));
        assert_eq!(exit_code(Ok(())), ExitCode::SUCCESS);
    }
}

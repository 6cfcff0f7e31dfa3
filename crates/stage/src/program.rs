//! The `main` function of every program.

use std::io;
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::command_line;
use crate::error::Interrupted;

/// Exit code of an error.
const FAILED: u8 = 2;
/// Exit code of a process that SIGINT ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;
/// Exit code of a process that SIGPIPE ended.
const CLOSED_PIPE: u8 = 141;

/// Parses the command line, after the overrides of the variable `MIDASHI_SET`, and runs `recipe`. An error is printed on one
/// line with its causes and gives exit code 2, an interruption exit code 130. If the reader of the output has ended, such as
/// `head`, the program ends without a message.
pub fn main<Arguments: Parser>(recipe: impl FnOnce(&Arguments) -> anyhow::Result<()>) -> ExitCode {
    match Arguments::try_parse_from(command_line()) {
        Ok(arguments) => exit_code(recipe(&arguments)),
        // Help and version go to standard output, as they are.
        Err(text) if !text.use_stderr() => text.exit(),
        // The message repeats arguments, which may be from outside.
        Err(error) => {
            crate::write_err(format_args!("{}", error.render()));
            ExitCode::from(FAILED)
        }
    }
}

fn exit_code(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            crate::errln!("{error}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) if is_closed_pipe(&error) => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            crate::errln!("error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let of_io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
    of_io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
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

    #[test]
    fn a_closed_pipe_has_the_exit_code_of_its_signal() {
        let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(exit_code(Err(closed().into())), ExitCode::from(141));
        assert_eq!(exit_code(Err(closed()).context("cannot write standard output")), ExitCode::from(141));
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(exit_code(Err(full.into())), ExitCode::from(2));
    }
}

//! Output formats, a file each.

mod ansi;
mod html;
mod json;
mod layout;
mod svg;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use midashi_stage::atomic;

use crate::explained::Explained;
use crate::method::Method;
use ansi::Terminal;

/// How predictions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal: colours, and a bar for each word
    Ansi,
    /// One page
    Html,
    /// One picture
    Svg,
    /// One JSON object per line and text
    Json,
}

/// Writes the texts to `output`, or to standard output.
///
/// # Errors
/// When a template fails or the file cannot be written.
pub fn write(
    texts: &[Explained],
    method: Method,
    format: Option<Format>,
    output: Option<&Path>,
) -> Result<()> {
    let written = match format {
        None | Some(Format::Ansi) => ansi::ansi(texts, method, terminal(format, output)),
        Some(Format::Html) => html::html(texts, method)?,
        Some(Format::Svg) => svg::svg(texts, method)?,
        Some(Format::Json) => json::json(texts, method)?,
    };
    match output {
        Some(path) => Ok(atomic::write_bytes(path, written.as_bytes())?),
        None => print(&written),
    }
}

/// Width and colours of the output. Colours are for terminals and for `--format ansi`; `NO_COLOR`
/// (<https://no-color.org>) switches them off in both cases.
fn terminal(format: Option<Format>, output: Option<&Path>) -> Terminal {
    let is_terminal = output.is_none() && io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let size = terminal_size::terminal_size().filter(|_| is_terminal);
    Terminal {
        columns: size.map_or(Terminal::DEFAULT_COLUMNS, |(width, _)| usize::from(width.0)),
        colours: !no_color && (is_terminal || format.is_some()),
    }
}

/// Prints to standard output, which the reader may close early (`| head`).
fn print(written: &str) -> Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(written.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

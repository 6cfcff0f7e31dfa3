//! The command line.

use std::path::PathBuf;

use clap::Parser;
use midashi_stage::StageArguments;

use crate::formats::Format;
use crate::method;

/// Classifies texts with a run's model and shows which words mattered
#[derive(Parser)]
#[command(version)]
pub struct Arguments {
    #[command(flatten)]
    pub config: StageArguments,
    /// Texts to classify; "-", or no text at all, reads them from standard input, one per line. For a model that reads
    /// title and body, the first line of a text is the title
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub method: method::Arguments,
    /// Output format; the default is "ansi", without colours unless standard output is a terminal
    #[arg(long)]
    pub format: Option<Format>,
    /// Writes to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

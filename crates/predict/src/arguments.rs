//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use midashi_stage::StageArguments;

use crate::columns;
use crate::input;
use crate::method;
use crate::output;
use crate::shard::Shard;

/// Classifies texts with a fine-tuned model: from the command line, standard input or tables of any size
#[derive(Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    pub config: StageArguments,
    /// A model folder, such as artifacts/article/model; the default is that of the configured run
    #[arg(long, value_name = "FOLDER")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub input: input::Arguments,
    #[command(flatten)]
    pub output: output::Arguments,
    #[command(flatten)]
    pub columns: columns::Arguments,
    #[command(flatten)]
    pub method: method::Arguments,
    /// Numbers in which the layers' matrices are multiplied
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    pub precision: Precision,
    /// Takes the third of 16 parts of the input: row groups or files if there are enough, else every 16th row. The
    /// output's name gets the shard's number; a finished shard is not computed again
    #[arg(long, value_name = "3/16")]
    pub shard: Option<Shard>,
}

/// Numbers in which matrices are multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// float32
    F32,
    /// 8-bit integers: faster on a CPU, less exact
    Int8,
}

const EXAMPLES: &str = "\
Examples:
  midashi-predict '逆転勝利の日本代表'                      coloured words in a terminal
  midashi-predict --explain integrated-gradients '…'      by another method
  midashi-predict --format html --output page.html '…'    as a page
  cut -f3 news.tsv | midashi-predict --format csv         a text a line on standard input
  midashi-predict --input news.csv --output predicted.parquet --top 3
  midashi-predict --input 'data/*.parquet' --text-column headline --threshold 0.8 --format jsonl | gzip > out.jsonl.gz
  midashi-predict --input news.parquet --output predicted.parquet --precision int8 --shard 3/16

Exit codes: 0 for success, 2 for an error, 141 if the reader of the output ended early (as with `| head`).";

//! `midashi-inspect`: shows a checkpoint and its outputs for a text. The tool reads a checkpoint's folder or a run's `model/`
//! and writes no artifact.

mod contents;
mod modules;
mod outputs;
mod tokens;

use std::io::{ErrorKind, Write as _};
use std::iter::once;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use midashi_config::Config;
use midashi_encoder::Checkpoint;
use midashi_stage::{StageArguments, Sums};
use midashi_text::{cleaned, shaped_lines};

/// Prints a checkpoint's modules, parameters, files and tokenizer, and its outputs for a text
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A checkpoint's folder, or a run's model/
    checkpoint: PathBuf,
    /// Number of the last layers that are trainable, or "all" [default: the configured number]
    #[arg(long, value_name = "LAYERS")]
    trainable_layers: Option<String>,
    /// Runs the model on this text
    #[arg(long)]
    text: Option<String>,
    /// The second text of a pair, like the body with corpus.text = "title+body"
    #[arg(long, requires = "text")]
    pair: Option<String>,
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(recipe)
}

fn recipe(arguments: &Arguments) -> Result<()> {
    let config = configuration(arguments)?;
    Sums::check_folder(&arguments.checkpoint)?;
    let checkpoint = Checkpoint::open(&arguments.checkpoint)?;
    let weights = checkpoint.encoder_and_pooler()?;
    let tokenizer = tokens::load(&arguments.checkpoint, &config, checkpoint.config());

    let mut report =
        format!("{}\n\n", modules::of(checkpoint.config(), weights.has_pooler(checkpoint.config())));
    contents::parameters(&mut report, checkpoint.config(), &weights, config.train.trainable_layers)?;
    contents::files(&mut report, &checkpoint, &weights)?;
    tokens::describe(&mut report, &tokenizer, checkpoint.config())?;
    if let Some(text) = arguments.text.as_deref().map(cleaned) {
        let second = arguments.pair.as_deref().map(cleaned);
        let (tokenizer, most) = (tokenizer?.tokenizer, checkpoint.config().max_tokens());
        let mut encoder = tokenizer.encoder();
        let encoded = match &second {
            None => encoder.encode(&text, most)?,
            Some(second) => encoder.encode_pair(&text, second, most)?,
        };
        let texts: Vec<&str> = once(&*text).chain(second.as_deref()).collect();
        tokens::pieces(&mut report, &texts, &encoded)?;
        outputs::run(&mut report, &config, checkpoint.config(), &weights, &encoded.encoding)?;
    }
    print(&report)
}

/// Loads the configuration, with the command line's number of trainable layers.
fn configuration(arguments: &Arguments) -> Result<Config> {
    let mut set = arguments.stage.set.clone();
    if let Some(layers) = &arguments.trainable_layers {
        set.push(format!("train.trainable_layers={layers}"));
    }
    Ok(Config::load(&arguments.stage.config, &set)?)
}

/// Prints the report; names and tokens in it do not command the terminal. A closed pipe (`| head`) is not an error.
fn print(report: &str) -> Result<()> {
    match std::io::stdout().write_all(shaped_lines(report).as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

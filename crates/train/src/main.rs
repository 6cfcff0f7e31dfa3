//! Stage 4, `midashi-train`: computes the frozen layers once, fine-tunes the rest, and writes the
//! model.

mod adam;
mod batches;
mod dropout;
mod epochs;
mod graph_optimiser;
mod interrupt;
mod learner;
mod model;
mod model_folder;
mod optimiser;
mod schedule;
mod setup;
mod state;
mod tail;
mod targets;
mod tensorboard;
mod texts;
mod trunk;
mod used_rows;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use midashi_artifacts::{Sources, TokenizedCorpus, write_training};
use midashi_stage::{Stage, StageArguments, run_stage};
use serde_json::json;

use crate::setup::Setup;
use crate::state::StateFile;
use crate::tail::Tail;
use crate::texts::Texts;
use crate::used_rows::UsedRows;

/// Raised when this stage's code gives other results for the same input.
const REVISION: u32 = 7;

/// Fine-tunes the checkpoint on tokens.arrow and writes model/, features.arrow and training.parquet
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run_stage(|| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("train", REVISION, arguments)?;
    let folder = stage.folder().clone();
    let sources = Sources::read(&folder.sources(), stage.config())?;
    let setup = Setup::new(stage.config(), &sources)?;

    let (tokens, tokenizer) = (folder.tokens(), folder.tokenizer());
    let mut inputs = vec![(tokens.as_path(), "tokenize"), (tokenizer.as_path(), "tokenize")];
    inputs.extend(setup.checkpoint_files.iter().map(|file| (file.as_path(), "fetch")));
    let outputs = [folder.training(), folder.model()];
    let Some(work) = stage.begin(&setup.settings, &inputs, &outputs)? else {
        return Ok(state::remove(&folder)?);
    };

    let mut corpus = TokenizedCorpus::read(&tokens)?;
    let (model, mut weights) = setup.model(&corpus)?;
    let trunk = trunk::hidden_states(&work, &setup, &model, &weights, &corpus)?;
    let (used, left_out) = UsedRows::keep(&model, &mut weights, &mut corpus)?;
    let texts = Texts { corpus: &corpus, trunk, padding: setup.padding() };

    weights.add_classifier(model.labels.len(), model.config.hidden_size, setup.settings.train.seed);
    let mut tail = Tail::new(&setup, &used, &texts, weights)?;
    let mut state = StateFile::new(&work);
    let history = epochs::train(&mut tail, &setup.settings.train, &mut state, &folder.tensorboard())?;

    write_training(&folder.training(), &history.rows, &work.provenance())?;
    let parameters = tail.trainable_parameters();
    let mut weights = tail.into_weights()?;
    if let Some(rows) = left_out {
        rows.put_back(&mut weights)?;
    }
    model_folder::write(&folder, &model, &weights, &texts, setup.settings.compat)?;
    let (epochs, kept_epoch) = (&history.epochs, history.kept_epoch());
    work.finish(&json!({ "parameters": parameters, "epochs": epochs, "kept_epoch": kept_epoch }))?;
    Ok(state::remove(&folder)?)
}

//! Stage 4, `midashi-train`: computes the hidden states of the frozen layers once per text, fine-tunes the
//! other layers, and writes the model.

mod card;
mod data;
mod head;
mod model;
mod optimiser;
mod setup;
mod training;
mod trunk;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use midashi_artifacts::{Sources, TextSettings, TokenizedCorpus, write_training};
use midashi_classifier::{CorpusInputs, NewModel, Training};
use midashi_config::LongTexts;
use midashi_stage::{Stage, StageArguments};
use serde_json::json;

use crate::data::UsedRows;
use crate::setup::Setup;
use crate::training::{StateFile, Tail, remove_state, train};

/// Raise this number when the code gives other results for the same input.
const REVISION: u32 = 13;

/// Fine-tunes the checkpoint on tokens.arrow and writes model/, features.arrow and training.parquet
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(|arguments: &Arguments| recipe(&arguments.stage))
}

fn recipe(arguments: &StageArguments) -> Result<()> {
    let stage = Stage::open("train", REVISION, arguments)?;
    let folder = stage.folder().clone();
    stage.require_intact(&folder.sources(), "fetch")?;
    let sources = Sources::read(&folder.sources(), stage.config())?;
    let setup = Setup::new(stage.config(), &sources)?;

    let (tokens, tokenizer) = (folder.tokens(), folder.tokenizer());
    let mut inputs = vec![(tokens.as_path(), "tokenize"), (tokenizer.as_path(), "tokenize")];
    inputs.extend(setup.checkpoint_files.iter().map(|file| (file.as_path(), "fetch")));
    let checkpoint_card = card::of_checkpoint(&sources);
    inputs.extend(checkpoint_card.iter().map(|file| (file.as_path(), "fetch")));
    let outputs = [folder.training(), folder.model()];
    let Some(work) = stage.begin(&setup.settings, &inputs, &outputs)? else {
        return Ok(remove_state(&folder)?);
    };

    let setup = setup.with_vocabulary(&tokenizer)?;
    let texts = TextSettings::read(&tokens)?;
    let mut corpus = TokenizedCorpus::read(&tokens)?;
    let train_settings = &setup.settings.train;
    let card = card::text(&sources, checkpoint_card.as_deref(), &corpus, texts, &setup)?;
    let (model, mut weights) = setup.model(&corpus)?;
    let (trunk, hidden_states) = trunk::hidden_states(&work, &setup, &model, &weights, &corpus)?.unzip();
    let (reduced, used_rows) = UsedRows::select(&model, &mut weights, &mut corpus)?;
    let (pad_token_id, rows) = (reduced.config.pad_token_id, corpus.rows());
    let inputs = CorpusInputs { corpus: &corpus, rows, pad_token_id, hidden_states };

    let mut tail = Tail::new(&setup, &reduced, &inputs, weights)?;
    let mut state = StateFile::new(&work);
    let history = train(&mut tail, train_settings, &mut state, &folder.tensorboard())?;

    write_training(&folder.training(), &history.rows, &work.provenance())?;
    let parameters = tail.trainable_parameters();
    let mut weights = tail.optimiser.into_weights()?;
    if let Some(used_rows) = used_rows {
        used_rows.restore(&mut weights)?;
    }
    let new_model = NewModel {
        config: &model.config,
        labels: &model.labels,
        weights: &weights,
        classifier_dropout: train_settings.dropout.hidden,
        training_graph: &model.training()?,
        is_trainable: &|name| model.is_trainable(name),
        tokenizer: &tokenizer,
        card: &card,
        training: Training {
            head: train_settings.head,
            pooling: train_settings.pooling,
            text: texts.text,
            max_length: texts.max_length,
            long_texts: corpus.windowing.map_or(LongTexts::Truncate, |_| LongTexts::Windows),
            stride: corpus.windowing.map_or(0, |windowing| windowing.stride),
            trunk,
            compat: setup.settings.compat,
        },
    };
    new_model.write(&folder.model())?;
    let (epochs, best_epoch) = (&history.epochs, history.best_epoch());
    work.finish(&json!({ "parameters": parameters, "epochs": epochs, "best_epoch": best_epoch }))?;
    Ok(remove_state(&folder)?)
}

//! Stage 1, `midashi-fetch`: finds the corpus and the checkpoint, downloads them if they are not on this machine, and writes
//! their paths to `sources.json`.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use midashi_artifacts::Sources;
use midashi_fetch::client::RetryPolicy;
use midashi_fetch::hub::Hub;
use midashi_fetch::resolve::{FoundCorpus, Resolver};
use midashi_fetch::rules::Rules;
use midashi_stage::{Stage, StageArguments};
use serde_json::json;

/// Raise this when the stage's code gives other results for the same input.
const REVISION: u32 = 1;

/// Finds the corpus and the checkpoint; downloads them if they are not on this machine
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    stage: StageArguments,
}

fn main() -> ExitCode {
    midashi_stage::main(fetch)
}

/// Always resolves the sources, because a cache may have been emptied, but writes only changes.
fn fetch(arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::open("fetch", REVISION, &arguments.stage)?;
    let config = stage.config();
    let hub = Hub::from_environment(|name| std::env::var(name).ok());
    let resolver =
        Resolver::new(&config.run.cache, hub, RetryPolicy::default()).with_rules(Rules::from(&config.fetch));

    let FoundCorpus { path: corpus, commit: corpus_commit } =
        resolver.corpus(&config.corpus).context("corpus.source")?;
    let checkpoint = resolver.checkpoint(&config.model).context("model.checkpoint")?;
    let (checkpoint, commit) = checkpoint.map(|found| (found.folder, found.commit)).unzip();
    let sources = Sources {
        corpus_source: config.corpus.source.shown(),
        corpus,
        checkpoint_source: config.model.checkpoint.shown(),
        checkpoint,
        revision: config.model.revision.clone(),
    };
    midashi_stage::outln!("  corpus: {}", sources.corpus.display());
    match &sources.checkpoint {
        Some(folder) => midashi_stage::outln!("  checkpoint: {}", folder.display()),
        None => midashi_stage::outln!("  checkpoint: none, the model is trained from scratch"),
    }

    let path = stage.folder().sources();
    if let Some(work) = stage.begin(&sources, &[], std::slice::from_ref(&path))? {
        sources.write(&path)?;
        let mut details = json!({"revision": commit});
        if let Some(commit) = corpus_commit {
            details["corpus_revision"] = json!(commit);
        }
        work.finish(&details)?;
    }
    Ok(())
}

//! The frozen layers, once per text: `features.arrow`.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use midashi_bert::{Batch, HIDDEN_STATES, PaddingRule, Storage, TextIds, Weights, batches_by_length};
use midashi_pipeline::artifact::{Features, FeaturesKey, FeaturesWriter, TokenizedCorpus};
use midashi_pipeline::{Progress, Work};
use ndarray::s;

use crate::model::Model;
use crate::setup::Setup;
use crate::texts::ids;

/// Raised when the trunk's arithmetic changes, so that features made before are made again.
const REVISION: u32 = 1;

/// What the frozen layers say of each text: read from an earlier run if nothing they depend on has
/// changed, computed otherwise. `None` when there are no frozen layers.
pub fn features(
    work: &Work,
    setup: &Setup,
    model: &Model,
    weights: &Weights,
    corpus: &TokenizedCorpus,
) -> Result<Option<(FeaturesKey, Features)>> {
    let Some(layers) = model.start.trunk_layers() else { return Ok(None) };
    let config = &model.config;
    let path = work.folder().features();
    let digest = |path: &Path| {
        let sha256 =
            work.sha256_of(path).with_context(|| format!("{} is no input of this stage", path.display()));
        sha256.map(str::to_owned)
    };
    let settings = &setup.settings;
    let engine = serde_json::to_string(&settings.engine).context("cannot describe the engine")?;
    let key = FeaturesKey {
        checkpoint_sha256: setup.checkpoint_files.iter().map(|file| digest(file)).collect::<Result<_>>()?,
        tokens_sha256: digest(&work.folder().tokens())?,
        trunk_layers: layers,
        hidden_size: config.hidden_size,
        computed_by: format!(
            "{engine} {} tokens a batch, revision {REVISION}",
            settings.train.trunk_batch_tokens
        ),
    };
    let texts: Vec<(&str, usize)> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.input_ids.len())).collect();
    // Features are a cache: ones that cannot be read are made again, and that is said.
    let known = Features::open(&path, &key, &texts).unwrap_or_else(|error| {
        println!("  {error}");
        None
    });
    if let Some(features) = known {
        println!("  features of {layers} frozen layers: taken from {}", path.display());
        return Ok(Some((key, features)));
    }

    let started = Instant::now();
    let graph = midashi_bert::trunk(config, layers)?;
    let parameters = weights.for_graph(&graph, |_| true)?;
    let mut session = setup.engine.session(&graph.to_model("trunk", |_| Storage::External), parameters)?;

    let lengths: Vec<usize> = texts.iter().map(|(_, length)| *length).collect();
    let batches = batches_by_length(&lengths, settings.train.trunk_batch_tokens);
    let mut writer = FeaturesWriter::create(&path, &key)?;
    let mut progress = Progress::new(format!("{layers} frozen layers"), lengths.len() as u64, "texts");
    for batch in batches {
        let lengths: Vec<usize> = batch.iter().map(|&text| lengths[text]).collect();
        let of_batch: Vec<TextIds<'_>> = batch.iter().map(|&text| ids(&corpus.texts[text])).collect();
        let arrays = Batch::of_ids(&of_batch, config.pad_token_id, PaddingRule::Masked);
        let outputs = session.run(arrays.inputs())?;
        let hidden = outputs.float32(HIDDEN_STATES)?;
        let mut numbers = Vec::with_capacity(lengths.iter().sum::<usize>() * config.hidden_size);
        for (row, &length) in lengths.iter().enumerate() {
            numbers.extend(hidden.slice(s![row, ..length, ..]).iter());
        }
        let ids: Vec<&str> = batch.iter().map(|&text| texts[text].0).collect();
        let sizes: Vec<usize> = lengths.iter().map(|length| length * config.hidden_size).collect();
        writer.add(&ids, &sizes, numbers)?;
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    writer.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "  features of {layers} frozen layers: {} texts in {seconds:.1} s ({:.0}/s)",
        texts.len(),
        texts.len() as f64 / seconds
    );
    let features = Features::open(&path, &key, &texts)?.context("features.arrow vanished")?;
    Ok(Some((key, features)))
}

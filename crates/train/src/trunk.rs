//! The frozen layers, once per text: `features.arrow`.

use std::time::Instant;

use anyhow::{Context, Result};
use midashi_bert::{Batch, BertConfig, HIDDEN_STATES, Start, Storage, Weights, batches_by_length};
use midashi_pipeline::artifact::{Features, FeaturesKey, FeaturesWriter, TokenizedCorpus};
use midashi_pipeline::{Progress, Work};
use midashi_runtime::{Device, Runtime, SessionOptions};
use ndarray::s;

/// Raised when the trunk's arithmetic changes, so that features made before are made again.
const REVISION: u32 = 1;

/// What the frozen layers say of each text: read from an earlier run if nothing they depend on has
/// changed, computed otherwise. `None` when there are no frozen layers.
pub fn features(
    work: &Work,
    runtime: &Runtime,
    device: Device,
    config: &BertConfig,
    weights: &Weights,
    start: Start,
    corpus: &TokenizedCorpus,
) -> Result<Option<(FeaturesKey, Features)>> {
    let Some(layers) = start.trunk_layers() else { return Ok(None) };
    let path = work.folder().features();
    let key = FeaturesKey {
        checkpoint_sha256: (2..).map_while(|input| work.input_sha256(input)).collect(),
        tokens_sha256: work.input_sha256(0).unwrap_or_default().to_owned(),
        trunk_layers: layers,
        hidden_size: config.hidden_size,
        revision: REVISION,
    };
    let texts: Vec<(&str, usize)> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.input_ids.len())).collect();
    if let Some(features) = Features::open(&path, &key, &texts)? {
        println!("  features of {layers} frozen layers: taken from {}", path.display());
        return Ok(Some((key, features)));
    }

    let started = Instant::now();
    let graph = midashi_bert::trunk(config, layers)?;
    let parameters = graph
        .parameters()
        .map(|(name, _)| Ok((name.to_owned(), weights.get(name).context("a tensor is missing")?.clone())))
        .collect::<Result<Vec<_>>>()?;
    let options = SessionOptions::new(device, work.config().threads()).with_initializers(parameters);
    let mut session = runtime.session(&graph.to_model("trunk", |_| Storage::External), options)?;

    let lengths: Vec<usize> = texts.iter().map(|(_, length)| *length).collect();
    let batches = batches_by_length(&lengths, work.config().train.trunk_batch_tokens);
    let mut writer = FeaturesWriter::create(&path, &key, &work.provenance())?;
    let mut progress = Progress::new(format!("{layers} frozen layers"), lengths.len() as u64, "texts");
    for batch in batches {
        let lengths: Vec<usize> = batch.iter().map(|&text| lengths[text]).collect();
        let ids: Vec<&[i32]> = batch.iter().map(|&text| &corpus.texts[text].input_ids[..]).collect();
        let arrays = Batch::of_ids(&ids, config.pad_token_id);
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

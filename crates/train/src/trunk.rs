//! The frozen layers: computed once per text into `features.arrow`, or, where that would take too much
//! of the disk, for every batch anew.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use midashi_artifacts::{Features, FeaturesKey, FeaturesWriter, TokenizedCorpus};
use midashi_bert::{TextIds, Weights};
use midashi_config::TrunkPrecision;
use midashi_stage::{Progress, Work};
use midashi_trunk::{HiddenStates, Trunk, TrunkRecord, computed_by, text_ids};

use crate::model::Model;
use crate::setup::Setup;

const GIB: f64 = (1 << 30) as f64;

/// What the frozen layers say of the texts: read from an earlier run if nothing they depend on has
/// changed, computed otherwise. `None` when there are no frozen layers.
pub fn hidden_states(
    work: &Work,
    setup: &Setup,
    model: &Model,
    weights: &Weights,
    corpus: &TokenizedCorpus,
) -> Result<Option<(TrunkRecord, HiddenStates)>> {
    let train = &setup.settings.train;
    let Some(layers) = model.start.trunk_layers() else {
        ensure!(
            train.trunk_precision == TrunkPrecision::F32,
            "train.trunk_precision is \"int8\", but no layer is computed apart from those that learn; \
             set it to \"f32\", or train.trainable_layers to a number (and compat.article to false)"
        );
        return Ok(None);
    };
    let key = key(work, setup, model, corpus, layers)?;
    let tokens = corpus.texts.iter().map(|text| text.input_ids.len()).sum();
    let (size, budget) = (key.bytes(tokens) as f64 / GIB, train.features.disk_budget_gib);
    let kept = budget == 0.0 || size <= budget;
    let prepare = || Trunk::prepare(&setup.engine, &model.config, weights, &key, train.trunk_batch_tokens);
    let hidden_states = if kept {
        HiddenStates::Kept(features(work, &key, corpus, prepare)?)
    } else {
        println!(
            "  features of {layers} frozen layers: {tokens} tokens × {} × {} bytes = {size:.3} GiB, more than \
             train.features.disk_budget_gib = {budget}: not kept, computed for every batch",
            key.hidden_size,
            key.precision.bytes()
        );
        HiddenStates::Computed(prepare()?)
    };
    Ok(Some((TrunkRecord { features: key, kept }, hidden_states)))
}

fn key(
    work: &Work,
    setup: &Setup,
    model: &Model,
    corpus: &TokenizedCorpus,
    trunk_layers: usize,
) -> Result<FeaturesKey> {
    let train = &setup.settings.train;
    let checkpoint = setup.checkpoint_files.iter().map(|path| {
        let sha256 =
            work.sha256_of(path).with_context(|| format!("{} is no input of this stage", path.display()));
        sha256.map(str::to_owned)
    });
    Ok(FeaturesKey {
        checkpoint_sha256: checkpoint.collect::<Result<_>>()?,
        input_ids_sha256: corpus.input_ids_sha256(),
        trunk_layers,
        hidden_size: model.config.hidden_size,
        trunk_precision: train.trunk_precision,
        precision: train.features.precision,
        computed_by: computed_by(&setup.engine, train.trunk_precision),
    })
}

/// `features.arrow`, made if it is not what `key` says.
fn features(
    work: &Work,
    key: &FeaturesKey,
    corpus: &TokenizedCorpus,
    prepare: impl FnOnce() -> midashi_trunk::Result<Trunk>,
) -> Result<Features> {
    let (path, layers) = (work.folder().features(), key.trunk_layers);
    let texts: Vec<(&str, usize)> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.input_ids.len())).collect();
    // Features are a cache: ones that cannot be read are made again, and that is said.
    let known = Features::open(&path, key, &texts).unwrap_or_else(|error| {
        println!("  {error}");
        None
    });
    if let Some(features) = known {
        println!("  features of {layers} frozen layers: taken from {}", path.display());
        return Ok(features);
    }

    let started = Instant::now();
    let trunk = prepare()?;
    let ids: Vec<TextIds<'_>> = corpus.texts.iter().map(text_ids).collect();
    let mut writer = FeaturesWriter::create(&path, key)?;
    let mut progress = Progress::new(format!("{layers} frozen layers"), texts.len() as u64, "texts");
    for batch in trunk.batches(&ids) {
        let batch_ids: Vec<TextIds<'_>> = batch.iter().map(|&text| ids[text]).collect();
        let names: Vec<&str> = batch.iter().map(|&text| texts[text].0).collect();
        let sizes: Vec<usize> = batch_ids.iter().map(|ids| ids.input_ids.len() * key.hidden_size).collect();
        writer.add(&names, &sizes, trunk.compute_batch(&batch_ids)?)?;
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
    Features::open(&path, key, &texts)?.context("features.arrow vanished")
}

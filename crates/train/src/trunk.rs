//! Hidden states of the frozen layers: computed once per text and written to `features.arrow`, or computed
//! for every batch if the file would exceed the disk budget.

use anyhow::{Context, Result, ensure};
use midashi_artifacts::{FeaturesKey, TokenizedCorpus};
use midashi_classifier::{HiddenStates, Trunk, TrunkRecord, computed_by};
use midashi_config::TrunkPrecision;
use midashi_encoder::Weights;
use midashi_stage::{Work, sha256_of_bytes};

use crate::model::Model;
use crate::setup::Setup;

const GIB: f64 = (1 << 30) as f64;

/// Hidden states of the frozen layers. They are read from `features.arrow` if nothing they depend on has
/// changed, and computed otherwise. `None` if there are no frozen layers.
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
            "train.trunk_precision is \"int8\", but no layer is computed apart from the trainable ones; \
             set it to \"f32\", or train.trainable_layers to a number (and compat.article to false)"
        );
        return Ok(None);
    };
    let key = key(work, setup, model, corpus, layers)?;
    let rows = corpus.rows();
    let tokens = (0..rows.texts()).map(|text| rows.tokens(text)).sum();
    let (size, budget) = (key.bytes(tokens) as f64 / GIB, train.features.disk_budget_gib);
    let kept = budget == 0.0 || size <= budget;
    let prepare = || Trunk::prepare(&setup.engine, &model.config, weights, &key, corpus);
    let hidden_states = if kept {
        HiddenStates::cache(&work.folder().features(), &key, corpus, prepare)?
    } else {
        midashi_stage::outln!(
            "  features of {layers} frozen layers: {tokens} tokens × {} × {} bytes = {size:.3} GiB, more than \
             train.features.disk_budget_gib = {budget}: not kept, computed for every batch",
            key.hidden_size,
            key.precision.bytes()
        );
        HiddenStates::Computed(prepare()?)
    };
    Ok(Some((TrunkRecord { features: key, kept }, hidden_states)))
}

/// SHA-256 of ids as 64-bit integers.
fn digest(ids: &[usize]) -> String {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| (*id as u64).to_le_bytes()).collect();
    sha256_of_bytes(&bytes)
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
            work.sha256_of(path).with_context(|| format!("{} is not an input of this stage", path.display()));
        sha256.map(str::to_owned)
    });
    Ok(FeaturesKey {
        checkpoint_sha256: checkpoint.collect::<Result<_>>()?,
        input_ids_sha256: corpus.input_ids_sha256(),
        vocabulary_sha256: setup.words.as_deref().map(digest),
        trunk_layers,
        hidden_size: model.config.hidden_size,
        trunk_precision: train.trunk_precision,
        precision: train.features.precision,
        batch_tokens: train.trunk_batch_tokens,
        computed_by: computed_by(&setup.engine, train.trunk_precision),
    })
}

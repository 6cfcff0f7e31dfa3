//! The model card of `model/`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use midashi_artifacts::{BaseModel, Licence, ModelCard, Sources, TextSettings, TokenizedCorpus, counts};
use midashi_config::{BundledEncoder, Train, TrainableLayers};

use crate::setup::Setup;

/// The checkpoint's own card, if it has one: it states the licence.
pub fn of_checkpoint(sources: &Sources) -> Option<PathBuf> {
    sources.checkpoint.as_ref().map(|folder| folder.join("README.md")).filter(|card| card.is_file())
}

/// The card of a new model. `checkpoint_card` is the checkpoint's own.
///
/// # Errors
/// When the checkpoint's card cannot be read.
pub fn text(
    sources: &Sources,
    checkpoint_card: Option<&Path>,
    corpus: &TokenizedCorpus,
    texts: TextSettings,
    setup: &Setup,
) -> Result<String> {
    let train = &setup.settings.train;
    let read = |path: &Path| {
        let bytes = midashi_stage::read_file(path)?;
        anyhow::Ok(Licence::of_card(&String::from_utf8_lossy(&bytes)))
    };
    let licence = checkpoint_card.map(read).transpose()?.unwrap_or_default();
    let source = sources.checkpoint_source.as_str();
    let hub_id = match BundledEncoder::of(source) {
        Ok(Some(encoder)) => Some(encoder.published()),
        _ => Some(source).filter(|source| is_hub_id(source)),
    };
    let base_model = sources.checkpoint.as_ref().map(|_| BaseModel {
        name: hub_id.map_or_else(|| file_name(source), str::to_owned),
        is_on_hub: hub_id.is_some(),
        licence,
    });
    let all = corpus.texts.iter().map(|text| (text.label.index(), text.split));
    let card = ModelCard {
        base_model,
        corpus: &corpus_name(&sources.corpus_source),
        categories: &counts(&corpus.categories, all),
        text: texts.text,
        max_length: texts.max_length,
        windowing: corpus.windowing,
        head: train.head,
        trimmed: setup.trimmed(),
        training: &settings(train),
    };
    Ok(card.text())
}

/// The settings that a reader asks for first.
fn settings(train: &Train) -> [(&'static str, String); 9] {
    let layers = match train.trainable_layers {
        TrainableLayers::Last(count) => format!("last {count}"),
        TrainableLayers::All => "all".to_owned(),
    };
    let rates = &train.learning_rate;
    [
        ("train.trainable_layers", layers),
        ("train.epochs", train.epochs.to_string()),
        ("train.batch_size", train.batch_size.to_string()),
        ("train.learning_rate.encoder", format!("{:e}", rates.encoder)),
        ("train.learning_rate.classifier", format!("{:e}", rates.classifier)),
        (
            "train.learning_rate.schedule",
            format!("{:?}, warm-up {}", rates.schedule, rates.warmup).to_lowercase(),
        ),
        ("train.dropout.hidden", train.dropout.hidden.to_string()),
        ("train.weight_decay", train.weight_decay.to_string()),
        ("train.seed", train.seed.to_string()),
    ]
}

/// Whether `source` names a model on the hub and no folder.
fn is_hub_id(source: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain)
    };
    let parts: Vec<&str> = source.split('/').collect();
    parts.len() == 2 && parts.into_iter().all(is_part) && !Path::new(source).exists()
}

/// A corpus's address without this machine's folders.
fn corpus_name(source: &str) -> String {
    if source.contains("://") { source.to_owned() } else { file_name(source) }
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_without_its_path_and_a_hub_id_in_full() {
        assert!(is_hub_id("intfloat/multilingual-e5-small"));
        for path in ["/models/e5", "models", "./models/e5", "../e5", "a/b/c", "src/optimiser", "https://x/y"]
        {
            assert!(!is_hub_id(path), "{path}");
        }
        assert_eq!(corpus_name("/data/texts.csv"), "texts.csv");
        assert_eq!(corpus_name("../texts/"), "texts");
        assert_eq!(corpus_name("hf://datasets/owner/name"), "hf://datasets/owner/name");
    }
}

//! Classifies the test split with the fine-tuned model.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use midashi_artifacts::{
    AttentionRow, PaddingShares, Prediction as PredictionRow, Predictions, Split, TokenizedCorpus, WindowRows,
};
use midashi_classifier::{CorpusClassifier, ModelFolder, Options, Prediction};
use midashi_encoder::PaddingRule;
use midashi_runtime::Engine;
use midashi_stage::{Progress, Work};

use crate::texts::in_split;

/// The classified test split; every list is in the order of `tokens.arrow`.
pub struct TestSplit {
    /// The texts' indices in the corpus.
    pub texts: Vec<usize>,
    /// The predicted categories and their probabilities.
    pub predictions: Predictions,
    /// Attention from `[CLS]` in the last layer.
    pub attention: Vec<AttentionRow>,
    /// The padding that each text was classified with.
    pub padding: Vec<PaddingShares>,
    /// The predictions with padding masked, where the others are without a mask (`compat.article`).
    pub masked: Option<Predictions>,
}

/// Classifies the test split. With `compat.article`, classifies it again as the article does: in batches
/// of `train.batch_size` and without an attention mask.
///
/// # Errors
/// When the test split is empty, or the model cannot be opened or run.
pub fn test_split(work: &Work, engine: &Engine, corpus: &TokenizedCorpus) -> Result<TestSplit> {
    let config = work.config();
    let texts = in_split(corpus, Split::Test);
    ensure!(!texts.is_empty(), "the test split is empty; raise corpus.split.test and run `make all` again");
    check_size(texts.len(), corpus.categories.len())?;
    let mut model = open(work, engine, corpus)?;
    let rows = model.inputs().rows_of(&texts);
    let by_length = model.inputs().batches_by_length(&rows, config.evaluate.batch_tokens);
    let masked = classify(&mut model, corpus, &by_length, PaddingRule::Masked)?;
    if !config.compat.article {
        return Ok(masked);
    }
    let in_order: Vec<Vec<usize>> = texts.chunks(config.train.batch_size).map(<[usize]>::to_vec).collect();
    let unmasked = classify(&mut model, corpus, &in_order, PaddingRule::Attended)?;
    Ok(TestSplit { masked: Some(masked.predictions), ..unmasked })
}

/// Most probabilities of a test split: predictions.parquet counts those of all texts together with an int32. They take
/// 8 GiB of memory.
const MOST_PROBABILITIES: usize = i32::MAX as usize;

fn check_size(texts: usize, categories: usize) -> Result<()> {
    ensure!(
        texts.checked_mul(categories).is_some_and(|count| count <= MOST_PROBABILITIES),
        "{texts} test texts with {categories} probabilities each are more than predictions.parquet holds, \
         {MOST_PROBABILITIES} numbers; lower corpus.split.test or the number of categories and run `make all` again"
    );
    Ok(())
}

/// The first difference between the model's categories and those of the corpus, for a message.
fn difference(model: &[String], corpus: &[String]) -> String {
    let differs = (0..model.len().max(corpus.len())).find(|&at| model.get(at) != corpus.get(at)).unwrap_or(0);
    let name = |names: &[String]| names.get(differs).map_or("none".to_owned(), |name| format!("{name:?}"));
    format!(
        "has {} categories, number {differs} is {}; tokens.arrow has {}, number {differs} is {}",
        model.len(),
        name(model),
        corpus.len(),
        name(corpus)
    )
}

/// Opens `model/`, which must know the corpus's categories and be trained with the same `compat`.
fn open<'a>(work: &Work, engine: &Engine, corpus: &'a TokenizedCorpus) -> Result<CorpusClassifier<'a>> {
    let (folder, config) = (work.folder(), work.config());
    let model = ModelFolder::open(&folder.model())?;
    ensure!(
        model.labels() == corpus.categories,
        "{} {}; run `make train` again",
        folder.model().display(),
        difference(model.labels(), &corpus.categories)
    );
    let windowing = Options::default().length_of(&model).windowing();
    ensure!(
        windowing == corpus.windowing,
        "{} reads long texts as {:?}, tokens.arrow has {:?}; run `make train` again",
        folder.model().display(),
        windowing,
        corpus.windowing
    );
    let compat = model.training().compat;
    ensure!(
        compat == config.compat,
        "{} was trained with compat.article = {}, the configuration says {}; run `make all` with this setting",
        folder.model().display(),
        compat.article,
        config.compat.article
    );
    Ok(CorpusClassifier::open(&model, engine, corpus, &folder.features())?)
}

/// Classifies rows of the corpus, which are texts or windows, in these batches.
fn classify(
    model: &mut CorpusClassifier<'_>,
    corpus: &TokenizedCorpus,
    batches: &[Vec<usize>],
    padding: PaddingRule,
) -> Result<TestSplit> {
    let count = batches.iter().map(Vec::len).sum::<usize>();
    let unit = if corpus.windowing.is_some() { "windows" } else { "texts" };
    let mut progress = Progress::new("test texts", count as u64, unit);
    let mut classified = BTreeMap::new();
    for batch in batches {
        classified.extend(batch.iter().copied().zip(model.classify(batch, padding)?));
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    let rows = &model.inputs().rows;
    let mut texts: Vec<usize> = classified.keys().map(|&row| rows.text(row)).collect();
    texts.dedup();
    let encodings = texts.iter().map(|&text| &corpus.texts[text].encoding);
    let of_texts = WindowRows::of(encodings, corpus.windowing);
    let predictions = Prediction::of_texts(&of_texts, classified.into_values().collect());
    let (mut rows, mut attention, mut padding) = (Vec::new(), Vec::new(), Vec::new());
    for (&text, found) in texts.iter().zip(predictions) {
        let text = &corpus.texts[text];
        let (id, label) = (text.id.clone(), text.label);
        attention.push(AttentionRow {
            id: id.clone(),
            tokens: text.encoding.tokens.clone(),
            word_ids: text.encoding.word_ids.clone(),
            attention: found.attention.outer_iter().map(|head| head.to_vec()).collect(),
        });
        padding.push(found.padding);
        let (predicted, probabilities) = (found.category, found.probabilities);
        rows.push(PredictionRow { id, label, predicted, probabilities });
    }
    let predictions = Predictions { categories: corpus.categories.clone(), rows };
    Ok(TestSplit { texts, predictions, attention, padding, masked: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_probabilities_than_a_table_holds_are_refused_before_they_are_computed() {
        assert!(check_size(65_536, 32_767).is_ok());
        let message = check_size(65_539, 32_767).unwrap_err().to_string();
        assert!(
            message.starts_with("65539 test texts with 32767 probabilities each are more than"),
            "{message}"
        );
        assert!(check_size(usize::MAX, 2).is_err());
    }

    #[test]
    fn the_first_different_category_is_named() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            difference(&names(&["a", "b"]), &names(&["a", "c", "d"])),
            "has 2 categories, number 1 is \"b\"; tokens.arrow has 3, number 1 is \"c\""
        );
        assert!(difference(&names(&["a"]), &names(&["a", "b"])).contains("number 1 is none"));
    }
}

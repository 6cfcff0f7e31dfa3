//! Classifies the test split with the fine-tuned model.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use midashi_artifacts::{AttentionRow, PaddingShares, Prediction, Predictions, Split, TokenizedCorpus};
use midashi_classifier::{CorpusClassifier, ModelFolder};
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
    let mut model = open(work, engine, corpus)?;
    let by_length = model.inputs().batches_by_length(&texts, config.evaluate.batch_tokens);
    let masked = classify(&mut model, corpus, &by_length, PaddingRule::Masked)?;
    if !config.compat.article {
        return Ok(masked);
    }
    let in_order: Vec<Vec<usize>> = texts.chunks(config.train.batch_size).map(<[usize]>::to_vec).collect();
    let unmasked = classify(&mut model, corpus, &in_order, PaddingRule::Attended)?;
    Ok(TestSplit { masked: Some(masked.predictions), ..unmasked })
}

/// Opens `model/`, which must know the corpus's categories and be trained with the same `compat`.
fn open<'a>(work: &Work, engine: &Engine, corpus: &'a TokenizedCorpus) -> Result<CorpusClassifier<'a>> {
    let (folder, config) = (work.folder(), work.config());
    let model = ModelFolder::open(&folder.model())?;
    ensure!(
        model.labels() == corpus.categories,
        "{} has the categories {:?}, tokens.arrow has {:?}; run `make train` again",
        folder.model().display(),
        model.labels(),
        corpus.categories
    );
    let compat = model.training().compat;
    ensure!(
        compat == config.compat,
        "{} was trained with compat.article = {}, the configuration says {}; run `make all` with this setting",
        folder.model().display(),
        compat.article,
        config.compat.article
    );
    let batch_tokens = config.evaluate.batch_tokens;
    Ok(CorpusClassifier::open(&model, engine, corpus, &folder.features(), batch_tokens)?)
}

fn classify(
    model: &mut CorpusClassifier<'_>,
    corpus: &TokenizedCorpus,
    batches: &[Vec<usize>],
    padding: PaddingRule,
) -> Result<TestSplit> {
    let count = batches.iter().map(Vec::len).sum::<usize>();
    let mut progress = Progress::new("test texts", count as u64, "texts");
    let mut classified = BTreeMap::new();
    for batch in batches {
        classified.extend(batch.iter().copied().zip(model.classify(batch, padding)?));
        progress.advance(batch.len() as u64);
    }
    progress.finish();
    let (mut rows, mut attention, mut padding) = (Vec::new(), Vec::new(), Vec::new());
    for (&text, found) in &classified {
        let text = &corpus.texts[text];
        let (id, label) = (text.id.clone(), text.label);
        attention.push(AttentionRow {
            id: id.clone(),
            tokens: text.encoding.tokens.clone(),
            word_ids: text.encoding.word_ids.clone(),
            attention: found.attention.outer_iter().map(|head| head.to_vec()).collect(),
        });
        let probabilities = found.probabilities.clone();
        rows.push(Prediction { id, label, predicted: found.category, probabilities });
        padding.push(found.padding);
    }
    let predictions = Predictions { categories: corpus.categories.clone(), rows };
    Ok(TestSplit { texts: classified.into_keys().collect(), predictions, attention, padding, masked: None })
}

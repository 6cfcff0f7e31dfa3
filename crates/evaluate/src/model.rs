//! The fine-tuned model in `model/`, ready to classify.

use std::path::Path;

use anyhow::{Context, Result, bail};
use midashi_bert::{
    ATTENTION, Batch, BertConfig, Checkpoint, LOGITS, Start, Storage, batches_by_length, classifier,
    most_probable,
};
use midashi_pipeline::Work;
use midashi_pipeline::artifact::{CategoryId, Features, FeaturesKey, PaddingShares, TokenizedCorpus};
use midashi_runtime::{Engine, Session};
use ndarray::{ArrayView1, s};

/// A model and the texts it is asked about.
pub struct Model<'a> {
    corpus: &'a TokenizedCorpus,
    config: BertConfig,
    features: Option<Features>,
    session: Session,
}

/// What becomes of the padding in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// It is masked: a text's answer does not depend on its batch.
    Masked,
    /// It is attended to like any token, as in the article.
    Attended,
}

/// What the model says of one text.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The most probable category.
    pub category: CategoryId,
    /// Probability of each category.
    pub probabilities: Vec<f32>,
    /// Last layer's row of `[CLS]`, shape `[heads, tokens]`.
    pub attention: Vec<Vec<f32>>,
    /// What padding the text had.
    pub padding: PaddingShares,
}

impl<'a> Model<'a> {
    /// Opens `model/`. If the features that it was trained on are still there and belong to these
    /// tokens, only the layers after them are computed; not where `padding` is attended to, of which
    /// there are no features.
    pub fn open(work: &Work, engine: &Engine, corpus: &'a TokenizedCorpus, padding: Padding) -> Result<Self> {
        let folder = work.folder().model();
        let labels: Vec<String> = read_json(&folder.join("labels.json"))?;
        if labels != corpus.categories {
            bail!(
                "{} knows the categories {labels:?}, tokens.arrow has {:?}; run `make train` again",
                folder.display(),
                corpus.categories
            );
        }
        let checkpoint = Checkpoint::open(&folder)?;
        let config = checkpoint.config().clone();
        let features = match padding {
            Padding::Masked => open_features(work, &folder, corpus)?,
            Padding::Attended => None,
        };
        let start = match &features {
            Some((key, _)) => Start::AfterLayers(key.trunk_layers),
            None => Start::InputIds,
        };

        let graph = classifier(&config, labels.len(), start)?;
        let weights = checkpoint.encoder_and_classifier(labels.len())?;
        let parameters = weights.for_graph(&graph, |_| true)?;
        let session = engine.session(&graph.to_model("classifier", |_| Storage::External), parameters)?;
        Ok(Self { corpus, config, features: features.map(|(_, features)| features), session })
    }

    /// `texts` in batches of similar length.
    pub fn batches_by_length(&self, texts: &[usize], budget: usize) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = texts.iter().map(|&text| self.corpus.texts[text].input_ids.len()).collect();
        let batches = batches_by_length(&lengths, budget);
        batches.into_iter().map(|batch| batch.into_iter().map(|at| texts[at]).collect()).collect()
    }

    /// Classifies a batch of texts.
    pub fn classify(&mut self, texts: &[usize], padding: Padding) -> Result<Vec<Answer>> {
        let outputs = self.session.run(self.batch(texts, padding).inputs())?;
        let (logits, attention) = (outputs.float32(LOGITS)?, outputs.float32(ATTENTION)?);
        let (heads, longest) = (self.config.num_attention_heads, attention.shape()[2]);
        let answer = |(row, &text): (usize, &usize)| {
            let tokens = self.corpus.texts[text].input_ids.len();
            let probabilities = softmax(logits.slice(s![row, ..]));
            let head = |head| attention.slice(s![row, head, ..tokens]).to_vec();
            Answer {
                category: CategoryId(most_probable(logits.slice(s![row, ..])) as u16),
                attention: (0..heads).map(head).collect(),
                probabilities,
                padding: PaddingShares {
                    positions: 1.0 - tokens as f64 / longest as f64,
                    attention: f64::from(attention.slice(s![row, .., tokens..]).sum()) / heads as f64,
                },
            }
        };
        Ok(texts.iter().enumerate().map(answer).collect())
    }

    fn batch(&self, texts: &[usize], padding: Padding) -> Batch {
        if let Some(features) = &self.features {
            let hidden: Vec<&[f32]> = texts.iter().map(|&text| features.hidden(text)).collect();
            return Batch::of_hidden(&hidden, self.config.hidden_size);
        }
        let ids: Vec<&[i32]> = texts.iter().map(|&text| &self.corpus.texts[text].input_ids[..]).collect();
        let batch = Batch::of_ids(&ids, self.config.pad_token_id);
        match padding {
            Padding::Masked => batch,
            Padding::Attended => batch.attending_to_padding(),
        }
    }
}

/// The trunk's features, if `model/` was trained on some and they are still those.
fn open_features(
    work: &Work,
    model: &Path,
    corpus: &TokenizedCorpus,
) -> Result<Option<(FeaturesKey, Features)>> {
    #[derive(serde::Deserialize)]
    struct Origin {
        features: Option<FeaturesKey>,
    }
    let origin: Origin = read_json(&model.join("midashi.json"))?;
    let tokens = work.sha256_of(&work.folder().tokens());
    let Some(key) = origin.features.filter(|key| Some(key.tokens_sha256.as_str()) == tokens) else {
        return Ok(None);
    };
    let texts: Vec<(&str, usize)> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.input_ids.len())).collect();
    let features = Features::open(&work.folder().features(), &key, &texts).unwrap_or_else(|error| {
        println!("  {error}");
        None
    });
    if features.is_none() {
        println!("  the features that the model was trained on are gone: computing all layers");
    }
    Ok(features.map(|features| (key, features)))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{}: run `make train` again to remake it", path.display()))
}

/// Probabilities of logits, computed from their differences to the largest so that none overflows.
fn softmax(logits: ArrayView1<'_, f32>) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / total) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn probabilities_sum_to_one_however_large_the_logits() {
        let probabilities = softmax(array![1000.0, 999.0, -1000.0].view());
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // 1 / (1 + 1/e)
        assert!((probabilities[0] - 0.731_058_6).abs() < 1e-6);
    }
}

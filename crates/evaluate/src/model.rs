//! The fine-tuned model in `model/`, ready to classify.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use midashi_artifacts::{CategoryId, Features, PaddingShares, TokenizedCorpus};
use midashi_bert::{
    ATTENTION, Batch, BertConfig, Checkpoint, LOGITS, PaddingRule, Start, Storage, TextIds,
    batches_by_length, classifier, most_probable, probabilities,
};
use midashi_config::Compat;
use midashi_runtime::{Engine, Session};
use midashi_stage::Work;
use midashi_trunk::{HiddenStates, Trunk, TrunkRecord, text_ids};
use ndarray::s;
use serde::Deserialize;

/// A model and the texts it is asked about.
pub struct Model<'a> {
    corpus: &'a TokenizedCorpus,
    config: BertConfig,
    /// What the frozen layers say of the texts, where there are some.
    trunk: Option<HiddenStates>,
    session: Session,
}

/// What `train` says of the model, in `midashi.json`.
#[derive(Deserialize)]
struct Origin {
    trunk: Option<TrunkRecord>,
    /// Said only when something is on.
    #[serde(default)]
    compat: Compat,
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
    /// tokens, only the layers after them are computed; else its trunk computes them as it was trained.
    ///
    /// # Errors
    /// When `model/` is broken, knows other categories, was not trained as `compat` says, or its trunk
    /// cannot be computed on this device.
    pub fn open(work: &Work, engine: &Engine, corpus: &'a TokenizedCorpus, compat: Compat) -> Result<Self> {
        let folder = work.folder().model();
        let labels: Vec<String> = read_json(&folder.join("labels.json"))?;
        if labels != corpus.categories {
            bail!(
                "{} knows the categories {labels:?}, tokens.arrow has {:?}; run `make train` again",
                folder.display(),
                corpus.categories
            );
        }
        let origin: Origin = read_json(&folder.join("midashi.json"))?;
        if origin.compat != compat {
            bail!(
                "{} was trained with compat.article = {}, the configuration says {}; \
                 run `make all` with this setting",
                folder.display(),
                origin.compat.article,
                compat.article
            );
        }
        let checkpoint = Checkpoint::open(&folder)?;
        let config = checkpoint.config().clone();
        let weights = checkpoint.encoder_and_classifier(labels.len())?;
        let layers = origin.trunk.as_ref().map(|trunk| trunk.features.trunk_layers);
        let start = layers.map_or(Start::InputIds, Start::AfterLayers);
        let trunk = origin.trunk.map(|record| match open_features(work, &record, corpus) {
            Some(features) => Ok(HiddenStates::Kept(features)),
            None => {
                let tokens = work.config().evaluate.batch_tokens;
                Trunk::prepare(engine, &config, &weights, &record.features, tokens)
                    .map(HiddenStates::Computed)
            }
        });
        let trunk = trunk.transpose()?;

        let graph = classifier(&config, labels.len(), start)?;
        let parameters = weights.for_graph(&graph, |_| true)?;
        let session = engine.session(&graph.to_model("classifier", |_| Storage::External), parameters)?;
        Ok(Self { corpus, config, trunk, session })
    }

    /// `texts` in batches of similar length.
    pub fn batches_by_length(&self, texts: &[usize], budget: usize) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = texts.iter().map(|&text| self.corpus.texts[text].input_ids.len()).collect();
        let batches = batches_by_length(&lengths, budget);
        batches.into_iter().map(|batch| batch.into_iter().map(|at| texts[at]).collect()).collect()
    }

    /// Classifies a batch of texts.
    ///
    /// # Errors
    /// When a graph fails, or padding is to be attended to by a trunk, which has none.
    pub fn classify(&mut self, texts: &[usize], padding: PaddingRule) -> Result<Vec<Answer>> {
        let batch = self.batch(texts, padding)?;
        let outputs = self.session.run(batch.inputs())?;
        let (logits, attention) = (outputs.float32(LOGITS)?, outputs.float32(ATTENTION)?);
        let (heads, longest) = (self.config.num_attention_heads, attention.shape()[2]);
        let answer = |(row, &text): (usize, &usize)| {
            let tokens = self.corpus.texts[text].input_ids.len();
            let probabilities = probabilities(logits.slice(s![row, ..]));
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

    fn batch(&self, texts: &[usize], padding: PaddingRule) -> Result<Batch> {
        if let Some(trunk) = &self.trunk {
            ensure!(padding == PaddingRule::Masked, "a trunk has no padding that could be attended to");
            return Ok(trunk.batch(self.corpus, texts)?);
        }
        let ids: Vec<TextIds<'_>> = texts.iter().map(|&text| text_ids(&self.corpus.texts[text])).collect();
        Ok(Batch::of_ids(&ids, self.config.pad_token_id, padding))
    }
}

/// The features that the model was trained on, if some were kept and they are still those.
fn open_features(work: &Work, trunk: &TrunkRecord, corpus: &TokenizedCorpus) -> Option<Features> {
    let key = &trunk.features;
    let fits = trunk.kept && key.input_ids_sha256 == corpus.input_ids_sha256();
    let texts: Vec<(&str, usize)> =
        corpus.texts.iter().map(|text| (text.id.as_str(), text.input_ids.len())).collect();
    let features = fits.then(|| Features::open(&work.folder().features(), key, &texts));
    let features = features.and_then(|opened| {
        opened.unwrap_or_else(|error| {
            println!("  {error}");
            None
        })
    });
    if features.is_none() {
        let why = if trunk.kept { "those of the training are gone" } else { "not kept" };
        println!("  features of {} frozen layers: {why}, computed", key.trunk_layers);
    }
    features
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{}: run `make train` again to remake it", path.display()))
}

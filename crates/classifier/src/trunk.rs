//! The frozen layers: their hidden states, computed in batches of similar length.

use std::borrow::Cow;
use std::cell::RefCell;

use midashi_artifacts::{Error as ArtifactError, FeaturesKey, TokenizedCorpus, round_to};
use midashi_config::{FeaturePrecision, TrunkPrecision};
use midashi_encoder::{
    ActivationRanges, Batch, EncoderConfig, HIDDEN_STATES, MatmulPrecision, PaddingRule, TextIds, Weights,
};
use midashi_runtime::{Engine, Lanes, Session, int8_weight_bits};
use serde::{Deserialize, Serialize};

use crate::batches::Batches;
use crate::calibrate::activation_ranges;
use crate::quantized::{check_precision, lanes};
use crate::{Error, Result};

/// Raised when the trunk's arithmetic changes, so that cached features are computed again.
const REVISION: u32 = 3;

/// The frozen layers that a model was trained with, in `model/midashi.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrunkRecord {
    /// Everything their hidden states depend on.
    pub features: FeaturesKey,
    /// Whether the hidden states were cached in `features.arrow`.
    pub kept: bool,
}

/// The frozen layers, ready to run.
pub struct Trunk {
    lanes: RefCell<Lanes>,
    pad_token_id: i64,
    hidden_size: usize,
    heads: usize,
    precision: FeaturePrecision,
    batch_tokens: usize,
}

impl Trunk {
    /// Prepares the frozen layers that `key` describes. `corpus` gives the ranges of the activations for int8.
    ///
    /// # Errors
    /// When a weight is missing, int8 is requested on CUDA, its ranges cannot be computed, or ONNX Runtime refuses the graph.
    pub fn prepare(
        engine: &Engine,
        config: &EncoderConfig,
        weights: &Weights,
        key: &FeaturesKey,
        corpus: &TokenizedCorpus,
    ) -> Result<Self> {
        let ranges: ActivationRanges;
        let precision = match key.trunk_precision {
            TrunkPrecision::F32 => MatmulPrecision::Float32,
            TrunkPrecision::Int8 => {
                check_precision(true, engine.device(), "train.trunk_precision is \"int8\"")?;
                ranges = activation_ranges(engine, config, weights, key.trunk_layers, corpus)?;
                MatmulPrecision::Int8(&ranges)
            }
        };
        let graph = midashi_encoder::trunk(config, key.trunk_layers, precision)?;
        Ok(Self {
            lanes: RefCell::new(lanes(engine, &graph, "trunk", Cow::Borrowed(weights), precision)?),
            pad_token_id: config.pad_token_id,
            hidden_size: config.hidden_size,
            heads: config.num_attention_heads,
            precision: key.precision,
            batch_tokens: key.batch_tokens,
        })
    }

    /// Texts as the inputs of a graph that starts after the trunk. All threads get a part of them, however few they are, so the
    /// last digits depend on the number of threads. `name` names a text in an error.
    ///
    /// # Errors
    /// When the graph fails, or a hidden state is not finite or too large for the features' precision.
    pub fn batch(&self, texts: &[TextIds<'_>], name: impl Fn(usize) -> String + Sync) -> Result<Batch> {
        let tokens: usize = texts.iter().map(|text| text.input_ids.len()).sum();
        let share = tokens.div_ceil(self.lanes.borrow().count());
        let mut hidden = vec![Vec::new(); texts.len()];
        self.compute(texts, share, name, |batch, numbers| {
            let mut rest = &numbers[..];
            for &text in batch {
                let (of_text, others) = rest.split_at(texts[text].input_ids.len() * self.hidden_size);
                hidden[text] = of_text.to_vec();
                rest = others;
            }
            Ok(())
        })?;
        Ok(Batch::of_hidden(&hidden, self.hidden_size))
    }

    /// Computes `texts` in batches of similar length. `take` gets each batch, as indices into `texts`, with its hidden
    /// states, text after text, `[all tokens, hidden_size]`, rounded to the features' precision. `name` names a text in an
    /// error.
    ///
    /// # Errors
    /// Those of `take`, and as [`Trunk::batch`].
    pub fn each_batch(
        &self,
        texts: &[TextIds<'_>],
        name: impl Fn(usize) -> String + Sync,
        take: impl FnMut(&[usize], Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        self.compute(texts, usize::MAX, name, take)
    }

    /// [`each_batch`](Self::each_batch) with batches of at most `most` tokens.
    fn compute(
        &self,
        texts: &[TextIds<'_>],
        most: usize,
        name: impl Fn(usize) -> String + Sync,
        mut take: impl FnMut(&[usize], Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        let Self { pad_token_id, precision, hidden_size, heads, .. } = *self;
        let mut lanes = self.lanes.borrow_mut();
        let tokens = lanes.tokens(self.batch_tokens).min(most);
        let Batches { batches, bytes } = Batches::new(texts, tokens, heads);
        let compute = |session: &mut Session, at: usize| {
            let texts: Vec<TextIds<'_>> = batches[at].iter().map(|&text| texts[text]).collect();
            let batch = Batch::of_ids(&texts, pad_token_id, PaddingRule::Masked);
            let outputs = session.run(batch.inputs())?;
            // The graph's rows are tokens.
            let text_of = |token| batches[at][text_of_token(token, &texts)];
            let hidden = outputs.finite(HIDDEN_STATES);
            let hidden =
                hidden.map_err(|error| Error::from(error).with_text(|token| name(text_of(token))))?;
            let hidden = hidden.as_slice().map_or_else(|| hidden.iter().copied().collect(), <[f32]>::to_vec);
            round_to(precision, hidden).map_err(|error| match error {
                ArtifactError::BeyondFloat16 { value, at } => {
                    Error::BeyondFloat16 { text: name(text_of(at / hidden_size)), value }
                }
                other => other.into(),
            })
        };
        lanes.run_each(batches.len(), bytes, compute, |at, hidden| take(&batches[at], hidden))
    }
}

/// The text that the `token`-th token of all texts belongs to.
fn text_of_token(token: usize, texts: &[TextIds<'_>]) -> usize {
    let ends = texts.iter().scan(0, |end, text| {
        *end += text.input_ids.len();
        Some(*end)
    });
    ends.take_while(|&end| end <= token).count().min(texts.len().saturating_sub(1))
}

/// The library, device and code that determine the last digits of hidden states, for [`FeaturesKey::computed_by`].
pub fn computed_by(engine: &Engine, precision: TrunkPrecision) -> String {
    let description = engine.description();
    let weights = match precision {
        TrunkPrecision::F32 => String::new(),
        TrunkPrecision::Int8 => format!(", weights of {} bits, ranges by channel", int8_weight_bits()),
    };
    format!("{} on {}{weights}, revision {REVISION}", description.onnxruntime, description.device)
}

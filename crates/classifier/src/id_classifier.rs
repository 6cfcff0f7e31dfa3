//! A fine-tuned model that classifies tokenised texts and does nothing else.

use midashi_encoder::{Batch, LOGITS, MatmulPrecision, PaddingRule, TextIds, logits};
use midashi_runtime::{Engine, Session};
use ndarray::s;

use crate::quantized::{check_precision, session};
use crate::{ModelFolder, Result, Scores};

/// A fine-tuned model whose caller tokenises the texts ([`Reading`](crate::Reading)) and makes the batches.
pub struct IdClassifier {
    session: Session,
    pad_token_id: i64,
}

impl IdClassifier {
    /// Opens a model whose small files have been read, to multiply its layers' matrices in `precision`.
    ///
    /// # Errors
    /// When a weight is missing or damaged, ONNX Runtime refuses the graph, or 8-bit integers are requested on CUDA.
    pub fn open(model: &ModelFolder, engine: &Engine, precision: MatmulPrecision<'_>) -> Result<Self> {
        let needs_integers = !matches!(precision, MatmulPrecision::Float32);
        check_precision(needs_integers, engine.device(), "the precision is \"int8\"")?;
        let config = model.config();
        let graph = logits(config, model.head(), precision)?;
        let session = session(engine, &graph, "classifier", &model.weights()?, precision)?;
        Ok(Self { session, pad_token_id: config.pad_token_id })
    }

    /// Classifies texts as one batch.
    ///
    /// # Errors
    /// When the graph fails, as it does at an id that is not in the vocabulary.
    pub fn classify(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Scores>> {
        let inputs = Batch::of_ids(texts, self.pad_token_id, PaddingRule::Masked);
        let outputs = self.session.run(inputs.inputs())?;
        let logits = outputs.float32(LOGITS)?;
        // Whoever tokenised a text knows whether it was truncated.
        Ok((0..texts.len()).map(|row| Scores::new(logits.slice(s![row, ..]), false)).collect())
    }
}

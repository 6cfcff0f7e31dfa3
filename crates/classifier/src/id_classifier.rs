//! A fine-tuned model that classifies tokenised texts and does nothing else.

use midashi_encoder::{Batch, LOGITS, MatmulPrecision, PaddingRule, TextIds, logits};
use midashi_runtime::{Engine, Session};
use ndarray::s;

use crate::mapped::session;
use crate::quantized::check_precision;
use crate::{Error, ModelFolder, Result, Scores};

/// A fine-tuned model whose caller tokenises the texts ([`Reading`](crate::Reading)) and makes the batches.
pub struct IdClassifier {
    session: Session,
    pad_token_id: i64,
    /// Rows of the word embeddings.
    vocabulary: usize,
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
        let session = session(engine, &graph, "classifier", model, precision)?;
        Ok(Self { session, pad_token_id: config.pad_token_id, vocabulary: config.vocab_size })
    }

    /// Classifies texts as one batch.
    ///
    /// # Errors
    /// When an id has no word embedding, the graph fails, or a logit is not finite.
    pub fn classify(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Scores>> {
        // ONNX counts a negative id from the end of the table.
        let rows = self.vocabulary;
        let is_wrong = |id: &i32| usize::try_from(*id).map_or(true, |id| id >= rows);
        if let Some(&id) = texts.iter().flat_map(|text| text.input_ids).find(|id| is_wrong(id)) {
            return Err(Error::Id { id, rows });
        }
        let inputs = Batch::of_ids(texts, self.pad_token_id, PaddingRule::Masked);
        let outputs = self.session.run(inputs.inputs())?;
        let logits = outputs.finite(LOGITS)?;
        // Whoever tokenised a text knows whether it was truncated.
        Ok((0..texts.len()).map(|row| Scores::new(logits.slice(s![row, ..]), false)).collect())
    }
}

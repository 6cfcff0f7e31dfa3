//! A fine-tuned model that classifies tokenised texts and does nothing else.

use std::borrow::Cow;

use midashi_encoder::{Batch, Graph, LOGITS, MatmulPrecision, PaddingRule, TextIds, attention_bytes, logits};
use midashi_runtime::{Engine, Lanes, Session};
use ndarray::s;

use crate::mapped::opened;
use crate::quantized::{check_precision, lanes};
use crate::windows::RowIds;
use crate::{Error, ModelFolder, Result, Scores};

/// A fine-tuned model whose caller tokenises the texts ([`Reading`](crate::Reading)) and makes the batches. All threads
/// compute the same batch, so that a single text has its answer soon.
pub struct IdClassifier {
    session: Session,
    ids: Ids,
}

/// As [`IdClassifier`], for many batches: each thread computes one of its own.
pub(crate) struct IdClassifiers {
    lanes: Lanes,
    ids: Ids,
    heads: usize,
}

/// What a model's token ids are.
#[derive(Clone, Copy)]
struct Ids {
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
        let (graph, ids) = prepared(model, engine, precision)?;
        let open = |graph: &[u8], floats, folder: &_| engine.session_beside(graph, floats, folder);
        Ok(Self { session: opened(open, &graph, "classifier", model, precision)?, ids })
    }

    /// Classifies texts as one batch.
    ///
    /// # Errors
    /// When an id has no word embedding, the graph fails, or a logit is not finite.
    pub fn classify(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Scores>> {
        self.ids.classify(&mut self.session, texts)
    }
}

impl IdClassifiers {
    /// As [`IdClassifier::open`].
    pub(crate) fn open(model: &ModelFolder, engine: &Engine, precision: MatmulPrecision<'_>) -> Result<Self> {
        let (graph, ids) = prepared(model, engine, precision)?;
        // Sessions share packed weights that are in memory, and not those of a mapped file; processes share mapped ones.
        let lanes = if engine.threads() > 1 {
            lanes(engine, &graph, "classifier", Cow::Owned(model.weights()?), precision)?
        } else {
            let open = |graph: &[u8], floats, folder: &_| engine.lanes_beside(graph, floats, folder);
            opened(open, &graph, "classifier", model, precision)?
        };
        Ok(Self { lanes, ids, heads: model.config().num_attention_heads })
    }

    /// Classifies `batches` of rows of these `lengths` in tokens; `batch` gives the ids of one, by its number. `take`
    /// gets the scores of each batch, in their order.
    ///
    /// # Errors
    /// The first error and the number of its batch.
    pub(crate) fn classify_each<'t>(
        &mut self,
        lengths: &[usize],
        batches: &[Vec<usize>],
        batch: impl Fn(usize) -> Vec<RowIds<'t>> + Sync,
        mut take: impl FnMut(usize, Vec<Scores>),
    ) -> Result<(), (usize, Error)> {
        let (ids, bytes) = (self.ids, attention_bytes(self.heads, lengths, batches));
        let compute = |session: &mut Session, at: usize| {
            let rows = batch(at);
            let mut texts: Vec<TextIds<'_>> = rows.iter().map(RowIds::ids).collect();
            // ONNX Runtime multiplies a single row by another program, with other rounding (decision 75).
            if let [lone] = *texts {
                texts.push(lone);
            }
            let mut scores = ids.classify(session, &texts).map_err(|error| (at, error))?;
            scores.truncate(rows.len());
            Ok(scores)
        };
        self.lanes.run_each(batches.len(), bytes, compute, |at, scores| {
            take(at, scores);
            Ok(())
        })
    }
}

impl Ids {
    fn classify(self, session: &mut Session, texts: &[TextIds<'_>]) -> Result<Vec<Scores>> {
        // ONNX counts a negative id from the end of the table.
        let rows = self.vocabulary;
        let is_wrong = |id: &i32| usize::try_from(*id).map_or(true, |id| id >= rows);
        if let Some(&id) = texts.iter().flat_map(|text| text.input_ids).find(|id| is_wrong(id)) {
            return Err(Error::Id { id, rows });
        }
        let inputs = Batch::of_ids(texts, self.pad_token_id, PaddingRule::Masked);
        let outputs = session.run(inputs.inputs())?;
        let logits = outputs.finite(LOGITS)?;
        // Whoever tokenised a text knows whether it was truncated.
        Ok((0..texts.len()).map(|row| Scores::new(logits.slice(s![row, ..]), false)).collect())
    }
}

/// The graph that only classifies, and the ids that it takes.
fn prepared(model: &ModelFolder, engine: &Engine, precision: MatmulPrecision<'_>) -> Result<(Graph, Ids)> {
    let needs_integers = !matches!(precision, MatmulPrecision::Float32);
    check_precision(needs_integers, engine.device(), "the precision is \"int8\"")?;
    let config = model.config();
    let ids = Ids { pad_token_id: config.pad_token_id, vocabulary: config.vocab_size };
    Ok((logits(config, model.head(), precision)?, ids))
}

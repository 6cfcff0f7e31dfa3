//! The rows of the word embeddings that the corpus uses.
//!
//! A multilingual vocabulary has 250,000 rows; a corpus of headlines uses a few thousand. The gradient of
//! the others is zero, so the training leaves them out: gradients, moments and steps are smaller and no
//! prediction changes. Unused rows keep the checkpoint's values, whereas PyTorch's AdamW would decay them.

use anyhow::{Context, Result};
use midashi_artifacts::TokenizedCorpus;
use midashi_encoder::Weights;
use ndarray::{ArrayD, Axis};

use crate::model::Model;

/// The used rows and the full table, which is restored after the training.
pub struct UsedRows {
    /// The table's name.
    name: String,
    /// Ids of the used rows, ascending.
    ids: Vec<usize>,
    /// All word embeddings, `[vocabulary, hidden_size]`.
    table: ArrayD<f32>,
}

impl UsedRows {
    /// Reduces `weights` to the used rows, replaces the ids in `corpus` by row numbers, and returns the
    /// model of this smaller vocabulary. Frozen word embeddings are left as they are.
    ///
    /// # Errors
    /// When there are no word embeddings, or none for an id.
    pub fn select(
        model: &Model,
        weights: &mut Weights,
        corpus: &mut TokenizedCorpus,
    ) -> Result<(Model, Option<Self>)> {
        let mut model = model.clone();
        let name = model.config.word_embeddings();
        if !model.is_trainable(&name) {
            return Ok((model, None));
        }
        let table = weights.remove(&name).context("there are no word embeddings")?;
        let pad_id = usize::try_from(model.config.pad_token_id).context("pad_token_id is negative")?;
        let mut rows = vec![None; table.len_of(Axis(0))];
        let used = corpus.texts.iter().flat_map(|text| &text.encoding.input_ids).map(|&id| id as usize);
        for id in used.chain([pad_id]) {
            *rows.get_mut(id).with_context(|| format!("there is no word embedding for the id {id}"))? =
                Some(0);
        }
        let mut ids = Vec::new();
        for (id, row) in rows.iter_mut().enumerate().filter(|(_, row)| row.is_some()) {
            *row = Some(ids.len() as i32);
            ids.push(id);
        }
        let row_of = |id: usize| rows[id].unwrap_or_default();

        model.config.vocab_size = ids.len();
        model.config.pad_token_id = row_of(pad_id).into();
        for id in corpus.texts.iter_mut().flat_map(|text| &mut text.encoding.input_ids) {
            *id = row_of(*id as usize);
        }
        weights.insert(name.clone(), table.select(Axis(0), &ids));
        Ok((model, Some(Self { name, ids, table })))
    }

    /// Restores the full table with the trained rows in it.
    ///
    /// # Errors
    /// When there are no word embeddings.
    pub fn restore(self, weights: &mut Weights) -> Result<()> {
        let trained = weights.remove(&self.name).context("there are no word embeddings")?;
        let mut table = self.table;
        for (row, id) in trained.outer_iter().zip(self.ids) {
            table.index_axis_mut(Axis(0), id).assign(&row);
        }
        weights.insert(self.name, table);
        Ok(())
    }
}

//! The rows of the word embeddings that the corpus has ids for.
//!
//! A multilingual vocabulary has a quarter of a million rows, a corpus of headlines some thousand. The
//! others have no gradient, so gradients, moments and steps are computed without them, which changes no
//! prediction. They stay as the checkpoint has them, where PyTorch's AdamW would shrink them by its weight
//! decay.

use anyhow::{Context, Result};
use midashi_artifacts::TokenizedCorpus;
use midashi_bert::{WORD_EMBEDDINGS, Weights};
use ndarray::{ArrayD, Axis};

use crate::model::Model;

/// What was left out of a model, to be put back when it has learned.
pub struct UsedRows {
    /// Their ids, ascending.
    ids: Vec<usize>,
    /// The whole table.
    table: ArrayD<f32>,
}

impl UsedRows {
    /// Leaves only the used rows in `weights`, and gives the model for which their numbers are the ids, as
    /// they are then in `corpus`. Where the word embeddings do not learn, nothing is left out.
    ///
    /// # Errors
    /// When there are no word embeddings, or an id has none.
    pub fn keep(
        model: &Model,
        weights: &mut Weights,
        corpus: &mut TokenizedCorpus,
    ) -> Result<(Model, Option<Self>)> {
        let mut model = model.clone();
        if !model.learns(WORD_EMBEDDINGS) {
            return Ok((model, None));
        }
        let table = weights.remove(WORD_EMBEDDINGS).context("there are no word embeddings")?;
        let pad_id = usize::try_from(model.config.pad_token_id).context("the id of padding is negative")?;
        let mut rows = vec![None; table.len_of(Axis(0))];
        let used = corpus.texts.iter().flat_map(|text| &text.input_ids).map(|&id| id as usize);
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
        for id in corpus.texts.iter_mut().flat_map(|text| &mut text.input_ids) {
            *id = row_of(*id as usize);
        }
        weights.insert(WORD_EMBEDDINGS.to_owned(), table.select(Axis(0), &ids));
        Ok((model, Some(Self { ids, table })))
    }

    /// Puts the other rows back.
    ///
    /// # Errors
    /// When there are no word embeddings.
    pub fn put_back(self, weights: &mut Weights) -> Result<()> {
        let learned = weights.remove(WORD_EMBEDDINGS).context("there are no word embeddings")?;
        let mut table = self.table;
        for (row, id) in learned.outer_iter().zip(self.ids) {
            table.index_axis_mut(Axis(0), id).assign(&row);
        }
        weights.insert(WORD_EMBEDDINGS.to_owned(), table);
        Ok(())
    }
}

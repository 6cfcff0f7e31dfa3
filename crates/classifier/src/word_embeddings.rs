//! The word embeddings beside the graphs that start at them.

use midashi_encoder::{Batch, TextIds};
use ndarray::{Array2, ArrayD, Axis, s};

use crate::{Error, Result};

/// The rows of the word embeddings, `[vocabulary, hidden_size]`.
pub(crate) struct WordEmbeddings(pub(crate) ArrayD<f32>);

impl WordEmbeddings {
    /// The texts' word embeddings, each `[tokens, hidden_size]`.
    pub(crate) fn of(&self, texts: &[TextIds<'_>]) -> Result<Vec<Array2<f32>>> {
        let rows = self.0.len_of(Axis(0));
        let row =
            |&id: &i32| usize::try_from(id).ok().filter(|&row| row < rows).ok_or(Error::Id { id, rows });
        let of_text = |text: &TextIds<'_>| {
            let ids = text.input_ids.iter().map(row).collect::<Result<Vec<usize>>>()?;
            Ok(self.0.select(Axis(0), &ids).slice(s![.., ..]).to_owned())
        };
        texts.iter().map(of_text).collect()
    }

    /// The inputs of a graph that starts at word embeddings.
    pub(crate) fn batch(&self, embeddings: &[Array2<f32>], texts: &[TextIds<'_>]) -> Batch {
        let numbers: Vec<Vec<f32>> = embeddings.iter().map(|text| text.iter().copied().collect()).collect();
        let rows: Vec<(&[f32], &[i32])> =
            numbers.iter().zip(texts).map(|(numbers, text)| (&numbers[..], text.token_type_ids)).collect();
        Batch::of_embeddings(&rows, self.0.len_of(Axis(1)))
    }
}

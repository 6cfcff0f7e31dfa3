//! Explanations: a weight for every token of a text.

use midashi_encoder::TextIds;
use midashi_text::{Encoding, WindowRows};
use midashi_tokenizer::Encoded;
use ndarray::{Array2, ArrayView2, Axis};

use crate::attribution::Path;
use crate::integration::IntegratedGradients;
use crate::windows::{RowIds, spread};
use crate::{Classifier, Error, Method, Prediction, Result};

/// A text with its prediction and a weight for every token.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The text as the model reads it.
    pub text: Encoded,
    /// The explained prediction.
    pub prediction: Prediction,
    /// Weight of each token, special tokens included.
    pub weights: Vec<f64>,
    /// The windows in which the text was read; 1 for a text that the model reads at once.
    pub windows: usize,
}

impl Classifier<'_> {
    /// Classifies texts and weighs their tokens; the explained category is the predicted one.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded, a text has no words, the model lacks the method's layer or head, the
    /// tokenizer has no token for the baseline of integrated gradients, or a graph fails.
    pub fn explain<S: AsRef<str>>(&mut self, texts: &[S], method: Method) -> Result<Vec<Explanation>> {
        let encoded = self.encode(texts)?;
        self.explain_encoded(encoded, method)
    }

    /// Classifies tokenised texts and weighs their tokens; the explained category is the predicted one.
    ///
    /// # Errors
    /// As [`explain`](Self::explain), and when an id is not in the vocabulary.
    pub fn explain_encoded(&mut self, encoded: Vec<Encoded>, method: Method) -> Result<Vec<Explanation>> {
        method.check(&self.model)?;
        let texts: Vec<&Encoding> = encoded.iter().map(|text| &text.encoding).collect();
        let rows = WindowRows::of(texts.iter().copied(), self.length().windowing());
        let row_ids = RowIds::all(&texts, &rows);
        let ids: Vec<TextIds<'_>> = row_ids.iter().map(RowIds::ids).collect();
        let named = |error: Error| error.with_text(|row| beginning(texts[rows.text(row)]));
        let predictions = Prediction::of_texts(&rows, self.classify_ids(&ids).map_err(named)?);
        let weights = self.weights(&texts, &rows, &ids, &predictions, method).map_err(named)?;
        let windows = (0..rows.texts()).map(|text| rows.rows(text).len());
        let explanation =
            |(((text, prediction), weights), windows)| Explanation { text, prediction, weights, windows };
        Ok(encoded.into_iter().zip(predictions).zip(weights).zip(windows).map(explanation).collect())
    }

    /// [`integrated_gradients`](Self::integrated_gradients) of the `rows` of texts for each text's category, from a baseline
    /// in which all words are the token `mask`.
    ///
    /// # Errors
    /// As [`integrated_gradients`](Self::integrated_gradients).
    pub fn integrated_from_masked(
        &mut self,
        texts: &[&Encoding],
        rows: &WindowRows,
        categories: &[usize],
        mask: i32,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<IntegratedGradients>> {
        let row_ids = RowIds::all(texts, rows);
        let masked: Vec<Vec<i32>> = texts.iter().map(|text| text.masked_input_ids(mask)).collect();
        let baselines: Vec<_> =
            (0..rows.len()).map(|row| rows.window(row).select(&masked[rows.text(row)])).collect();
        let path = |row: usize| Path {
            text: row_ids[row].ids(),
            baseline: &baselines[row],
            category: categories[rows.text(row)],
        };
        self.integrated_gradients(&(0..rows.len()).map(path).collect::<Vec<_>>(), progress)
    }

    /// The weights of the texts' tokens; `ids` are those of the `rows`, and `predictions` those of the texts.
    fn weights(
        &mut self,
        texts: &[&Encoding],
        rows: &WindowRows,
        ids: &[TextIds<'_>],
        predictions: &[Prediction],
        method: Method,
    ) -> Result<Vec<Vec<f64>>> {
        let category = |row: usize| predictions[rows.text(row)].category.index();
        let layers = self.model.config().num_hidden_layers;
        match method {
            Method::Attention { layer, head } if layer.is_none_or(|layer| layer == layers - 1) => {
                Ok(predictions.iter().map(|prediction| of_heads(prediction.attention.view(), head)).collect())
            }
            Method::IntegratedGradients => {
                let (mask, _) = self
                    .tokenizer()?
                    .replacement()
                    .ok_or_else(|| Error::NoMaskToken { folder: self.model.path().to_owned() })?;
                let categories: Vec<usize> =
                    predictions.iter().map(|prediction| prediction.category.index()).collect();
                let found = self.integrated_from_masked(texts, rows, &categories, mask, &mut |_, _| {})?;
                Ok(spread_all(rows, &found.into_iter().map(|of_row| of_row.weights).collect::<Vec<_>>()))
            }
            Method::GradientXInput => {
                let categories: Vec<usize> = (0..ids.len()).map(category).collect();
                Ok(spread_all(rows, &self.gradients_x_inputs(ids, &categories)?))
            }
            Method::Rollout => Ok(spread_all(rows, &self.rollouts(ids)?)),
            Method::Attention { layer, head } => {
                let attentions = self.cls_attentions(ids, layer.unwrap_or(layers - 1))?;
                let of_heads = |attention: &Array2<f32>| of_heads(attention.view(), head);
                Ok(spread_all(rows, &attentions.iter().map(of_heads).collect::<Vec<_>>()))
            }
        }
    }
}

/// The first tokens of a text's words, for a message.
fn beginning(text: &Encoding) -> String {
    const LONGEST: usize = 16;
    let mut tokens =
        text.tokens.iter().zip(&text.word_ids).filter_map(|(token, word)| word.map(|_| &**token));
    let mut beginning = tokens.by_ref().take(LONGEST).collect::<String>();
    if tokens.next().is_some() {
        beginning.push('…');
    }
    format!("{beginning:?}")
}

/// The weights of the texts' tokens from those of the rows' tokens.
fn spread_all<T: Copy + Into<f64>>(rows: &WindowRows, weights: &[Vec<T>]) -> Vec<Vec<f64>> {
    (0..rows.texts()).map(|text| spread(rows, text, &weights[rows.rows(text)])).collect()
}

/// One head of an attention `[heads, tokens]`, or the sum over all.
fn of_heads(attention: ArrayView2<'_, f32>, head: Option<usize>) -> Vec<f64> {
    let attention = attention.mapv(f64::from);
    match head {
        Some(head) => attention.row(head).to_vec(),
        None => attention.sum_axis(Axis(0)).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn heads_are_summed_unless_one_is_asked_for() {
        let attention = array![[0.5, 0.25, 0.25], [0.0, 0.75, 0.25]];
        assert_eq!(of_heads(attention.view(), None), [0.5, 1.0, 0.5]);
        assert_eq!(of_heads(attention.view(), Some(1)), [0.0, 0.75, 0.25]);
    }
}

//! Explanations: a weight for every token of a text.

use midashi_encoder::{INPUTS_EMBEDS, TARGETS, TextIds, attentions_name, explanation, gradient_name};
use midashi_runtime::{Outputs, Tensor};
use midashi_text::{Encoding, WindowRows};
use midashi_tokenizer::Encoded;
use ndarray::{Array2, Array4, ArrayView2, Axis, s};

use crate::classifier::session;
use crate::windows::{RowIds, spread};
use crate::{Classifier, Error, Method, Prediction, Result, head_mean, rollout};

/// A graph with gradients keeps every layer's activations, so its batches are this much smaller.
const GRADIENT_SHARE: usize = 4;

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

/// Attention and gradient of one text, from one run of the graph with gradients.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// `[layers, heads, tokens, tokens]`: attention of each token in the third axis to all in the fourth, where it sums
    /// to 1.
    pub attentions: Array4<f32>,
    /// Gradient of the category's logit with respect to the word embeddings, times the embeddings, `[tokens]`.
    pub gradient_x_input: Vec<f32>,
}

impl Attribution {
    /// Attention of `[CLS]` in each layer, mean over the heads: `[layers, tokens]`, rows sum to 1.
    pub fn layer_attention(&self) -> Vec<Vec<f32>> {
        self.head_means().iter().map(|layer| layer.row(0).to_vec()).collect()
    }

    /// Attention rollout, `[tokens]`; sums to 1.
    pub fn rollout(&self) -> Vec<f32> {
        rollout(self.head_means().iter().map(|layer| layer.view())).to_vec()
    }

    fn head_means(&self) -> Vec<Array2<f32>> {
        self.attentions.outer_iter().map(head_mean).collect()
    }
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
        let predictions = Prediction::of_texts(&rows, self.classify_ids(&ids)?);
        let weights = self.weights(&texts, &rows, &ids, &predictions, method)?;
        let windows = (0..rows.texts()).map(|text| rows.rows(text).len());
        let explanation =
            |(((text, prediction), weights), windows)| Explanation { text, prediction, weights, windows };
        Ok(encoded.into_iter().zip(predictions).zip(weights).zip(windows).map(explanation).collect())
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
                let points = self.options.integration_points;
                let masked: Vec<Vec<i32>> = texts.iter().map(|text| text.masked_input_ids(mask)).collect();
                let weights = ids.iter().enumerate().map(|(row, &ids)| {
                    let baseline = rows.window(row).select(&masked[rows.text(row)]);
                    self.integrated_gradients(ids, &baseline, category(row), points)
                });
                let weights: Vec<Vec<f32>> = weights.collect::<Result<_>>()?;
                Ok(spread_all(rows, &weights))
            }
            _ => {
                let mut weights = vec![Vec::new(); ids.len()];
                for batch in self.explanation_batches(ids) {
                    let chosen: Vec<TextIds<'_>> = batch.iter().map(|&row| ids[row]).collect();
                    let categories: Vec<usize> = batch.iter().map(|&row| category(row)).collect();
                    for (row, attribution) in batch.into_iter().zip(self.attributions(&chosen, &categories)?)
                    {
                        weights[row] = of_layers(&attribution, method);
                    }
                }
                Ok(spread_all(rows, &weights))
            }
        }
    }

    /// `texts` in batches for [`attributions`](Self::attributions).
    pub fn explanation_batches(&self, texts: &[TextIds<'_>]) -> Vec<Vec<usize>> {
        self.batches(texts, self.options.batch_tokens / GRADIENT_SHARE)
    }

    /// Attention and gradients of one batch of texts, the gradients with respect to the logit of each text's category.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, there is no such category, or the graph fails.
    pub fn attributions(&mut self, texts: &[TextIds<'_>], categories: &[usize]) -> Result<Vec<Attribution>> {
        let embeddings = self.word_embeddings(texts)?;
        let outputs = self.run_explanation(&embeddings, texts, categories)?;
        let gradients = outputs.float32(&gradient_name(INPUTS_EMBEDS))?;
        let config = self.model.config();
        let layers = (0..config.num_hidden_layers).map(|layer| outputs.float32(&attentions_name(layer)));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let attribution = |(row, embeddings): (usize, &Array2<f32>)| {
            let (tokens, _) = embeddings.dim();
            let of_layers = layers.iter().map(|layer| layer.slice(s![row, .., ..tokens, ..tokens]));
            let mut attentions = Array4::zeros((layers.len(), config.num_attention_heads, tokens, tokens));
            attentions.outer_iter_mut().zip(of_layers).for_each(|(mut to, from)| to.assign(&from));
            let gradient = gradients.slice(s![row, ..tokens, ..]);
            Attribution { attentions, gradient_x_input: row_products(gradient, embeddings.view()) }
        };
        Ok(embeddings.iter().enumerate().map(attribution).collect())
    }

    /// Integrated gradients of the category's logit, `[tokens]`: the difference between the text's word embeddings and
    /// those of the `baseline` (ids of as many tokens), times the mean gradient at the midpoints of `points` equal
    /// sections of the path between them. Their sum approximates the difference of the two logits.
    ///
    /// # Errors
    /// When the baseline is not as long, an id is not in the vocabulary, there is no such category, or the graph fails.
    pub fn integrated_gradients(
        &mut self,
        text: TextIds<'_>,
        baseline: &[i32],
        category: usize,
        points: usize,
    ) -> Result<Vec<f32>> {
        let (found, expected) = (baseline.len(), text.input_ids.len());
        if found != expected {
            return Err(Error::Baseline { found, expected });
        }
        let from = self.word_embeddings(&[TextIds { input_ids: baseline, ..text }])?.remove(0);
        let path = self.word_embeddings(&[text])?.remove(0) - &from;
        let mut mean = Array2::<f32>::zeros(path.raw_dim());
        let batch_size = (self.options.batch_tokens / GRADIENT_SHARE / text.input_ids.len().max(1)).max(1);
        let positions: Vec<f32> = (0..points).map(|point| (point as f32 + 0.5) / points as f32).collect();
        for positions in positions.chunks(batch_size) {
            let embeddings: Vec<Array2<f32>> =
                positions.iter().map(|&position| &from + &(&path * position)).collect();
            let (texts, categories) = (vec![text; positions.len()], vec![category; positions.len()]);
            let outputs = self.run_explanation(&embeddings, &texts, &categories)?;
            let gradients = outputs.float32(&gradient_name(INPUTS_EMBEDS))?;
            (0..positions.len()).for_each(|row| mean += &gradients.slice(s![row, .., ..]));
        }
        mean /= points as f32;
        Ok(row_products(mean.view(), path.view()))
    }

    fn run_explanation(
        &mut self,
        embeddings: &[Array2<f32>],
        texts: &[TextIds<'_>],
        categories: &[usize],
    ) -> Result<Outputs> {
        let labels = self.labels().len();
        if let Some(&category) = categories.iter().find(|category| **category >= labels) {
            return Err(Error::Category { category, labels });
        }
        let mut targets = Array2::<f32>::zeros((texts.len(), labels));
        categories.iter().enumerate().for_each(|(row, &category)| targets[[row, category]] = 1.0);
        let targets = targets.into_dyn();
        let batch = self.batch(embeddings, texts);
        let mut inputs = batch.inputs();
        inputs.push((TARGETS, Tensor::from(targets.view())));
        let opened = match self.explanation.take() {
            Some(opened) => opened,
            None => {
                let graph = explanation(self.model.config(), self.model.head())?;
                session(self.engine, &graph, "explanation", &self.model.weights()?)?
            }
        };
        Ok(self.explanation.insert(opened).run(inputs)?)
    }
}

/// The weights of the texts' tokens from those of the rows' tokens.
fn spread_all<T: Copy + Into<f64>>(rows: &WindowRows, weights: &[Vec<T>]) -> Vec<Vec<f64>> {
    (0..rows.texts()).map(|text| spread(rows, text, &weights[rows.rows(text)])).collect()
}

fn of_layers(attribution: &Attribution, method: Method) -> Vec<f64> {
    match method {
        Method::Attention { layer, head } => {
            let layer = layer.unwrap_or(attribution.attentions.len_of(Axis(0)) - 1);
            of_heads(attribution.attentions.slice(s![layer, .., 0, ..]), head)
        }
        Method::Rollout => as_f64(&attribution.rollout()),
        Method::GradientXInput | Method::IntegratedGradients => as_f64(&attribution.gradient_x_input),
    }
}

/// One head of an attention `[heads, tokens]`, or the sum over all.
fn of_heads(attention: ArrayView2<'_, f32>, head: Option<usize>) -> Vec<f64> {
    let attention = attention.mapv(f64::from);
    match head {
        Some(head) => attention.row(head).to_vec(),
        None => attention.sum_axis(Axis(0)).to_vec(),
    }
}

fn as_f64(weights: &[f32]) -> Vec<f64> {
    weights.iter().copied().map(f64::from).collect()
}

/// The scalar product of each pair of rows.
fn row_products(one: ArrayView2<'_, f32>, other: ArrayView2<'_, f32>) -> Vec<f32> {
    one.rows().into_iter().zip(other.rows()).map(|(one, other)| one.dot(&other)).collect()
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

    #[test]
    fn a_layers_attention_is_the_row_of_cls() {
        // [layers, heads, tokens, tokens] = 2 × 2 × 2 × 2, numbered in row-major order.
        let attentions =
            Array4::from_shape_fn((2, 2, 2, 2), |(l, h, from, to)| (8 * l + 4 * h + 2 * from + to) as f32);
        let attribution = Attribution { attentions, gradient_x_input: vec![0.5, -0.25] };
        let attention = |layer, head| of_layers(&attribution, Method::Attention { layer, head });
        assert_eq!(attention(Some(0), Some(1)), [4.0, 5.0]);
        assert_eq!(attention(Some(1), None), [8.0 + 12.0, 9.0 + 13.0]);
        assert_eq!(attention(None, None), [8.0 + 12.0, 9.0 + 13.0]);
        assert_eq!(of_layers(&attribution, Method::GradientXInput), [0.5, -0.25]);
    }
}

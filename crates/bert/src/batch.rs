//! Texts of different lengths as rectangular arrays.

use ndarray::{Array2, Array3, ArrayD, ArrayView1, ArrayViewD, s};

use crate::graphs::{ATTENTION_MASK, HIDDEN_STATES, INPUT_IDS, INPUTS_EMBEDS, TOKEN_TYPE_IDS};

/// Groups texts of similar length so that almost nothing is padding.
///
/// Texts are sorted by length (ties keep their order) and cut into batches whose size, padding
/// included, stays within `budget` tokens; a text longer than the budget is a batch of its own.
/// Returns indices into `lengths`.
pub fn batches_by_length(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| lengths[text]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match batches.last_mut() {
            // The texts come shortest first, so this one is the longest.
            Some(batch) if (batch.len() + 1) * lengths[text] <= budget => batch.push(text),
            _ => batches.push(vec![text]),
        }
    }
    batches
}

/// One text as the tokenizer gives it. Both slices are as long as the text has tokens.
#[derive(Clone, Copy, Debug)]
pub struct TextIds<'a> {
    /// Rows of the word embeddings.
    pub input_ids: &'a [i32],
    /// Rows of the token type embeddings.
    pub token_type_ids: &'a [i32],
}

/// Texts filled up to the longest, as a graph's inputs.
pub struct Batch {
    texts: Texts,
    attention_mask: ArrayD<i64>,
}

/// What becomes of the padding in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaddingRule {
    /// It is masked: what is computed of a text does not depend on its batch.
    Masked,
    /// It is attended to like any token: what is computed of a text depends on the longest of its
    /// batch.
    Attended,
}

/// How large a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSizes {
    /// Number of texts.
    pub texts: usize,
    /// Length of the longest text in tokens.
    pub longest: usize,
    /// Positions of all texts that are attended to.
    pub tokens: usize,
}

/// What the graph starts at.
enum Texts {
    Ids { input_ids: ArrayD<i64>, token_type_ids: ArrayD<i64> },
    Embedded { inputs_embeds: ArrayD<f32>, token_type_ids: ArrayD<i64> },
    Hidden(ArrayD<f32>),
}

impl Batch {
    /// Token ids, filled up with `pad_id`, and their types, filled up with 0: for a graph that starts
    /// at the input ids.
    pub fn of_ids(texts: &[TextIds<'_>], pad_id: i64, padding: PaddingRule) -> Self {
        let mut attention_mask = attention_mask(texts.iter().map(|text| text.input_ids.len()));
        let size = attention_mask.dim();
        let input_ids = padded_ids(texts.iter().map(|text| text.input_ids), size, pad_id);
        let token_type_ids = padded_ids(texts.iter().map(|text| text.token_type_ids), size, 0);
        if padding == PaddingRule::Attended {
            attention_mask.fill(1);
        }
        let texts = Texts::Ids { input_ids, token_type_ids };
        Self { texts, attention_mask: attention_mask.into_dyn() }
    }

    /// Word embeddings, each `[tokens, hidden_size]` in row-major order, filled up with zeros, and token types,
    /// filled up with 0: for a graph that starts at the embeddings. Padding is masked.
    pub fn of_embeddings(texts: &[(&[f32], &[i32])], hidden_size: usize) -> Self {
        let attention_mask = attention_mask(texts.iter().map(|(_, types)| types.len()));
        let token_type_ids = padded_ids(texts.iter().map(|(_, types)| *types), attention_mask.dim(), 0);
        let inputs_embeds =
            padded_rows(texts.iter().map(|(words, _)| *words), attention_mask.dim(), hidden_size);
        let texts = Texts::Embedded { inputs_embeds, token_type_ids };
        Self { texts, attention_mask: attention_mask.into_dyn() }
    }

    /// Hidden states, each `[tokens, hidden_size]` in row-major order, filled up with zeros: for a
    /// graph that starts after the trunk. Padding is masked, for zeros are not what the trunk would
    /// make of it.
    pub fn of_hidden<T: AsRef<[f32]>>(texts: &[T], hidden_size: usize) -> Self {
        let texts: Vec<&[f32]> = texts.iter().map(AsRef::as_ref).collect();
        let attention_mask = attention_mask(texts.iter().map(|hidden| hidden.len() / hidden_size));
        let padded = padded_rows(texts.into_iter(), attention_mask.dim(), hidden_size);
        Self { texts: Texts::Hidden(padded), attention_mask: attention_mask.into_dyn() }
    }

    /// How large the batch is.
    pub fn sizes(&self) -> BatchSizes {
        let (texts, longest) = (self.attention_mask.shape()[0], self.attention_mask.shape()[1]);
        BatchSizes { texts, longest, tokens: self.attention_mask.sum() as usize }
    }

    /// Names and arrays to feed, as whatever tensor type the engine has.
    pub fn inputs<'a, T>(&'a self) -> Vec<(&'static str, T)>
    where
        T: From<ArrayViewD<'a, i64>> + From<ArrayViewD<'a, f32>>,
    {
        let mut inputs = match &self.texts {
            Texts::Ids { input_ids, token_type_ids } => {
                vec![(INPUT_IDS, input_ids.view().into()), (TOKEN_TYPE_IDS, token_type_ids.view().into())]
            }
            Texts::Embedded { inputs_embeds, token_type_ids } => {
                vec![
                    (INPUTS_EMBEDS, inputs_embeds.view().into()),
                    (TOKEN_TYPE_IDS, token_type_ids.view().into()),
                ]
            }
            Texts::Hidden(hidden) => vec![(HIDDEN_STATES, hidden.view().into())],
        };
        inputs.push((ATTENTION_MASK, self.attention_mask.view().into()));
        inputs
    }
}

/// The category of the largest logit or probability; of equal ones the first.
pub fn most_probable(row: ArrayView1<'_, f32>) -> usize {
    (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best })
}

/// Probabilities of logits, computed from their differences to the largest so that none overflows.
pub fn probabilities(logits: ArrayView1<'_, f32>) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - largest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|power| (power / total) as f32).collect()
}

/// Numbers of texts, filled up with `filler`: `[batch, tokens]`.
fn padded_ids<'a>(texts: impl Iterator<Item = &'a [i32]>, size: (usize, usize), filler: i64) -> ArrayD<i64> {
    let mut padded = Array2::from_elem(size, filler);
    for (mut row, text) in padded.rows_mut().into_iter().zip(texts) {
        row.iter_mut().zip(text).for_each(|(to, &id)| *to = i64::from(id));
    }
    padded.into_dyn()
}

/// Rows of texts, filled up with zeros: `[batch, tokens, width]`.
fn padded_rows<'a>(
    texts: impl Iterator<Item = &'a [f32]>,
    (count, longest): (usize, usize),
    width: usize,
) -> ArrayD<f32> {
    let mut padded = Array3::zeros((count, longest, width));
    for (text, numbers) in texts.enumerate() {
        let mut rows = padded.slice_mut(s![text, ..numbers.len() / width, ..]);
        rows.iter_mut().zip(numbers).for_each(|(to, &from)| *to = from);
    }
    padded.into_dyn()
}

/// 1 for tokens and 0 for padding: `[batch, tokens]`.
fn attention_mask(lengths: impl Iterator<Item = usize>) -> Array2<i64> {
    let lengths: Vec<usize> = lengths.collect();
    let longest = lengths.iter().copied().max().unwrap_or(0);
    Array2::from_shape_fn((lengths.len(), longest), |(text, token)| i64::from(token < lengths[text]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn every_text_is_in_one_batch_and_no_batch_exceeds_the_budget() {
        let lengths = [5, 3, 9, 3, 40, 7, 7, 1];
        let batches = batches_by_length(&lengths, 20);
        let mut seen: Vec<usize> = batches.concat();
        for batch in &batches {
            let longest = batch.iter().map(|&text| lengths[text]).max().unwrap();
            assert!(longest * batch.len() <= 20 || batch.len() == 1, "{batch:?}");
        }
        assert_eq!(batches[0], [7, 1, 3, 0], "shortest first, ties in order");
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
        assert!(batches_by_length(&[], 20).is_empty());
    }

    /// An engine's tensor, for the test.
    #[derive(Debug, PartialEq)]
    enum Tensor {
        Int64(ArrayD<i64>),
        Float32(ArrayD<f32>),
    }

    impl From<ArrayViewD<'_, i64>> for Tensor {
        fn from(array: ArrayViewD<'_, i64>) -> Self {
            Self::Int64(array.to_owned())
        }
    }

    impl From<ArrayViewD<'_, f32>> for Tensor {
        fn from(array: ArrayViewD<'_, f32>) -> Self {
            Self::Float32(array.to_owned())
        }
    }

    #[test]
    fn of_equal_categories_the_first_is_most_probable() {
        assert_eq!(most_probable(array![0.25, 0.5, 0.5].view()), 1);
    }

    #[test]
    fn probabilities_sum_to_one_however_large_the_logits() {
        let probabilities = probabilities(array![1000.0, 999.0, -1000.0].view());
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        // 1 / (1 + 1/e)
        assert!((probabilities[0] - 0.731_058_6).abs() < 1e-6);
    }

    #[test]
    fn padding_goes_to_the_end() {
        let mask = || (ATTENTION_MASK, Tensor::Int64(array![[1, 1, 1], [1, 0, 0]].into_dyn()));
        let ids = Tensor::Int64(array![[4, 5, 6], [7, 1, 1]].into_dyn());
        let types = Tensor::Int64(array![[0, 1, 1], [1, 0, 0]].into_dyn());
        let texts = [
            TextIds { input_ids: &[4, 5, 6], token_type_ids: &[0, 1, 1] },
            TextIds { input_ids: &[7], token_type_ids: &[1] },
        ];
        let of_ids = |padding| Batch::of_ids(&texts, 1, padding);
        let masked = of_ids(PaddingRule::Masked);
        assert_eq!(masked.inputs::<Tensor>(), [(INPUT_IDS, ids), (TOKEN_TYPE_IDS, types), mask()]);
        let (_, all) = &of_ids(PaddingRule::Attended).inputs::<Tensor>()[2];
        assert_eq!(all, &Tensor::Int64(array![[1, 1, 1], [1, 1, 1]].into_dyn()), "without a mask");
        let hidden = array![[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[7.0, 8.0], [0.0, 0.0], [0.0, 0.0]]];
        let hidden = Tensor::Float32(hidden.into_dyn());
        let batch = Batch::of_hidden(&[vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![7.0, 8.0]], 2);
        assert_eq!(batch.inputs::<Tensor>(), [(HIDDEN_STATES, hidden), mask()]);
    }
}

//! Batches: texts of different lengths, padded to rectangular arrays.

use ndarray::{Array2, Array3, ArrayD, ArrayViewD, s};

use crate::names::{ATTENTION_MASK, HIDDEN_STATES, INPUT_IDS, INPUTS_EMBEDS, TOKEN_TYPE_IDS};

/// Groups texts of similar length so that batches have little padding.
///
/// Texts are sorted by length (ties keep their order) and cut into batches of at most `budget` tokens, padding
/// included; a text longer than the budget is a batch of its own. Returns indices into `lengths`.
pub fn batches_by_length(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| lengths[text]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for text in order {
        match batches.last_mut() {
            // Texts are sorted, so this one is the longest of its batch.
            Some(batch) if (batch.len() + 1) * lengths[text] <= budget => batch.push(text),
            _ => batches.push(vec![text]),
        }
    }
    batches
}

/// As [`batches_by_length`], but all texts of a batch are equally long, so that none is padded.
///
/// The shape of the arrays decides in which order ONNX Runtime adds. Without padding a text always has the same shapes, and its
/// results do not depend on its batch, to the last bit.
pub fn batches_of_equal_length(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&text| lengths[text]);
    let equal = order.chunk_by(|&a, &b| lengths[a] == lengths[b]);
    equal
        .flat_map(|texts| texts.chunks((budget / lengths[texts[0]].max(1)).max(1)))
        .map(<[usize]>::to_vec)
        .collect()
}

/// Bytes that attention takes in one layer of the largest of `batches`, which are indices into `lengths`: of every pair of tokens in
/// every head the score, the masked score and the weight. It exceeds all else in long texts, because it grows with the square of
/// their length.
pub fn attention_bytes(heads: usize, lengths: &[usize], batches: &[Vec<usize>]) -> u64 {
    const NUMBERS: u64 = 3;
    let pairs = |batch: &Vec<usize>| {
        let longest = batch.iter().map(|&text| lengths[text]).max().unwrap_or_default() as u64;
        batch.len() as u64 * longest * longest
    };
    batches.iter().map(pairs).max().unwrap_or_default() * heads as u64 * NUMBERS * size_of::<f32>() as u64
}

/// The ids of one text, one of each kind per token.
#[derive(Clone, Copy, Debug)]
pub struct TextIds<'a> {
    /// Rows of the word embeddings.
    pub input_ids: &'a [i32],
    /// Rows of the token type embeddings.
    pub token_type_ids: &'a [i32],
}

/// Texts padded to the longest of them, as inputs of a graph.
pub struct Batch {
    texts: Texts,
    attention_mask: ArrayD<i64>,
}

/// How padding is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaddingRule {
    /// Padding is masked: the results for a text do not depend on its batch.
    Masked,
    /// Padding is attended to like any token: the results for a text depend on the longest text of its batch.
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

/// The input that a graph starts at.
enum Texts {
    Ids { input_ids: ArrayD<i64>, token_type_ids: ArrayD<i64> },
    Embedded { inputs_embeds: ArrayD<f32>, token_type_ids: ArrayD<i64> },
    Hidden(ArrayD<f32>),
}

impl Batch {
    /// Token ids, padded with `pad_id`, and token types, padded with 0: for a graph that starts at the input
    /// ids.
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

    /// Word embeddings, each `[tokens, hidden_size]` in row-major order, padded with zeros, and token types,
    /// padded with 0: for a graph that starts at the embeddings. Padding is masked.
    pub fn of_embeddings(texts: &[(&[f32], &[i32])], hidden_size: usize) -> Self {
        let attention_mask = attention_mask(texts.iter().map(|(_, types)| types.len()));
        let token_type_ids = padded_ids(texts.iter().map(|(_, types)| *types), attention_mask.dim(), 0);
        let inputs_embeds =
            padded_rows(texts.iter().map(|(words, _)| *words), attention_mask.dim(), hidden_size);
        let texts = Texts::Embedded { inputs_embeds, token_type_ids };
        Self { texts, attention_mask: attention_mask.into_dyn() }
    }

    /// Hidden states, each `[tokens, hidden_size]` in row-major order, padded with zeros: for a graph that
    /// starts after the trunk. Padding is masked, because the trunk's hidden states of padding are not zeros.
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

    /// Names and arrays to feed, as the engine's tensor type `T`.
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

/// Ids of texts, padded with `filler`: `[batch, tokens]`.
fn padded_ids<'a>(texts: impl Iterator<Item = &'a [i32]>, size: (usize, usize), filler: i64) -> ArrayD<i64> {
    let mut padded = Array2::from_elem(size, filler);
    for (mut row, text) in padded.rows_mut().into_iter().zip(texts) {
        row.iter_mut().zip(text).for_each(|(to, &id)| *to = i64::from(id));
    }
    padded.into_dyn()
}

/// Rows of texts, padded with zeros: `[batch, tokens, width]`.
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

    #[test]
    fn texts_of_a_batch_are_equally_long() {
        let lengths = [5, 3, 5, 3, 40, 5, 7, 1, 5, 5];
        let batches = batches_of_equal_length(&lengths, 20);
        assert_eq!(batches, [vec![7], vec![1, 3], vec![0, 2, 5, 8], vec![9], vec![6], vec![4]]);
        assert!(batches_of_equal_length(&[], 20).is_empty());
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

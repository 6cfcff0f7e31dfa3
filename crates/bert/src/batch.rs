//! Texts of different lengths as rectangular arrays.

use ndarray::{Array2, Array3, s};

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

/// Token ids filled up with `pad_id` to the longest text: `[batch, tokens]`.
pub fn pad_ids(texts: &[&[i32]], pad_id: i64) -> Array2<i64> {
    let longest = texts.iter().map(|ids| ids.len()).max().unwrap_or(0);
    let mut padded = Array2::from_elem((texts.len(), longest), pad_id);
    for (mut row, ids) in padded.rows_mut().into_iter().zip(texts) {
        row.iter_mut().zip(*ids).for_each(|(to, &id)| *to = i64::from(id));
    }
    padded
}

/// 1 for tokens and 0 for padding: `[batch, tokens]`.
pub fn attention_mask(lengths: &[usize]) -> Array2<i64> {
    let longest = lengths.iter().copied().max().unwrap_or(0);
    Array2::from_shape_fn((lengths.len(), longest), |(text, token)| i64::from(token < lengths[text]))
}

/// Hidden states, each `[tokens, hidden_size]` in row-major order, filled up with zeros to the
/// longest text: `[batch, tokens, hidden_size]`.
pub fn pad_hidden(texts: &[&[f32]], hidden_size: usize) -> Array3<f32> {
    let longest = texts.iter().map(|hidden| hidden.len() / hidden_size).max().unwrap_or(0);
    let mut padded = Array3::zeros((texts.len(), longest, hidden_size));
    for (text, hidden) in texts.iter().enumerate() {
        let tokens = hidden.len() / hidden_size;
        let mut rows = padded.slice_mut(s![text, ..tokens, ..]);
        rows.iter_mut().zip(*hidden).for_each(|(to, &from)| *to = from);
    }
    padded
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
    fn padding_goes_to_the_end() {
        assert_eq!(pad_ids(&[&[4, 5, 6], &[7]], 1), array![[4, 5, 6], [7, 1, 1]]);
        assert_eq!(attention_mask(&[3, 1]), array![[1, 1, 1], [1, 0, 0]]);
        let hidden = pad_hidden(&[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0]], 2);
        assert_eq!(hidden, array![[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]]);
    }
}

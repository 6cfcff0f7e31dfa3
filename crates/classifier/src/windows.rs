//! The answer to a text that is read in windows: the mean of its windows' logits, weighted by their numbers of tokens.
//!
//! Whatever is linear in the logits is combined in the same way: gradients of the text's logit are exactly the weighted
//! sums of its windows' gradients, and integrated gradients stay complete. Attention gets the same weights, so that it
//! still sums to 1. A token of several windows has the sum of what it has in each.

use std::borrow::Cow;

use midashi_encoder::TextIds;
use midashi_text::{Encoding, TextWindow, WindowRows};
use ndarray::Array2;

use crate::{Prediction, Scores};

/// The part of an encoding that a graph reads at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowIds<'a> {
    input_ids: Cow<'a, [i32]>,
    token_type_ids: Cow<'a, [i32]>,
}

impl<'a> RowIds<'a> {
    /// The ids of one window of `text`.
    pub fn of(text: &'a Encoding, window: &TextWindow) -> Self {
        Self::select(&text.input_ids, &text.token_type_ids, window)
    }

    /// The ids of one window of a text with these ids.
    pub fn select(input_ids: &'a [i32], token_type_ids: &'a [i32], window: &TextWindow) -> Self {
        Self { input_ids: window.select(input_ids), token_type_ids: window.select(token_type_ids) }
    }

    /// The ids of all rows of `texts`, in their order.
    pub fn all(texts: &[&'a Encoding], rows: &WindowRows) -> Vec<Self> {
        (0..rows.len()).map(|row| Self::of(texts[rows.text(row)], rows.window(row))).collect()
    }

    /// As a graph reads them.
    pub fn ids(&self) -> TextIds<'_> {
        TextIds { input_ids: &self.input_ids, token_type_ids: &self.token_type_ids }
    }
}

/// The mean of the logits of windows, weighted by their numbers of tokens. It is computed in float64.
pub fn mean_logits(windows: &[(&[f32], usize)]) -> Vec<f32> {
    if let [(logits, _)] = windows {
        return logits.to_vec();
    }
    let total = windows.iter().map(|(_, tokens)| tokens).sum::<usize>().max(1) as f64;
    let labels = windows.first().map_or(0, |(logits, _)| logits.len());
    let mean = |label: usize| {
        let weighted =
            windows.iter().map(|(logits, tokens)| f64::from(logits[label]) * *tokens as f64 / total);
        weighted.sum::<f64>() as f32
    };
    (0..labels).map(mean).collect()
}

/// The weights of a text's tokens from those of its windows' tokens, which `windows` has in their order.
pub fn spread<T: Copy + Into<f64>>(rows: &WindowRows, text: usize, windows: &[Vec<T>]) -> Vec<f64> {
    if let [weights] = windows {
        return weights.iter().copied().map(Into::into).collect();
    }
    let length = rows.windows(text).first().map_or(0, TextWindow::text_len);
    let mut spread = vec![0.0; length];
    for (row, weights) in rows.rows(text).zip(windows) {
        for (at, &weight) in rows.window(row).places().zip(weights) {
            spread[at] += rows.weight(row) * weight.into();
        }
    }
    spread
}

impl Scores {
    /// The answer to a text from those to its windows, which have so many `tokens`; none without windows.
    pub fn of_windows(windows: &[Self], tokens: &[usize]) -> Option<Self> {
        let truncated = windows.iter().any(|window| window.truncated);
        let logits: Vec<(&[f32], usize)> =
            windows.iter().zip(tokens).map(|(window, &tokens)| (&window.logits[..], tokens)).collect();
        match windows {
            [] => None,
            [window] => Some(window.clone()),
            _ => Some(Self::new(ndarray::ArrayView1::from(&mean_logits(&logits)), truncated)),
        }
    }
}

impl Prediction {
    /// The predictions for texts from those for their rows.
    pub fn of_texts(rows: &WindowRows, predictions: Vec<Self>) -> Vec<Self> {
        if !rows.has_several() {
            return predictions;
        }
        let texts = 0..rows.texts();
        texts.map(|text| Self::of_windows(rows, text, &predictions[rows.rows(text)])).collect()
    }

    /// The prediction for a text from those for its windows.
    fn of_windows(rows: &WindowRows, text: usize, windows: &[Self]) -> Self {
        if let [window] = windows {
            return window.clone();
        }
        let lengths = rows.windows(text).iter().map(TextWindow::len);
        let logits: Vec<(&[f32], usize)> =
            windows.iter().zip(lengths).map(|(window, tokens)| (&window.logits[..], tokens)).collect();
        let heads = windows.first().map_or(0, |window| window.attention.nrows());
        let of_head = |head: usize| {
            let of_windows: Vec<Vec<f32>> =
                windows.iter().map(|window| window.attention.row(head).to_vec()).collect();
            spread(rows, text, &of_windows)
        };
        let attention: Vec<Vec<f64>> = (0..heads).map(of_head).collect();
        let tokens = attention.first().map_or(0, Vec::len);
        let attention = Array2::from_shape_fn((heads, tokens), |(head, token)| attention[head][token] as f32);
        let weighted = |share: fn(&Self) -> f64| {
            rows.rows(text).zip(windows).map(|(row, window)| rows.weight(row) * share(window)).sum()
        };
        let padding = midashi_artifacts::PaddingShares {
            positions: weighted(|window| window.padding.positions),
            attention: weighted(|window| window.padding.attention),
        };
        Self::new(mean_logits(&logits), attention, padding)
    }
}

#[cfg(test)]
mod tests {
    use midashi_artifacts::PaddingShares;
    use midashi_text::Windowing;
    use ndarray::array;

    use super::*;

    /// A text of two windows, `[CLS] a b [SEP]` and `[CLS] b c [SEP]` with the stride 1; a text of one window; and the
    /// numbers of three windows.
    fn rows() -> WindowRows {
        let text = |pieces: u32| {
            let special = [(None, (0, 0))];
            let pieces = (0..pieces).map(|at| (Some(at as i32), (at, at + 1)));
            let all: Vec<(Option<i32>, (u32, u32))> =
                special.into_iter().chain(pieces).chain(special).collect();
            Encoding {
                input_ids: (0..all.len() as i32).collect(),
                token_type_ids: vec![0; all.len()],
                word_ids: all.iter().map(|&(word, _)| word).collect(),
                offsets: all.iter().map(|&(_, offset)| offset).collect(),
                ..Encoding::default()
            }
        };
        let windowing = Windowing { max_length: 4, stride: 0 };
        let rows = WindowRows::of(&[text(3), text(1)], Some(windowing));
        assert_eq!((rows.len(), rows.texts()), (3, 2));
        rows
    }

    #[test]
    fn logits_are_means_weighted_by_tokens() {
        let found = mean_logits(&[(&[1.0, -2.0], 4), (&[8.0, 5.0], 3)]);
        // (4 · 1 + 3 · 8) / 7 and (4 · −2 + 3 · 5) / 7
        assert_eq!(found, [4.0, 1.0]);
        assert_eq!(mean_logits(&[(&[0.1, 0.2], 9)]), [0.1, 0.2]);
    }

    #[test]
    fn attention_of_windows_still_sums_to_one_and_special_tokens_have_that_of_all_windows() {
        let prediction = |logits: &[f32], attention: Array2<f32>| {
            Prediction::new(logits.to_vec(), attention, PaddingShares { positions: 0.0, attention: 0.0 })
        };
        // Windows of 4 and 3 tokens: `[CLS] a b [SEP]` and `[CLS] c [SEP]`.
        let predictions = vec![
            prediction(&[1.0, -2.0], array![[0.25, 0.25, 0.25, 0.25]]),
            prediction(&[8.0, 5.0], array![[0.5, 0.25, 0.25]]),
            prediction(&[0.5, 1.5], array![[1.0, 0.0, 0.0]]),
        ];
        let alone = predictions[2].clone();
        let texts = Prediction::of_texts(&rows(), predictions);
        assert_eq!(texts[1], alone);
        assert_eq!(texts[0].logits, [4.0, 1.0]);
        let expected = [4.0 / 7.0 * 0.25 + 3.0 / 7.0 * 0.5, 1.0 / 7.0, 1.0 / 7.0, 0.75 / 7.0, 1.75 / 7.0];
        assert_eq!(texts[0].attention.dim(), (1, 5));
        for (found, expected) in texts[0].attention.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert!((texts[0].attention.sum() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn weights_of_windows_are_put_at_their_tokens() {
        let found = spread(&rows(), 0, &[vec![7.0, 14.0, 21.0, 28.0], vec![-7.0, 7.0, 70.0]]);
        assert_eq!(found, [4.0 - 3.0, 8.0, 12.0, 3.0, 16.0 + 30.0]);
        let alone = spread(&rows(), 1, &[vec![-0.0_f32, 1.5, 2.5]]);
        assert_eq!(alone, [-0.0, 1.5, 2.5]);
        assert!(alone[0].is_sign_negative());
    }
}

//! The windows of several texts as the rows of a table: what a model reads one by one.

use std::ops::Range;

use crate::{Encoding, TextWindow, Windowing};

/// The windows of several texts in a row, text after text. Without windowing each text is one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WindowRows {
    windows: Vec<TextWindow>,
    /// The text of each row.
    texts: Vec<usize>,
    /// The rows of each text; never none.
    rows: Vec<Range<usize>>,
    /// Tokens of all windows of each text.
    tokens: Vec<usize>,
}

impl WindowRows {
    /// The windows of `texts`.
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a Encoding>, windowing: Option<Windowing>) -> Self {
        let mut all = Self::default();
        for (text, encoding) in texts.into_iter().enumerate() {
            let windows = TextWindow::all(encoding, windowing);
            let start = all.windows.len();
            all.tokens.push(windows.iter().map(TextWindow::len).sum());
            all.texts.extend(windows.iter().map(|_| text));
            all.windows.extend(windows);
            all.rows.push(start..all.windows.len());
        }
        all
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.windows.len()
    }

    /// Whether there are no texts.
    pub fn is_empty(&self) -> bool {
        self.windows.is_empty()
    }

    /// Number of texts.
    pub fn texts(&self) -> usize {
        self.rows.len()
    }

    /// Whether a text has more than one window.
    pub fn has_several(&self) -> bool {
        self.len() > self.texts()
    }

    /// The window in a row.
    pub fn window(&self, row: usize) -> &TextWindow {
        &self.windows[row]
    }

    /// The text of a row, as its place among the texts.
    pub fn text(&self, row: usize) -> usize {
        self.texts[row]
    }

    /// The rows of a text.
    pub fn rows(&self, text: usize) -> Range<usize> {
        self.rows[text].clone()
    }

    /// The windows of a text.
    pub fn windows(&self, text: usize) -> &[TextWindow] {
        &self.windows[self.rows(text)]
    }

    /// Tokens of all windows of a text; tokens that windows share count in each of them.
    pub fn tokens(&self, text: usize) -> usize {
        self.tokens[text]
    }

    /// The weight of a row in its text's answer: its share of the tokens of the text's windows. The weights of a text sum
    /// to 1.
    pub fn weight(&self, row: usize) -> f64 {
        self.window(row).len() as f64 / self.tokens(self.text(row)).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tokens: u32) -> Encoding {
        Encoding {
            input_ids: vec![0; tokens as usize],
            token_type_ids: vec![0; tokens as usize],
            word_ids: (0..tokens as i32).map(Some).collect(),
            offsets: (0..tokens).map(|at| (at, at + 1)).collect(),
            ..Encoding::default()
        }
    }

    #[test]
    fn rows_are_windows_and_weigh_as_many_tokens_as_they_have() {
        let texts = [text(3), text(10), text(0)];
        let rows = WindowRows::of(&texts, Some(Windowing { max_length: 4, stride: 1 }));
        assert_eq!((rows.len(), rows.texts(), rows.has_several()), (5, 3, true));
        assert_eq!([rows.rows(0), rows.rows(1), rows.rows(2)], [0..1, 1..4, 4..5]);
        assert_eq!((rows.text(3), rows.tokens(1), rows.windows(1).len()), (1, 12, 3));
        assert_eq!((rows.weight(0), rows.weight(2)), (1.0, 4.0 / 12.0));
        let whole = WindowRows::of(&texts, None);
        assert_eq!((whole.len(), whole.has_several(), whole.window(1).len()), (3, false, 10));
    }
}

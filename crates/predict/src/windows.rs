//! The batches of the input, cut into windows that the model reads.

use std::ops::Range;

use anyhow::{Context, Result};
use arrow::array::RecordBatch;
use midashi_classifier::Window;

use crate::input::{Input, Place, Rows};
use crate::text::Texts;

/// The windows of all batches.
pub struct Windows {
    input: Input,
    texts: Texts,
    /// The most rows of a window.
    size: usize,
    /// The batch that is being cut, and the number of its rows that were taken.
    batch: Option<(Rows, usize)>,
}

/// The place of a window, and its batch if the window is the batch's last.
pub struct Part {
    place: Place,
    rows: Range<usize>,
    /// The whole batch, which is complete with this window.
    pub batch: Option<RecordBatch>,
}

impl Windows {
    /// Windows of at most `size` rows.
    pub fn new(input: Input, texts: Texts, size: usize) -> Self {
        Self { input, texts, size, batch: None }
    }

    fn next_window(&mut self) -> Result<Option<Window<Part>>> {
        let (batch, start) = match self.batch.take() {
            Some(taken) => taken,
            None => match self.input.next().transpose()? {
                Some(batch) => (batch, 0),
                None => return Ok(None),
            },
        };
        let end = batch.rows.num_rows().min(start + self.size);
        let mut part = Part { place: batch.place.clone(), rows: start..end, batch: None };
        let texts =
            self.texts.read(&batch.rows.slice(start, end - start)).with_context(|| part.in_words(None))?;
        if end < batch.rows.num_rows() {
            self.batch = Some((batch, end));
        } else {
            part.batch = Some(batch.rows);
        }
        Ok(Some(Window { texts, kept: part }))
    }
}

impl Iterator for Windows {
    type Item = Result<Window<Part>>;

    /// An empty batch is one empty window.
    fn next(&mut self) -> Option<Self::Item> {
        self.next_window().transpose()
    }
}

impl Part {
    /// Where the window was read, or one of its texts.
    pub fn in_words(&self, text: Option<usize>) -> String {
        let Range { start, .. } = self.rows;
        self.place.in_words(text.map_or(self.rows.clone(), |text| start + text..start + text + 1))
    }
}

//! Predictions as a table, of any size.

use std::cell::Cell;
use std::rc::Rc;

use anyhow::Result;
use midashi_classifier::{BulkClassifier, Classifier};
use midashi_stage::{Progress, errln};

use crate::columns::{Columns, Row};
use crate::explain::explain;
use crate::input::{Input, ReadState};
use crate::method::Method;
use crate::output::TableOutput;
use crate::summary::Summary;
use crate::text::Texts;

/// The model, which weighs words or only classifies.
pub enum Model<'e> {
    /// Classifies.
    Bulk(Box<BulkClassifier>),
    /// Also weighs words.
    Explaining(Box<Classifier<'e>>, Method),
}

/// Writes the rows of `input` with the columns of their predictions.
///
/// # Errors
/// When a row cannot be read, a graph fails, or the output cannot be written.
pub fn write(
    input: Input,
    texts: &Texts,
    model: Model<'_>,
    columns: &Columns,
    mut output: TableOutput,
) -> Result<()> {
    let (state, mut summary) = (input.state(), Summary::new());
    // A bar among the rows would hide both.
    let bar = (!output.is_on_terminal()).then(|| Progress::of_unknown_length("predict", "texts"));
    let mut progress = RowProgress { bar, state: state.clone() };
    let windows = input.map(|rows| texts.window(rows?));
    match model {
        Model::Bulk(mut classifier) => {
            let classified =
                classifier.classify_windows(windows).with_progress(|done| progress.advance(done));
            for window in classified {
                let window = window?;
                let rows: Vec<Row> = window.scores.into_iter().map(Row::of).collect();
                summary.add(&rows, Some(columns));
                output.write(&columns.add(&window.kept, &rows)?)?;
            }
        }
        Model::Explaining(mut classifier, method) => {
            for window in windows {
                let window = window?;
                let explained = explain(&mut classifier, &window.texts, method)?;
                let rows: Vec<Row> = explained.into_iter().map(Row::explained).collect();
                summary.add(&rows, Some(columns));
                progress.advance(rows.len());
                output.write(&columns.add(&window.kept, &rows)?)?;
            }
        }
    }
    if let Some(bar) = progress.bar {
        bar.finish();
    }
    output.finish()?;
    errln!("  {}", summary.line(state.get().bad));
    Ok(())
}

/// Progress towards a number of rows that is estimated from the part of the input that was read.
struct RowProgress {
    bar: Option<Progress>,
    state: Rc<Cell<ReadState>>,
}

impl RowProgress {
    fn advance(&mut self, rows: usize) {
        let Some(bar) = &mut self.bar else { return };
        let ReadState { rows: read, fraction, .. } = self.state.get();
        if let Some(fraction) = fraction.filter(|&fraction| fraction > 0.0) {
            bar.expect((read as f64 / fraction).round() as u64);
        }
        bar.advance(rows as u64);
    }
}

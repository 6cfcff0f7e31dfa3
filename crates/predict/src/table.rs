//! Predictions as a table, of any size.

use anyhow::{Context, Result};
use midashi_classifier::{BulkClassifier, Classifier};
use midashi_stage::{Progress, errln};

use crate::columns::{Columns, Row};
use crate::explain::explain;
use crate::input::{ReadState, SharedState};
use crate::method::Method;
use crate::output::TableOutput;
use crate::summary::Summary;
use crate::windows::{Part, Windows};

/// The model, which weighs words or only classifies.
pub enum Model<'e> {
    /// Classifies.
    Bulk(Box<BulkClassifier>),
    /// Also weighs words.
    Explaining(Box<Classifier<'e>>, Method),
}

/// Writes the rows of all `windows` with the columns of their predictions, each batch as soon as it is complete.
///
/// # Errors
/// When a row cannot be read, a graph fails, or the output cannot be written.
pub fn write(
    windows: Windows,
    state: &SharedState,
    model: Model<'_>,
    columns: &Columns,
    output: TableOutput,
) -> Result<()> {
    // A bar among the rows would hide both.
    let bar = (!output.is_on_terminal()).then(|| Progress::of_unknown_length("predict", "texts"));
    let mut progress = RowProgress { bar, state: state.clone() };
    let mut batches = Batches { columns, output, summary: Summary::new(), rows: Vec::new() };
    match model {
        Model::Bulk(mut classifier) => {
            let mut classified =
                classifier.classify_windows(windows).with_progress(|done| progress.advance(done));
            while let Some(window) = classified.next() {
                let failed = || classified.failed().map(|failed| failed.kept.in_words(failed.text));
                let window = match (window, failed()) {
                    (window, Some(place)) => window.context(place)?,
                    (window, None) => window?,
                };
                batches.summary.add_unknown(window.unknown);
                batches.add(window.kept, window.scores.into_iter().map(Row::of))?;
            }
        }
        Model::Explaining(mut classifier, method) => {
            for window in windows {
                let window = window?;
                let explained = explain(&mut classifier, &window.texts, method)
                    .with_context(|| window.kept.in_words(None))?;
                progress.advance(explained.len());
                batches.add(window.kept, explained.into_iter().map(Row::explained))?;
            }
        }
    }
    if let Some(bar) = progress.bar {
        bar.finish();
    }
    let Batches { output, summary, .. } = batches;
    output.finish()?;
    errln!("  {}", summary.line(state.get().bad));
    Ok(())
}

/// Batches on their way to the output.
struct Batches<'c> {
    columns: &'c Columns,
    output: TableOutput,
    summary: Summary,
    /// Predictions of a batch that is not complete.
    rows: Vec<Row>,
}

impl Batches<'_> {
    /// Adds the predictions of a window, and writes its batch if that is complete.
    fn add(&mut self, part: Part, rows: impl Iterator<Item = Row>) -> Result<()> {
        self.rows.extend(rows);
        if let Some(batch) = part.batch {
            self.summary.add(&self.rows, Some(self.columns));
            self.output.write(&self.columns.add(&batch, &self.rows)?)?;
            self.rows.clear();
        }
        Ok(())
    }
}

/// Progress towards a number of rows that is estimated from the part of the input that was read.
struct RowProgress {
    bar: Option<Progress>,
    state: SharedState,
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

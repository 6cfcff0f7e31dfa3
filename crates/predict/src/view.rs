//! Texts with coloured words, for people.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};
use midashi_classifier::Classifier;
use midashi_stage::{Error, errln};

use crate::columns::Row;
use crate::explain::explain;
use crate::explained::Explained;
use crate::formats::{Terminal, View};
use crate::input::SharedState;
use crate::interrupt;
use crate::method::Method;
use crate::output::print;
use crate::summary::Summary;
use crate::windows::Windows;

/// The most texts of a page or picture, which is held in memory and read by a person.
const MOST_TEXTS: usize = 1000;

/// Shows the rows of all `windows`, on standard output or in the file `path`.
///
/// # Errors
/// When a row cannot be read, a graph fails, or the output cannot be written.
pub fn show(
    windows: Windows,
    state: &SharedState,
    classifier: &mut Classifier<'_>,
    method: Method,
    (view, terminal): (View, Terminal),
    path: Option<&Path>,
) -> Result<()> {
    let mut file = path.map(interrupt::create).transpose()?;
    let mut put = |written: &str| match (&mut file, path) {
        (Some(file), Some(path)) => {
            Ok(file.write_all(written.as_bytes()).map_err(Error::io("write", path))?)
        }
        _ => print(written),
    };
    let (mut summary, mut shown) = (Summary::new(), Vec::new());
    for window in windows {
        let window = window?;
        let explained = explain(classifier, &window.texts, method)?;
        let rows: Vec<Row> = explained.iter().cloned().map(Row::explained).collect();
        let is_first = summary.is_empty();
        summary.add(&rows, None);
        let with_wordless = window.texts.into_iter().zip(explained);
        shown.extend(
            with_wordless.map(|(text, explained)| explained.unwrap_or_else(|| Explained::wordless(text))),
        );
        if view.is_stream() {
            put(if is_first { "" } else { view.separator() })?;
            put(&view.render(&std::mem::take(&mut shown), method, terminal)?)?;
        }
        ensure!(
            shown.len() <= MOST_TEXTS,
            "a page or picture shows at most {MOST_TEXTS} texts; choose another --format, such as jsonl with --explain"
        );
    }
    if !view.is_stream() {
        put(&view.render(&shown, method, terminal)?)?;
    }
    if let (Some(file), Some(path)) = (file, path) {
        interrupt::commit(file, path)?;
    }
    let skipped = state.get().bad;
    if summary.is_empty() || skipped > 0 {
        errln!("  {}", summary.line(skipped));
    }
    Ok(())
}

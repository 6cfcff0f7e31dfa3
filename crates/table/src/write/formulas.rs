//! Cells that a spreadsheet would compute instead of showing them.
//!
//! Excel, LibreOffice and Google Sheets take a cell of a CSV file as a formula if it begins with one of a few characters, quoted
//! or not; a formula can send the other cells to a server ("CSV Injection", OWASP). They show a cell that begins with an
//! apostrophe as text.

use std::borrow::Cow;

/// The treatment of texts that begin like a formula, in CSV and TSV.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Formulas {
    /// An apostrophe is written before them, so that a spreadsheet shows them as they are.
    #[default]
    Escape,
    /// They are written as they are, for programs that read the table.
    Keep,
}

/// Whether a spreadsheet may compute a cell with this text. The full-width forms are those of OWASP's list.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
}

impl Formulas {
    /// The text of a cell, and whether it was changed. A number is no text: `-1` of a column of numbers stays.
    pub(crate) fn cell(self, text: &str) -> (Cow<'_, str>, bool) {
        match self {
            Self::Escape if is_formula(text) => (Cow::Owned(format!("'{text}")), true),
            _ => (Cow::Borrowed(text), false),
        }
    }
}

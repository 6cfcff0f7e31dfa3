//! The rows of a window with the weights of their words.

use anyhow::Result;
use midashi_classifier::Classifier;

use crate::explained::Explained;
use crate::method::Method;

/// Rows that are read together. Explaining a text takes much longer than classifying it, so windows are small.
pub const WINDOW: usize = 64;

/// Classifies texts and weighs their words; none for a text without words.
///
/// # Errors
/// When the tokenizer cannot be loaded or a graph fails.
pub fn explain(
    classifier: &mut Classifier<'_>,
    texts: &[String],
    method: Method,
) -> Result<Vec<Option<Explained>>> {
    let encoded = classifier.encode_each(texts)?;
    let has_words: Vec<bool> = encoded.iter().map(Option::is_some).collect();
    let encoded: Vec<_> = encoded.into_iter().flatten().collect();
    let explanations = classifier.explain_encoded(encoded, method.into())?;
    let mut explained =
        explanations.into_iter().map(|explanation| Explained::new(explanation, classifier.labels()));
    let row = |has_words: bool| if has_words { explained.next().transpose() } else { Ok(None) };
    has_words.into_iter().map(row).collect()
}

//! TF-IDF weights of character n-grams (scikit-learn's `TfidfVectorizer`).

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use crate::sparse::SparseRows;

/// Lengths of the n-grams, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 1..=4;
/// N-grams that occur in fewer texts are dropped (`min_df`): they do not help with other texts.
const MIN_TEXTS: u32 = 2;
/// At most this many n-grams are kept, those in most texts. Titles have fewer; bodies have millions. (scikit-learn's
/// `max_features` counts occurrences instead of texts.)
const MAX_FEATURES: usize = 200_000;
/// Number of texts whose n-grams are in memory at once: a long body has thousands.
const CHUNK: usize = 512;

/// Turns texts into sparse rows of TF-IDF weights.
pub struct Vectorizer {
    /// The column of each n-gram. Columns are in code point order.
    columns: HashMap<String, u32>,
    /// `ln((1 + texts) / (1 + texts with the n-gram)) + 1` for each column.
    inverse_document_frequency: Vec<f64>,
}

impl Vectorizer {
    /// Collects the vocabulary and document frequencies of `texts`.
    pub fn fit<T: AsRef<str> + Sync>(texts: &[T]) -> Self {
        let mut frequencies: HashMap<String, u32> = HashMap::new();
        for texts in texts.chunks(CHUNK) {
            for counts in texts.par_iter().map(|text| counts(text.as_ref())).collect::<Vec<_>>() {
                for gram in counts.into_keys() {
                    *frequencies.entry(gram).or_default() += 1;
                }
            }
        }
        frequencies.retain(|_, texts| *texts >= MIN_TEXTS);
        let mut frequencies = frequencies.into_iter().collect();
        keep_most_frequent(&mut frequencies, MAX_FEATURES);
        let total = texts.len() as f64;
        let inverse = |&frequency: &u32| ((1.0 + total) / (1.0 + f64::from(frequency))).ln() + 1.0;
        let inverse_document_frequency = frequencies.values().map(inverse).collect();
        let columns = frequencies.into_keys().zip(0..).collect();
        Self { columns, inverse_document_frequency }
    }

    /// Number of columns.
    pub fn features(&self) -> usize {
        self.columns.len()
    }

    /// One row a text: `(1 + ln count) · idf` of each n-gram, divided by the row's Euclidean norm.
    pub fn transform<T: AsRef<str> + Sync>(&self, texts: &[T]) -> SparseRows {
        SparseRows::new(texts.par_iter().map(|text| self.row(text.as_ref())).collect(), self.features())
    }

    fn row(&self, text: &str) -> Vec<(u32, f64)> {
        let weight = |(gram, count): (String, u32)| {
            let column = *self.columns.get(&gram)?;
            let frequency = 1.0 + f64::from(count).ln();
            Some((column, frequency * self.inverse_document_frequency[column as usize]))
        };
        let mut row: Vec<(u32, f64)> = counts(text).into_iter().filter_map(weight).collect();
        row.sort_unstable_by_key(|&(column, _)| column);
        let norm = row.iter().map(|(_, value)| value * value).sum::<f64>().sqrt();
        if norm > 0.0 {
            row.iter_mut().for_each(|(_, value)| *value /= norm);
        }
        row
    }
}

/// The count of each n-gram in the lower-cased text with normalised white space.
fn counts(text: &str) -> HashMap<String, u32> {
    let text = normalise_white_space(&text.to_lowercase());
    let bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let mut counts = HashMap::new();
    for length in LENGTHS {
        for window in bounds.windows(length + 1) {
            *counts.entry(text[window[0]..window[length]].to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Replaces two or more white space characters by one space, as scikit-learn does; a single one stays.
fn normalise_white_space(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let mut run = 1;
        while character.is_whitespace() && characters.next_if(|next| next.is_whitespace()).is_some() {
            run += 1;
        }
        result.push(if run > 1 { ' ' } else { character });
    }
    result
}

/// Drops the rarest n-grams. Among equally frequent ones, the first in code point order stay.
fn keep_most_frequent(frequencies: &mut BTreeMap<String, u32>, most: usize) {
    if frequencies.len() <= most {
        return;
    }
    let mut order: Vec<(u32, usize)> = frequencies.values().copied().zip(0..).collect();
    order.sort_unstable_by_key(|&(frequency, at)| (std::cmp::Reverse(frequency), at));
    let mut kept = vec![false; order.len()];
    order[..most].iter().for_each(|&(_, at)| kept[at] = true);
    let mut kept = kept.into_iter();
    frequencies.retain(|_, _| kept.next().unwrap_or(false));
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn weights_match_the_textbook_formula() {
        // "ab" and "ab": n-grams a, b, ab in both texts, so every idf is ln(3/3) + 1 = 1.
        let vectorizer = Vectorizer::fit(&["ab", "AB"]);
        let third = 1.0 / 3.0_f64.sqrt();
        let rows = vectorizer.transform(&["ab", "a", "x"]);
        assert_eq!(vectorizer.features(), 3);
        assert!(rows.row(0).all(|(_, value)| (value - third).abs() < 1e-12));
        assert_eq!(rows.row(1).collect::<Vec<_>>(), [(0, 1.0)], "columns are in code point order");
        assert_eq!(rows.row(2).count(), 0);
    }

    #[test]
    fn runs_of_white_space_become_one_space() {
        assert_eq!(normalise_white_space("a \u{3000} b\u{3000}c\n"), "a b\u{3000}c\n");
    }

    #[test]
    fn the_rarest_ngrams_are_dropped_first() {
        let mut frequencies: BTreeMap<String, u32> =
            [("a", 2), ("b", 5), ("c", 2), ("d", 3)].map(|(gram, texts)| (gram.to_owned(), texts)).into();
        keep_most_frequent(&mut frequencies, 3);
        assert_eq!(frequencies.into_keys().collect::<Vec<_>>(), ["a", "b", "d"]);
    }
}

//! The words that pull most towards each category.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use midashi_artifacts::{TokenizedText, Unit};
use serde::Serialize;

use crate::artifacts::Artifacts;

/// A mean over fewer texts says more of the texts than of the word.
const LEAST_TEXTS: u64 = 3;
/// Words are ordered by where the interval of 95 % of their mean begins: a word that pulls in many texts comes
/// before one that pulled hard in a few.
const STANDARD_ERRORS: f64 = 1.96;
/// Integrated gradients say more than gradient × input does, but cost more: they are taken where so many texts have them.
const ENOUGH_TEXTS: usize = 100;
/// Words shown of each category.
const MOST_WORDS: usize = 8;

/// For each category the words whose mean attribution is surely large.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Words {
    /// The key of the method's name.
    pub method: &'static str,
    /// Number of explained texts.
    pub texts: usize,
    /// A word must occur in so many texts of a category to be shown.
    pub least_texts: u64,
    /// In the order of the categories.
    pub categories: Vec<CategoryWords>,
}

/// Words of the texts that are classified as one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryWords {
    /// Its name.
    pub category: String,
    /// Those that pull most towards it, the surest first.
    pub words: Vec<WordPull>,
}

/// One word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordPull {
    /// As the tokenizer read it.
    pub word: String,
    /// Number of texts with it that are classified so.
    pub texts: u64,
    /// Its mean attribution to the category's logit, summed over a text's occurrences.
    pub mean: f64,
    /// Standard error of the mean.
    pub standard_error: f64,
}

impl WordPull {
    fn of(word: String, pulls: &[f64]) -> Self {
        let count = pulls.len() as f64;
        let mean = pulls.iter().sum::<f64>() / count;
        let variance = pulls.iter().map(|pull| (pull - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { word, texts: pulls.len() as u64, mean, standard_error: (variance / count).sqrt() }
    }

    fn at_least(&self) -> f64 {
        self.mean - STANDARD_ERRORS * self.standard_error
    }
}

impl Words {
    /// Joins explanations and texts by the articles' ids; none where nothing was explained.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts) -> anyhow::Result<Option<Self>> {
        let Artifacts { tokens, explanations, .. } = artifacts;
        if explanations.rows.is_empty() {
            return Ok(None);
        }
        let integrated = explanations.rows.iter().filter(|row| row.integrated_gradients.is_some()).count();
        let are_enough = integrated >= ENOUGH_TEXTS;
        let method = if are_enough { "method.integrated_gradients" } else { "method.gradient_x_input" };
        let unit = tokens.units();
        let by_id: HashMap<&str, &TokenizedText> =
            tokens.texts.iter().map(|text| (text.id.as_str(), text)).collect();
        let mut all: Vec<HashMap<String, Vec<f64>>> = vec![HashMap::new(); explanations.categories.len()];
        let mut texts = 0;
        for row in &explanations.rows {
            let weights =
                if are_enough { row.integrated_gradients.as_ref() } else { Some(&row.gradient_x_input) };
            let Some(weights) = weights else { continue };
            texts += 1;
            let pulls = || {
                let text = by_id.get(row.id.as_str()).context("not in tokens.arrow")?;
                pulls(text, weights, unit)
            };
            let pulls = pulls().with_context(|| {
                format!("explanations.parquet: row {:?}; run `make evaluate` again to remake it", row.id)
            })?;
            for (word, pull) in pulls {
                all[row.category.index()].entry(word).or_default().push(pull);
            }
        }
        let categories = explanations
            .categories
            .iter()
            .zip(all)
            .map(|(category, words)| CategoryWords { category: category.clone(), words: strongest(words) });
        Ok(Some(Self { method, texts, least_texts: LEAST_TEXTS, categories: categories.collect() }))
    }
}

/// What each word of the text pulls, all its occurrences together.
fn pulls(text: &TokenizedText, weights: &[f32], unit: Unit) -> anyhow::Result<HashMap<String, f64>> {
    let (found, expected) = (weights.len(), text.tokens.len());
    ensure!(found == expected, "{found} weights for {expected} tokens");
    let characters: Vec<char> = text.text.chars().collect();
    let mut pulls: HashMap<String, f64> = HashMap::new();
    let mut tokens =
        text.word_ids.iter().enumerate().filter_map(|(at, word)| Some((at, (*word)?))).peekable();
    while let Some((first, word)) = tokens.next() {
        let (start, mut end) = text.offsets[first];
        let mut pull = f64::from(weights[first]);
        while let Some((at, _)) = tokens.next_if(|&(_, next)| unit == Unit::Words && next == word) {
            end = text.offsets[at].1;
            pull += f64::from(weights[at]);
        }
        let written =
            characters.get(start as usize..end as usize).context("offsets are outside of the text")?;
        let written: String = written.iter().collect();
        *pulls.entry(written.trim().to_owned()).or_default() += pull;
    }
    // What shows nothing cannot be read.
    pulls.remove("");
    Ok(pulls)
}

/// Those that pull towards the category, the surest first; equally sure ones by their spelling.
fn strongest(words: HashMap<String, Vec<f64>>) -> Vec<WordPull> {
    let often = words.into_iter().filter(|(_, pulls)| pulls.len() as u64 >= LEAST_TEXTS);
    let mut words: Vec<WordPull> =
        often.map(|(word, pulls)| WordPull::of(word, &pulls)).filter(|word| word.mean > 0.0).collect();
    words.sort_by(|one, other| {
        other.at_least().total_cmp(&one.at_least()).then_with(|| one.word.cmp(&other.word))
    });
    words.truncate(MOST_WORDS);
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Split};

    use super::*;

    #[test]
    fn a_word_pulls_with_all_its_pieces_and_occurrences() {
        let text = TokenizedText {
            id: "x".into(),
            label: CategoryId(0),
            split: Split::Test,
            original: "猫が 猫".into(),
            text: "猫が 猫".into(),
            input_ids: vec![0; 6],
            token_type_ids: vec![0; 6],
            tokens: vec![String::new(); 6],
            word_ids: vec![None, Some(0), Some(0), Some(1), Some(1), None],
            offsets: vec![(0, 0), (0, 1), (1, 2), (2, 3), (3, 4), (0, 0)],
            original_offsets: vec![],
        };
        let weights = [9.0, 1.0, 0.5, 0.25, 2.0, 9.0];
        let found = pulls(&text, &weights, Unit::Words).unwrap();
        assert_eq!(found, HashMap::from([("猫が".to_owned(), 1.5), ("猫".to_owned(), 2.25)]));
        let found = pulls(&text, &weights, Unit::Tokens).unwrap();
        assert_eq!(found, HashMap::from([("猫".to_owned(), 3.0), ("が".to_owned(), 0.5)]));
    }

    #[test]
    fn rare_words_and_those_that_pull_away_are_left_out_and_sure_ones_come_first() {
        let words = [
            ("sure", vec![2.0, 2.0, 2.0]),
            ("rare", vec![9.0, 9.0]),
            ("away", vec![-1.0, -1.0, -1.0]),
            ("unsure", vec![12.0, 0.0, 0.0]),
        ];
        let words = words.map(|(word, pulls)| (word.to_owned(), pulls));
        let found = strongest(HashMap::from(words));
        let found: Vec<_> =
            found.iter().map(|word| (word.word.as_str(), word.mean, word.standard_error)).collect();
        // Sample variance of 12, 0, 0 about 4: (64 + 16 + 16) / 2 = 48; its standard error √(48 / 3).
        assert_eq!(found, [("sure", 2.0, 0.0), ("unsure", 4.0, 4.0)]);
    }
}

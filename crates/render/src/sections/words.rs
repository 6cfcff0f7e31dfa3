//! The words with the highest attributions to each category.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use midashi_artifacts::{TokenizedText, Unit};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::faithfulness::gradients_are_faithful;
use crate::artifacts::Artifacts;
use midashi_page::Strings;

/// A mean over fewer texts describes the texts rather than the word.
const LEAST_TEXTS: u64 = 3;
/// Words are ordered by the lower end of their mean's 95 % interval, so a word with many texts comes before one with
/// high attributions in a few.
const STANDARD_ERRORS: f64 = 1.96;
/// Integrated gradients are more reliable than gradient × input but cost more. They are used if so many texts have them.
const ENOUGH_TEXTS: usize = 100;
/// Words per category.
const MOST_WORDS: usize = 8;

/// For each category the words whose mean attribution is reliably high.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Words {
    /// The key of the method's name.
    pub method: &'static str,
    /// Whether the method is gradient × input, and was not more faithful than random weights.
    pub doubtful: bool,
    /// Number of explained texts.
    pub texts: usize,
    /// Minimum number of a category's texts in which a word occurs.
    pub least_texts: u64,
    /// One entry per category.
    pub categories: Vec<CategoryWords>,
}

/// Words of the texts that are classified as one category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CategoryWords {
    /// Its name.
    pub category: String,
    /// Words with the highest attributions, the most reliable first.
    pub words: Vec<WordAttribution>,
}

/// One word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WordAttribution {
    /// As in the normalised text.
    pub word: String,
    /// Number of texts with the word that are classified as the category.
    pub texts: u64,
    /// Its mean attribution to the category's logit, summed over a text's occurrences.
    pub mean: f64,
    /// Standard error of the mean.
    pub standard_error: f64,
}

impl WordAttribution {
    fn of(word: String, attributions: &[f64]) -> Self {
        let count = attributions.len() as f64;
        let mean = attributions.iter().sum::<f64>() / count;
        let variance =
            attributions.iter().map(|attribution| (attribution - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Self { word, texts: attributions.len() as u64, mean, standard_error: (variance / count).sqrt() }
    }

    fn lower_end(&self) -> f64 {
        self.mean - STANDARD_ERRORS * self.standard_error
    }
}

/// The words of each category; left out if nothing was explained.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Words::of(artifacts)?.map(|words| Value::from(Serde(words))))
}

impl Words {
    /// Joins explanations and texts by the articles' ids; none if nothing was explained.
    fn of(artifacts: &Artifacts) -> anyhow::Result<Option<Self>> {
        let Artifacts { tokens, explanations, metrics, .. } = artifacts;
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
            let attributions_of = || {
                let text = by_id.get(row.id.as_str()).context("not in tokens.arrow")?;
                attributions(text, weights, unit)
            };
            let found = attributions_of().with_context(|| {
                format!("explanations.parquet: row {:?}; run `make evaluate` again to remake it", row.id)
            })?;
            for (word, attribution) in found {
                all[row.category.index()].entry(word).or_default().push(attribution);
            }
        }
        let categories = explanations
            .categories
            .iter()
            .zip(all)
            .map(|(category, words)| CategoryWords { category: category.clone(), words: strongest(words) });
        let unfaithful = metrics.faithfulness.as_ref().is_some_and(|found| !gradients_are_faithful(found));
        let (doubtful, categories) = (!are_enough && unfaithful, categories.collect());
        Ok(Some(Self { method, doubtful, texts, least_texts: LEAST_TEXTS, categories }))
    }
}

/// The attribution of each word of the text, summed over its occurrences.
fn attributions(text: &TokenizedText, weights: &[f32], unit: Unit) -> anyhow::Result<HashMap<String, f64>> {
    let (found, expected) = (weights.len(), text.encoding.tokens.len());
    ensure!(found == expected, "{found} weights for {expected} tokens");
    let characters: Vec<char> = text.encoding.text.chars().collect();
    let mut attributions: HashMap<String, f64> = HashMap::new();
    let mut tokens =
        text.encoding.word_ids.iter().enumerate().filter_map(|(at, word)| Some((at, (*word)?))).peekable();
    while let Some((first, word)) = tokens.next() {
        let (start, mut end) = text.encoding.offsets[first];
        let mut attribution = f64::from(weights[first]);
        while let Some((at, _)) = tokens.next_if(|&(_, next)| unit == Unit::Words && next == word) {
            end = text.encoding.offsets[at].1;
            attribution += f64::from(weights[at]);
        }
        let written =
            characters.get(start as usize..end as usize).context("offsets are outside of the text")?;
        let written: String = written.iter().collect();
        *attributions.entry(written.trim().to_owned()).or_default() += attribution;
    }
    // Words that consist of white space cannot be shown.
    attributions.remove("");
    Ok(attributions)
}

/// Words with positive attributions, the most reliable first; ties by spelling.
fn strongest(words: HashMap<String, Vec<f64>>) -> Vec<WordAttribution> {
    let often = words.into_iter().filter(|(_, attributions)| attributions.len() as u64 >= LEAST_TEXTS);
    let mut words: Vec<WordAttribution> = often
        .map(|(word, attributions)| WordAttribution::of(word, &attributions))
        .filter(|word| word.mean > 0.0)
        .collect();
    words.sort_by(|one, other| {
        other.lower_end().total_cmp(&one.lower_end()).then_with(|| one.word.cmp(&other.word))
    });
    words.truncate(MOST_WORDS);
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{CategoryId, Encoding, Split};

    use super::*;

    #[test]
    fn a_words_attribution_is_summed_over_pieces_and_occurrences() {
        let text = TokenizedText {
            id: "x".into(),
            label: CategoryId(0),
            split: Split::Test,
            encoding: Encoding {
                original: "猫が 猫".into(),
                text: "猫が 猫".into(),
                input_ids: vec![0; 6],
                token_type_ids: vec![0; 6],
                tokens: vec![String::new(); 6],
                word_ids: vec![None, Some(0), Some(0), Some(1), Some(1), None],
                offsets: vec![(0, 0), (0, 1), (1, 2), (2, 3), (3, 4), (0, 0)],
                ..Encoding::default()
            },
        };
        let weights = [9.0, 1.0, 0.5, 0.25, 2.0, 9.0];
        let found = attributions(&text, &weights, Unit::Words).unwrap();
        assert_eq!(found, HashMap::from([("猫が".to_owned(), 1.5), ("猫".to_owned(), 2.25)]));
        let found = attributions(&text, &weights, Unit::Tokens).unwrap();
        assert_eq!(found, HashMap::from([("猫".to_owned(), 3.0), ("が".to_owned(), 0.5)]));
    }

    #[test]
    fn rare_words_and_negative_ones_are_left_out_and_reliable_ones_come_first() {
        let words = [
            ("sure", vec![2.0, 2.0, 2.0]),
            ("rare", vec![9.0, 9.0]),
            ("away", vec![-1.0, -1.0, -1.0]),
            ("unsure", vec![12.0, 0.0, 0.0]),
        ];
        let words = words.map(|(word, attributions)| (word.to_owned(), attributions));
        let found = strongest(HashMap::from(words));
        let found: Vec<_> =
            found.iter().map(|word| (word.word.as_str(), word.mean, word.standard_error)).collect();
        // Sample variance of 12, 0, 0 about 4: (64 + 16 + 16) / 2 = 48; its standard error √(48 / 3).
        assert_eq!(found, [("sure", 2.0, 0.0), ("unsure", 4.0, 4.0)]);
    }
}

//! The words with the highest attributions to each category.

use std::collections::HashMap;

use anyhow::{Context, ensure};
use midashi_artifacts::{Faithfulness, LISTED_CATEGORIES, Method, TokenizedText, Unit};
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::joined::belong_together;
use crate::trust::is_better_than_chance;
use midashi_page::Strings;

/// A mean over fewer texts describes the texts rather than the word.
const LEAST_TEXTS: u64 = 3;
/// The 97.5th percentile of the standard normal distribution.
const NORMAL: f64 = 1.959_963_985;
/// Integrated gradients are more reliable than gradient × input but cost more. They are used if so many texts have
/// them.
const ENOUGH_TEXTS: usize = 100;
/// Words per category.
const MOST_WORDS: usize = 8;

/// For each category the words whose mean attribution is reliably high.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Words {
    /// The key of the method's name.
    pub method: &'static str,
    /// Whether the method was measured to be no better than random weights; then there are no words.
    pub refuted: bool,
    /// Whether the method was measured at all.
    pub measured: bool,
    /// Number of explained texts.
    pub texts: usize,
    /// Minimum number of a category's texts in which a word occurs.
    pub least_texts: u64,
    /// One entry per category. Of many, those with words, the most explained texts first, and no more than
    /// [`LISTED_CATEGORIES`].
    pub categories: Vec<CategoryWords>,
    /// Number of categories that have words.
    pub with_words: usize,
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

    /// The lower end of the mean's 95 % interval. Words are in its order, so a word with many texts comes before one with
    /// high attributions in a few.
    fn lower_end(&self) -> f64 {
        self.mean - student(self.texts.saturating_sub(1)) * self.standard_error
    }
}

/// The 97.5th percentile of Student's t distribution (Abramowitz and Stegun 1972, 26.7.5; 0.8 % too small with two degrees
/// of freedom).
fn student(freedom: u64) -> f64 {
    let (z, n) = (NORMAL, freedom as f64);
    let power = |exponent| z.powi(exponent);
    z + (power(3) + z) / (4.0 * n)
        + (5.0 * power(5) + 16.0 * power(3) + 3.0 * z) / (96.0 * n.powi(2))
        + (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * z) / (384.0 * n.powi(3))
        + (79.0 * power(9) + 776.0 * power(7) + 1482.0 * power(5) - 1920.0 * power(3) - 945.0 * z)
            / (92_160.0 * n.powi(4))
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
        let measured = metrics.faithfulness.as_ref();
        let (method, refuted) = choose(measured, integrated >= ENOUGH_TEXTS);
        let is_integrated = method == Method::IntegratedGradients;
        let method = if is_integrated { "method.integrated_gradients" } else { "method.gradient_x_input" };
        let measured = measured.is_some();
        if refuted {
            return Ok(Some(Self {
                method,
                refuted,
                measured,
                texts: 0,
                least_texts: LEAST_TEXTS,
                categories: vec![],
                with_words: 0,
            }));
        }
        let unit = tokens.units();
        let by_id: HashMap<&str, &TokenizedText> =
            tokens.texts.iter().map(|text| (text.id.as_str(), text)).collect();
        let mut all: Vec<HashMap<String, Vec<f64>>> = vec![HashMap::new(); explanations.categories.len()];
        let mut texts = 0;
        let mut texts_of = vec![0; all.len()];
        for row in &explanations.rows {
            let weights =
                if is_integrated { row.integrated_gradients.as_ref() } else { Some(&row.gradient_x_input) };
            let Some(weights) = weights else { continue };
            texts += 1;
            texts_of[row.category.index()] += 1;
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
        let (categories, with_words) = listed(categories.collect(), &texts_of);
        Ok(Some(Self { method, refuted, measured, texts, least_texts: LEAST_TEXTS, categories, with_words }))
    }
}

/// The categories that are shown, and the number of those that have words. `texts` are their explained texts.
fn listed(categories: Vec<CategoryWords>, texts: &[usize]) -> (Vec<CategoryWords>, usize) {
    let has_words = |category: &CategoryWords| !category.words.is_empty();
    let with_words = categories.iter().filter(|category| has_words(category)).count();
    if categories.len() <= LISTED_CATEGORIES {
        return (categories, with_words);
    }
    let mut found: Vec<_> = categories.into_iter().zip(texts).filter(|(it, _)| has_words(it)).collect();
    found.sort_by_key(|(_, texts)| std::cmp::Reverse(**texts));
    (found.into_iter().take(LISTED_CATEGORIES).map(|(category, _)| category).collect(), with_words)
}

/// The method for the words, and whether it is refuted: integrated gradients if `are_enough` texts have them, or
/// gradient × input where those are no better than chance. A method that was not measured is not refuted.
fn choose(measured: Option<&Faithfulness>, are_enough: bool) -> (Method, bool) {
    let holds = |method| measured.is_none_or(|measured| is_better_than_chance(measured, method));
    if are_enough && holds(Method::IntegratedGradients) {
        return (Method::IntegratedGradients, false);
    }
    (Method::GradientXInput, !holds(Method::GradientXInput))
}

/// The attribution of each word of the text, summed over its occurrences. Words of the tokenizer, or tokens where it
/// has none, are joined if they belong together: a dictionary may cut even 独女 in two.
fn attributions(text: &TokenizedText, weights: &[f32], unit: Unit) -> anyhow::Result<HashMap<String, f64>> {
    let (found, expected) = (weights.len(), text.encoding.tokens.len());
    ensure!(found == expected, "{found} weights for {expected} tokens");
    let characters: Vec<char> = text.encoding.text.chars().collect();
    let mut attributions: HashMap<String, f64> = HashMap::new();
    let mut tokens =
        text.encoding.word_ids.iter().enumerate().filter_map(|(at, word)| Some((at, (*word)?))).peekable();
    let between = |start: u32, end: u32| -> anyhow::Result<String> {
        let written = characters.get(start as usize..end as usize);
        Ok(written.context("offsets are outside of the text")?.iter().collect())
    };
    while let Some((first, mut word)) = tokens.next() {
        let (start, mut end) = text.encoding.offsets[first];
        let mut attribution = f64::from(weights[first]);
        while let Some(&(at, next)) = tokens.peek() {
            let (from, to) = text.encoding.offsets[at];
            let is_same_word = unit == Unit::Words && next == word;
            let is_joined =
                is_same_word || end == from && belong_together(&between(start, end)?, &between(from, to)?);
            if !is_joined {
                break;
            }
            tokens.next();
            word = next;
            end = to;
            attribution += f64::from(weights[at]);
        }
        *attributions.entry(between(start, end)?.trim().to_owned()).or_default() += attribution;
    }
    // Words that consist of white space cannot be shown.
    attributions.remove("");
    Ok(attributions)
}

/// Words whose mean is positive by its whole interval, the most reliable first; ties by spelling.
fn strongest(words: HashMap<String, Vec<f64>>) -> Vec<WordAttribution> {
    let often = words.into_iter().filter(|(_, attributions)| attributions.len() as u64 >= LEAST_TEXTS);
    let mut words: Vec<WordAttribution> = often
        .map(|(word, attributions)| WordAttribution::of(word, &attributions))
        .filter(|word| word.lower_end() > 0.0)
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
    fn quantiles_are_those_of_tables_of_students_t() {
        for (freedom, expected) in
            [(2, 4.303), (3, 3.182), (5, 2.571), (9, 2.262), (30, 2.042), (1000, 1.962)]
        {
            let found = student(freedom);
            assert!((found - expected).abs() < 0.009 * expected, "{freedom}: {found}, expected {expected}");
        }
    }

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
    fn pieces_without_word_boundaries_are_joined_to_words() {
        // As SentencePiece cuts them; the whole text is one word to the tokenizer.
        let pieces = ["▁", "独", "女", "が", "スマート", "フォン", "を", "語", "る"];
        let text: String = pieces[1..].concat();
        let mut offsets = vec![(0, 0)];
        offsets.extend(pieces[1..].iter().scan(0, |end, piece| {
            let start = *end;
            *end += piece.chars().count() as u32;
            Some((start, *end))
        }));
        let text = TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Test,
            encoding: Encoding {
                original: text.clone(),
                text,
                input_ids: vec![0; 9],
                token_type_ids: vec![0; 9],
                tokens: pieces.map(str::to_owned).to_vec(),
                word_ids: vec![Some(0); 9],
                offsets,
                ..Encoding::default()
            },
        };
        let weights = [8.0, 1.0, 2.0, 0.25, 4.0, 0.5, 0.25, 1.0, 0.125];
        let found = attributions(&text, &weights, Unit::Tokens).unwrap();
        assert_eq!((found["独女"], found["スマートフォン"], found["語"]), (3.0, 4.5, 1.0));
        assert_eq!(found.len(), 6, "{found:?}");
    }

    #[test]
    fn words_of_one_kanji_are_joined_to_their_neighbours() {
        // MeCab with IPAdic cuts 独女 into two words.
        let text = TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Test,
            encoding: Encoding {
                original: "独女の恋愛".into(),
                text: "独女の恋愛".into(),
                input_ids: vec![0; 5],
                token_type_ids: vec![0; 5],
                tokens: ["独", "女", "の", "恋", "##愛"].map(str::to_owned).to_vec(),
                word_ids: vec![Some(0), Some(1), Some(2), Some(3), Some(3)],
                offsets: vec![(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)],
                ..Encoding::default()
            },
        };
        let found = attributions(&text, &[1.0, 2.0, 0.5, 0.25, 4.0], Unit::Words).unwrap();
        let expected = [("独女", 3.0), ("の", 0.5), ("恋愛", 4.25)];
        assert_eq!(found, expected.map(|(word, weight)| (word.to_owned(), weight)).into());
    }

    #[test]
    fn of_many_categories_those_with_words_and_the_most_texts_are_listed() {
        let category = |at: usize| CategoryWords {
            category: format!("c{at}"),
            words: match at % 2 {
                0 => vec![],
                _ => vec![WordAttribution::of("語".into(), &[1.0, 1.0, 1.0])],
            },
        };
        let texts: Vec<usize> = (0..1000).collect();
        let (found, with_words) = listed((0..1000).map(category).collect(), &texts);
        let names: Vec<&str> = found.iter().map(|it| it.category.as_str()).collect();
        assert_eq!((names.len(), with_words), (50, 500));
        assert_eq!((names[0], names[1], names[49]), ("c999", "c997", "c901"));
        let (all, with_words) = listed((0..50).map(category).collect(), &texts);
        assert_eq!((all.len(), with_words), (50, 25), "few categories are listed without words too");
    }

    #[test]
    fn words_are_by_a_method_that_is_better_than_chance() {
        use crate::trust::tests::{measured, row};
        let with = |gradients, integrated| {
            measured(vec![
                row(Method::GradientXInput, gradients, 0.2, 0.2, 0.0),
                row(Method::IntegratedGradients, integrated, 0.2, 0.2, 0.0),
            ])
        };
        let (both, none) = (with(0.5, 0.7), with(0.2, 0.2));
        assert_eq!(choose(Some(&both), true), (Method::IntegratedGradients, false));
        assert_eq!(choose(Some(&both), false), (Method::GradientXInput, false), "too few texts");
        assert_eq!(choose(Some(&with(0.5, 0.2)), true), (Method::GradientXInput, false));
        assert_eq!(choose(Some(&none), true), (Method::GradientXInput, true));
        assert_eq!(choose(None, false), (Method::GradientXInput, false), "not measured");
    }

    #[test]
    fn rare_words_and_negative_ones_are_left_out_and_reliable_ones_come_first() {
        let words = [
            ("sure", vec![2.0, 2.0, 2.0]),
            ("rare", vec![9.0, 9.0]),
            ("away", vec![-1.0, -1.0, -1.0]),
            ("less sure", vec![12.0, 9.0, 9.0]),
            ("unsure", vec![12.0, 0.0, 0.0]),
        ];
        let words = words.map(|(word, attributions)| (word.to_owned(), attributions));
        let found = strongest(HashMap::from(words));
        let found: Vec<_> =
            found.iter().map(|word| (word.word.as_str(), word.mean, word.standard_error)).collect();
        // Sample variance of 12, 9, 9 about 10: (4 + 1 + 1) / 2 = 3; its standard error √(3 / 3). That of 12, 0, 0 is
        // 4, as large as the mean, whose interval reaches below 0.
        assert_eq!(found, [("less sure", 10.0, 1.0), ("sure", 2.0, 0.0)]);
    }
}

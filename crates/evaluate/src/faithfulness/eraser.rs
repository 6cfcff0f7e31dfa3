//! Classifies texts without some of their units.

use std::collections::HashMap;

use anyhow::Result;
use midashi_artifacts::{Replacement, TokenizedText};
use midashi_classifier::{Classifier, Prediction};
use midashi_stage::Progress;
use midashi_text::{Encoding, Unit};

use super::erasure::{Mode, Selection, erase};

/// Erased texts are in memory together up to this many tokens, about 50 bytes each.
const GROUP_TOKENS: usize = 1 << 20;

/// Erases units from texts and classifies the rest.
pub struct Eraser<'a, 'c> {
    /// The model, computed in float32.
    pub classifier: &'a mut Classifier<'c>,
    /// What is erased.
    pub unit: Unit,
    /// The token that replaces masked ones.
    pub replacement: &'a Replacement,
}

/// What is erased from one text.
pub struct Erasures<'a> {
    /// The text.
    pub text: &'a TokenizedText,
    /// The category whose probability is looked at.
    pub category: usize,
    /// Positions of each unit's tokens.
    pub units: &'a [Vec<usize>],
    /// The erasures.
    pub erasures: Vec<(Mode, Selection)>,
}

impl Erasures<'_> {
    /// The tokens of all erased texts, if none of them are equal or shorter.
    fn tokens(&self) -> usize {
        (self.erasures.len() + 1) * self.text.encoding.len()
    }
}

impl Eraser<'_, '_> {
    /// Classifies whole texts.
    pub fn classify(&mut self, texts: &[&TokenizedText]) -> Result<Vec<Prediction>> {
        let encodings: Vec<&Encoding> = texts.iter().map(|text| &text.encoding).collect();
        let predictions = self.classifier.classify_encodings(&encodings);
        Ok(predictions.map_err(|error| error.with_text(|text| texts[text].id.clone()))?)
    }

    /// For each of the texts' erasures, in their order, the drop in the probability of the text's category that it causes.
    /// Progress is counted in erasures.
    ///
    /// Erased texts of all texts are batched by their lengths: those of one text that keep a tenth of it would be padded
    /// to the length of those that keep all.
    pub fn drops(&mut self, texts: &[Erasures<'_>], progress: &mut Progress) -> Result<Vec<Vec<f64>>> {
        let mut drops = Vec::with_capacity(texts.len());
        let mut rest = texts;
        while !rest.is_empty() {
            let ends = rest.iter().scan(0, |tokens, text| {
                *tokens += text.tokens();
                Some(*tokens)
            });
            let fitting = ends.take_while(|&tokens| tokens <= GROUP_TOKENS).count().max(1);
            let (group, others) = rest.split_at(fitting);
            drops.extend(self.drops_of_group(group, progress)?);
            rest = others;
        }
        Ok(drops)
    }

    fn drops_of_group(&mut self, texts: &[Erasures<'_>], progress: &mut Progress) -> Result<Vec<Vec<f64>>> {
        let mut variants: Vec<Encoding> = Vec::new();
        // For each text its own place among the variants, and those of its erasures.
        let mut places: Vec<(usize, Vec<usize>)> = Vec::with_capacity(texts.len());
        for Erasures { text, units, erasures, .. } in texts {
            let whole = variants.len();
            variants.push(text.encoding.clone());
            let mut known = HashMap::new();
            // Short texts have few subsets: equal erasures are classified once.
            let variant_of = |erasure| {
                *known.entry(erasure).or_insert_with(|| {
                    let (mode, selection): &(Mode, Selection) = erasure;
                    variants.push(erase(&text.encoding, units, selection, *mode, self.replacement));
                    variants.len() - 1
                })
            };
            places.push((whole, erasures.iter().map(variant_of).collect()));
        }
        let (erasures, mut counted) = (texts.iter().map(|text| text.erasures.len()).sum::<usize>(), 0);
        let mut count = |rows: usize, of: usize| {
            let done = erasures * rows / of.max(1);
            progress.advance((done - counted) as u64);
            counted = done;
        };
        let variants: Vec<&Encoding> = variants.iter().collect();
        // The text whose variants end behind this one.
        let text_of = |variant: usize| places.partition_point(|(whole, _)| *whole <= variant) - 1;
        let predictions = self.classifier.classify_encodings_with(&variants, &mut count);
        let predictions = predictions
            .map_err(|error| error.with_text(|variant| texts[text_of(variant)].text.id.clone()))?;
        let of_text =
            |(Erasures { category, .. }, (whole, places)): (&Erasures<'_>, &(usize, Vec<usize>))| {
                let probability = |variant: usize| f64::from(predictions[variant].probabilities[*category]);
                places.iter().map(|&variant| probability(*whole) - probability(variant)).collect()
            };
        Ok(texts.iter().zip(&places).map(of_text).collect())
    }
}

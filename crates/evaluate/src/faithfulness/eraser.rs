//! Classifies texts without some of their units.

use std::collections::HashMap;

use anyhow::Result;
use midashi_artifacts::{Replacement, TokenizedText};
use midashi_classifier::{Classifier, Prediction};
use midashi_text::Unit;

use super::erasure::{Mode, Selection, erase};

/// Erases units from texts and classifies the rest.
pub struct Eraser<'a> {
    /// The model, computed in float32.
    pub classifier: &'a mut Classifier<'a>,
    /// What is erased.
    pub unit: Unit,
    /// The token that replaces masked ones.
    pub replacement: &'a Replacement,
}

impl Eraser<'_> {
    /// Classifies a whole text.
    pub fn classify(&mut self, text: &TokenizedText) -> Result<Prediction> {
        Ok(self.classifier.classify_encodings(&[&text.encoding])?.remove(0))
    }

    /// For each of `erasures`, in their order, the drop in the probability of `category` that it causes.
    pub fn drops(
        &mut self,
        text: &TokenizedText,
        category: usize,
        units: &[Vec<usize>],
        erasures: &[(Mode, Selection)],
    ) -> Result<Vec<f64>> {
        let mut variants = vec![text.encoding.clone()];
        let mut known = HashMap::new();
        let mut variant_of = |erasure| {
            *known.entry(erasure).or_insert_with(|| {
                let (mode, selection): &(Mode, Selection) = erasure;
                variants.push(erase(&text.encoding, units, selection, *mode, self.replacement));
                variants.len() - 1
            })
        };
        // Short texts have few subsets: equal erasures are classified once.
        let places: Vec<usize> = erasures.iter().map(&mut variant_of).collect();
        let predictions = self.classifier.classify_encodings(&variants.iter().collect::<Vec<_>>())?;
        let probability = |variant: usize| f64::from(predictions[variant].probabilities[category]);
        Ok(places.into_iter().map(|variant| probability(0) - probability(variant)).collect())
    }
}

//! The baseline: TF-IDF features and a classifier on them.

use crate::Error;
use crate::regression::LogisticRegression;
use crate::tfidf::Vectorizer;

/// A fitted baseline.
pub struct Baseline {
    vectorizer: Vectorizer,
    regression: LogisticRegression,
}

impl Baseline {
    /// Fits vocabulary, TF-IDF weights and classifier on texts and their `labels`, numbers below `categories`.
    ///
    /// # Errors
    /// When no n-gram occurs in two texts.
    pub fn fit<T: AsRef<str> + Sync>(
        texts: &[T],
        labels: &[usize],
        categories: usize,
    ) -> Result<Self, Error> {
        let vectorizer = Vectorizer::fit(texts);
        if vectorizer.features() == 0 {
            return Err(Error::NoFeatures { texts: texts.len() });
        }
        let rows = vectorizer.transform(texts);
        let regression = LogisticRegression::fit(&rows, labels, categories);
        Ok(Self { vectorizer, regression })
    }

    /// The probability of each category for each text, shape `[texts, categories]`; each row sums to 1.
    pub fn probabilities<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Vec<Vec<f64>> {
        self.regression.probabilities(&self.vectorizer.transform(texts))
    }

    /// Number of n-grams in the vocabulary.
    pub fn features(&self) -> usize {
        self.vectorizer.features()
    }
}

//! The baseline: TF-IDF features and a classifier on them.

use crate::Error;
use crate::regression::LogisticRegression;
use crate::tfidf::Vectorizer;

/// Most weights and logits. Their number grows with the product of categories with n-grams and texts. Fitting takes
/// several times their memory and goes over all of them in each of hundreds of iterations: 10,000 categories of 10,000
/// titles would need gigabytes and an hour.
const MOST_NUMBERS: usize = 1 << 26;

/// A fitted baseline.
pub struct Baseline {
    vectorizer: Vectorizer,
    regression: LogisticRegression,
}

impl Baseline {
    /// Fits vocabulary, TF-IDF weights and classifier on texts and their `labels`, numbers below `categories`.
    ///
    /// # Errors
    /// When no n-gram occurs in two texts, or there are too many weights for the memory of a usual machine.
    pub fn fit<T: AsRef<str> + Sync>(
        texts: &[T],
        labels: &[usize],
        categories: usize,
    ) -> Result<Self, Error> {
        let vectorizer = Vectorizer::fit(texts);
        if vectorizer.features() == 0 {
            return Err(Error::NoFeatures { texts: texts.len() });
        }
        check_size(vectorizer.features(), texts.len(), categories)?;
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

fn check_size(features: usize, texts: usize, categories: usize) -> Result<(), Error> {
    let numbers = features.checked_add(texts).and_then(|rows| rows.checked_mul(categories));
    match numbers {
        Some(..=MOST_NUMBERS) => Ok(()),
        _ => Err(Error::TooLarge { features, texts, categories }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_beyond_the_bound_is_refused_before_it_takes_memory() {
        assert_eq!(check_size((1 << 20) - 24, 24, 64), Ok(()));
        let refused = check_size(1 << 20, 24, 64).unwrap_err();
        assert_eq!(refused, Error::TooLarge { features: 1 << 20, texts: 24, categories: 64 });
        assert!(check_size(usize::MAX, 1, 1).is_err() && check_size(usize::MAX - 1, 1, 2).is_err());
        let message = refused.to_string();
        assert!(message.contains("1048576 n-grams and 24 training texts of 64 categories"), "{message}");

        // Two texts of the same 24 characters, one to four at a time: 24 + 23 + 22 + 21 n-grams.
        let text = "いろはにほへとちりぬるをわかよたれそつねならむう";
        let fit = |categories| Baseline::fit(&[text, text], &[0, 1], categories).err();
        assert_eq!(fit(2), None);
        let categories = MOST_NUMBERS / 92 + 1;
        assert_eq!(fit(categories), Some(Error::TooLarge { features: 90, texts: 2, categories }));
    }
}

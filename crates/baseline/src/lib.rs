//! The linear model that a BERT has to beat: character n-grams, TF-IDF and multinomial logistic regression.
//!
//! Both parts mean what they mean in scikit-learn, `TfidfVectorizer(analyzer="char", ngram_range=(1, 4),
//! sublinear_tf=True, min_df=2)` and `LogisticRegression(C=30)`, so that its numbers can be checked there.
//!
//! ```
//! use midashi_baseline::Baseline;
//!
//! let titles = ["新型スマホ発売", "スマホの新型を発表", "日本代表が勝利", "代表戦で日本が勝つ"];
//! let baseline = Baseline::fit(&titles, &[0, 0, 1, 1], 2)?;
//! let probabilities = baseline.probabilities(&["スマホの発売日"]);
//! assert!(probabilities[0][0] > 0.5);
//! # Ok::<(), midashi_baseline::Error>(())
//! ```

mod regression;
mod rows;
mod tfidf;

use regression::LogisticRegression;
use tfidf::Vectorizer;

/// Why the baseline could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The texts hold no n-gram that occurs in two of them.
    #[error(
        "no character n-gram occurs in two of the {texts} training texts: there is nothing to learn from"
    )]
    NoFeatures {
        /// How many texts there were.
        texts: usize,
    },
    /// The optimiser gave up.
    #[error("the linear baseline's optimiser failed: {0}")]
    Optimiser(String),
}

/// A fitted baseline.
pub struct Baseline {
    vectorizer: Vectorizer,
    regression: LogisticRegression,
}

impl Baseline {
    /// Fits vocabulary, weights and classifier on texts and their categories, numbers below `categories`.
    ///
    /// # Errors
    /// When the texts have no n-grams in common.
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
        let regression = LogisticRegression::fit(&rows, labels, categories)?;
        Ok(Self { vectorizer, regression })
    }

    /// The probability of each category for each text; each row sums to 1.
    pub fn probabilities<T: AsRef<str> + Sync>(&self, texts: &[T]) -> Vec<Vec<f64>> {
        self.regression.probabilities(&self.vectorizer.transform(texts))
    }

    /// How many n-grams it knows.
    pub fn features(&self) -> usize {
        self.vectorizer.features()
    }
}

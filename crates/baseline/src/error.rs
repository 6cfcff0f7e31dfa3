//! Errors of fitting.

/// Why the baseline could not be fitted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No n-gram occurs in two texts.
    #[error(
        "no character n-gram occurs in two of the {texts} training texts: there is nothing to learn from"
    )]
    NoFeatures {
        /// Number of training texts.
        texts: usize,
    },
    /// The model would need too much memory and time.
    #[error(
        "{features} n-grams and {texts} training texts of {categories} categories need more than 2^26 numbers (512 MiB), \
         the most that is fitted"
    )]
    TooLarge {
        /// Number of n-grams.
        features: usize,
        /// Number of training texts.
        texts: usize,
        /// Number of categories.
        categories: usize,
    },
}

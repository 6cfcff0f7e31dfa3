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
    /// The model would not fit into memory.
    #[error(
        "{features} n-grams and {texts} training texts of {categories} categories need more than 2^27 numbers (1 GiB), \
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

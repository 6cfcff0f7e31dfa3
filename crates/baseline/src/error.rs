//! Errors of fitting.

/// Why the baseline could not be fitted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No n-gram occurs in two texts.
    #[error(
        "no character n-gram occurs in two of the {texts} training texts: there is nothing to learn from"
    )]
    NoFeatures {
        /// Number of training texts.
        texts: usize,
    },
}

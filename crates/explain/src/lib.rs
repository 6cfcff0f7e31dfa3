//! How much each token of a text mattered for what a fine-tuned BERT says of it, by several methods.
//!
//! | method | what it is |
//! |---|---|
//! | attention | what `[CLS]` attends to, in one head or several, in one layer |
//! | [`rollout`] | attention through all layers, residual connections included (Abnar and Zuidema 2020) |
//! | gradient × input | gradient of a category's logit with respect to the word embeddings, times these |
//! | integrated gradients | its mean on the way from a text without words to the text, times that way (Sundararajan et al. 2017) |
//!
//! Attention says where the model looked and not for which category; the other two are signed, and their sums
//! over a text say something about its logit. Everything is computed in float32 from the whole model, as
//! `classifier.onnx` does, whatever trunk it was trained with.

mod explainer;
mod rollout;

pub use explainer::{Answer, Attribution, Classifier, Explainer};
pub use rollout::{head_mean, rollout};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The graph or its weights are wrong.
    #[error(transparent)]
    Bert(#[from] midashi_bert::Error),
    /// The graph could not be run.
    #[error(transparent)]
    Runtime(#[from] midashi_runtime::Error),
    /// A baseline is another text's.
    #[error("the baseline has {found} tokens, the text {expected}; expected as many")]
    Baseline {
        /// Tokens of the baseline.
        found: usize,
        /// Tokens of the text.
        expected: usize,
    },
    /// A category that the classifier does not have.
    #[error("category {category} is to be explained, of {labels}; expected a smaller number")]
    Category {
        /// Its number, from 0.
        category: usize,
        /// How many there are.
        labels: usize,
    },
    /// An id without a word embedding.
    #[error(
        "token id {id} has no word embedding, of which there are {rows}; tokenize with the model's own tokenizer"
    )]
    Id {
        /// The id.
        id: i32,
        /// Rows of the word embeddings.
        rows: usize,
    },
}

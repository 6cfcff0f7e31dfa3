//! The errors of this crate.

use std::path::{Path, PathBuf};

/// Bytes of a GiB.
pub(crate) const GIB: f64 = (1 << 30) as f64;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a text cannot be classified or a prediction cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A graph or its weights are wrong.
    #[error(transparent)]
    Encoder(#[from] midashi_encoder::Error),
    /// A graph could not be run.
    #[error(transparent)]
    Runtime(#[from] midashi_runtime::Error),
    /// The tokenizer's files are damaged, or it refuses a text.
    #[error(transparent)]
    Tokenizer(#[from] midashi_tokenizer::Error),
    /// A file of `model/` or `features.arrow` is missing or damaged.
    #[error(transparent)]
    Artifact(#[from] midashi_artifacts::Error),
    /// Another process has replaced the model in the meantime.
    #[error("{}: the file was replaced while it was loaded; start the program again", path.display())]
    Changed {
        /// The file of the weights.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error(transparent)]
    Stage(#[from] midashi_stage::Error),
    /// 8-bit integers were requested on a device that does not compute them.
    #[error(
        "{setting}, which needs the CPU, but the device is cuda; set train.device and evaluate.device to \"cpu\", or \
         choose \"f32\""
    )]
    Int8OnCuda {
        /// The setting and its value, as a sentence begins.
        setting: &'static str,
    },
    /// Threads for the tokenizer cannot be started.
    #[error("cannot start the threads that tokenise")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// A thread of the tokenizer ended early.
    #[error("a thread that tokenises texts ended before it was done")]
    TokenizerEnded,
    /// Cached or precomputed hidden states have no padding to attend to.
    #[error("the hidden states of the frozen layers hold no padding that could be attended to")]
    AttendedPadding,
    /// A text without words.
    #[error("the tokenizer finds no tokens in {text:?}; expected a text with words")]
    NoWords {
        /// The text.
        text: String,
    },
    /// A hidden state does not fit into the precision in which it is to be stored.
    #[error(
        "a hidden state of {text} is {value}, more than float16 holds; set train.features.precision = \"f32\""
    )]
    BeyondFloat16 {
        /// The text: its id.
        text: String,
        /// The hidden state.
        value: f32,
    },
    /// The model has no answer to a text.
    #[error(
        "{output} of {text} has the value {value}; expected finite numbers: the checkpoint's weights are damaged or too \
         large, or their precision is too low; look at it with midashi-inspect, or compute in \"f32\""
    )]
    NotFinite {
        /// The text: its id, or its beginning.
        text: String,
        /// What was computed: "logits", "hidden_states".
        output: String,
        /// NaN or infinity.
        value: f32,
    },
    /// Integrated gradients have no baseline.
    #[error(
        "{}: the tokenizer has neither a mask token nor an unknown token for the baseline of integrated gradients; \
         choose another method",
        folder.display()
    )]
    NoMaskToken {
        /// `model/`.
        folder: PathBuf,
    },
    /// An explanation needs too much memory.
    #[error(
        "an explanation of {tokens} tokens keeps {} of attention in memory, more than evaluate.explain.memory_gib = {most}; set it \
         higher, tokenize.max_length lower, or choose attention or rollout (evaluate: evaluate.explain.texts = 0)",
        gib(*bytes)
    )]
    ExplanationMemory {
        /// Tokens of the longest text.
        tokens: usize,
        /// Bytes that it needs.
        bytes: u64,
        /// The limit in GiB.
        most: f64,
    },
    /// The baseline of integrated gradients belongs to another text.
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
        /// Number of categories.
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
    /// The model has no such attention layer or head.
    #[error("{what} is {found}; the model has {count} {what}s, expected 0 to {}", count - 1)]
    NoSuch {
        /// "layer" or "head".
        what: &'static str,
        /// The number that was asked for.
        found: usize,
        /// How many the model has.
        count: usize,
    },
}

/// A number of bytes for a message.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB)
}

impl Error {
    /// Of an output that is not finite, gives the number in a list for the row of a batch.
    pub(crate) fn in_list(self, number: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Self::Runtime(midashi_runtime::Error::NotFinite { output, row, value }) => {
                midashi_runtime::Error::NotFinite { output, row: number(row), value }.into()
            }
            other => other,
        }
    }

    /// Names the text of an output that is not finite, given its number in the list of texts that the model was given.
    #[must_use]
    pub fn with_text(self, name: impl FnOnce(usize) -> String) -> Self {
        match self {
            Self::Runtime(midashi_runtime::Error::NotFinite { output, row, value }) => {
                Self::NotFinite { text: name(row), output, value }
            }
            other => other,
        }
    }

    /// A damaged file of `model/`, which `train` makes.
    pub(crate) fn bad_model(path: &Path, message: impl ToString) -> Self {
        let (path, message) = (path.to_owned(), message.to_string());
        midashi_artifacts::Error::BadArtifact { path, stage: "train", message }.into()
    }
}

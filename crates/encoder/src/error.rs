//! Errors of reading a checkpoint and building its graphs.

use std::path::{Path, PathBuf};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a checkpoint or a graph.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation, as a verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// `config.json` does not describe an encoder that Midashi supports.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// The folder holds no weights in a format that Midashi reads.
    #[error(
        "{} holds no weights; expected model.safetensors, model.safetensors.index.json with its shards, \
         or pytorch_model.bin",
        folder.display()
    )]
    NoWeights {
        /// The checkpoint's folder.
        folder: PathBuf,
    },
    /// A file of weights is damaged or in a format that Midashi does not read.
    #[error("{}: {message}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// A tensor is missing.
    #[error("{}: there is no tensor {name} (expected shape {expected:?}); found {found}; this is not the encoder that its config.json describes", path.display())]
    TensorMissing {
        /// The file.
        path: PathBuf,
        /// The tensor's usual name.
        name: String,
        /// The shape it should have.
        expected: Vec<usize>,
        /// What the files hold.
        found: String,
    },
    /// A tensor has another shape than `config.json` implies.
    #[error("{}: tensor {name} has shape {found:?}; config.json implies {expected:?}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor's name in the file.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A model is recorded to have a linear head, but has layers that compute something else.
    #[error(
        "{}: the layer before the classifier is not the one that Midashi writes with a linear head, as midashi.json \
         implies; if another program trained the model further, set \"head\" to \"native\" in midashi.json",
        path.display()
    )]
    NotLinear {
        /// The file of the weights.
        path: PathBuf,
    },
    /// The mean of the hidden states is to be read, but the architecture's class always reads `[CLS]`.
    #[error(
        "train.pooling is \"mean\", but {class} of transformers always reads the first token, so other programs would compute \
         something else with the model; set train.pooling to \"cls\""
    )]
    NoMeanPooling {
        /// The class.
        class: String,
    },
    /// A linear head has more categories than the architecture's class for sequence classification can express.
    #[error(
        "a linear head with {labels} categories cannot be written in the form of the architecture's class for sequence \
         classification, which has room for {most}; set train.head to \"native\""
    )]
    TooManyLabels {
        /// Number of categories.
        labels: usize,
        /// Most categories.
        most: usize,
    },
    /// A graph has a parameter for which there is no tensor.
    #[error("the weights hold no tensor {0}, which the graph needs")]
    Unfilled(String),
    /// A graph could not be built.
    #[error("cannot build the model's graph")]
    Graph(#[from] midashi_onnx::Error),
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

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
    #[error("{}: there is no tensor {name} (expected shape {expected:?}); this is not the BERT that its config.json describes", path.display())]
    TensorMissing {
        /// The file.
        path: PathBuf,
        /// The tensor's usual name.
        name: String,
        /// The shape it should have.
        expected: Vec<usize>,
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
    /// A model is recorded to have a linear head, but has a pooler that computes something.
    #[error(
        "{}: the pooler is not a power of two times the identity, as midashi.json implies with a linear head; if another \
         program trained the model further, set \"head\" to \"pooler\" in midashi.json",
        path.display()
    )]
    NotLinear {
        /// The file of the weights.
        path: PathBuf,
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

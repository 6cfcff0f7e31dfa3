//! Errors of reading a checkpoint and building its graphs.

use std::path::{Path, PathBuf};

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a checkpoint.
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
    /// `config.json` is not that of a BERT that Midashi knows.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        message: String,
    },
    /// The folder holds no weights that Midashi reads.
    #[error(
        "{} holds no weights; expected model.safetensors, model.safetensors.index.json with its shards, \
         or pytorch_model.bin",
        folder.display()
    )]
    NoWeights {
        /// The checkpoint's folder.
        folder: PathBuf,
    },
    /// The weights' file is damaged or of a kind that Midashi does not read.
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
    /// A tensor has another shape than `config.json` says.
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
    /// A graph has a parameter for which there is no tensor.
    #[error("there are no numbers for the model's tensor {0}")]
    Unfilled(String),
    /// The parts of a graph do not fit together.
    #[error("cannot build the model's graph")]
    Graph(#[from] midashi_onnx::Error),
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

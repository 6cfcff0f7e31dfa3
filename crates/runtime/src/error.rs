//! Errors of opening ONNX Runtime and running models.

use std::fmt::Display;
use std::path::PathBuf;

/// The result of every fallible function of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why ONNX Runtime could not be opened or did not run a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder holds no library.
    #[error(
        "ONNX Runtime's library is not in {}: run `make setup`, or set ORT_DYLIB_PATH to an installed libonnxruntime",
        folder.display()
    )]
    LibraryMissing {
        /// The folder that `make setup` fills.
        folder: PathBuf,
    },
    /// The library exists but cannot be opened.
    #[error("cannot open ONNX Runtime's library {}: {message}", path.display())]
    LibraryUnusable {
        /// The library.
        path: PathBuf,
        /// The loader's reason.
        message: String,
    },
    /// CUDA was requested and does not work, with the reason.
    #[error(
        "device \"cuda\" was requested but cannot be used: {0}; set the device to \"cpu\" or \"auto\" to run without it"
    )]
    CudaUnavailable(String),
    /// An output is not a number, or infinite.
    #[error(
        "{output} has the value {value} in row {row} of a batch; expected finite numbers: the weights or their precision \
         cannot compute this input"
    )]
    NotFinite {
        /// The output's name.
        output: String,
        /// The batch's row.
        row: usize,
        /// NaN or infinity.
        value: f32,
    },
    /// ONNX Runtime rejected a model or failed to run it.
    #[error("ONNX Runtime could not {doing}: {message}")]
    Failed {
        /// The operation that failed.
        doing: String,
        /// ONNX Runtime's reason.
        message: String,
    },
}

/// For `map_err`: the operation `doing` failed in ONNX Runtime.
pub(crate) fn failed<E: Display>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
    let doing = doing.into();
    move |error| Error::Failed { doing, message: error.to_string() }
}

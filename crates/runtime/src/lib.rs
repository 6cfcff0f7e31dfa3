//! ONNX Runtime, as far as Midashi needs it: find the library, choose the device, run a model.
//!
//! ```no_run
//! use midashi_runtime::{DeviceChoice, Engine};
//! use ndarray::array;
//!
//! let engine = Engine::open("cache/onnxruntime".as_ref(), DeviceChoice::Auto, 2)?;
//! let model = std::fs::read("model.onnx").unwrap();
//! let mut session = engine.session(&model, vec![])?;
//! let x = array![[1.0_f32, 2.0]].into_dyn();
//! let outputs = session.run(vec![("x", x.view().into())])?;
//! println!("{}", outputs.float32("y")?);
//! # Ok::<(), midashi_runtime::Error>(())
//! ```
//!
//! The library is opened at run time and not linked, so that one binary serves the CPU and the
//! CUDA builds of ONNX Runtime.

mod device;
mod engine;
mod library;
mod placement;
mod resident;
mod session;

pub use device::Device;
pub use engine::{Engine, EngineDescription};
pub use library::Runtime;
pub use midashi_config::DeviceChoice;
pub use placement::Placement;
pub use resident::Resident;
pub use session::{Outputs, Session, SessionOptions, Tensor};

use std::path::PathBuf;

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why ONNX Runtime could not be had or did not run a model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no library where it was looked for.
    #[error(
        "ONNX Runtime's library is not in {}: run `make setup`, or set ORT_DYLIB_PATH to an installed libonnxruntime",
        folder.display()
    )]
    LibraryMissing {
        /// The folder that `make setup` fills.
        folder: PathBuf,
    },
    /// The library is there and cannot be opened.
    #[error("cannot open ONNX Runtime's library {}: {message}", path.display())]
    LibraryUnusable {
        /// The library.
        path: PathBuf,
        /// The loader's reason.
        message: String,
    },
    /// CUDA was asked for and cannot be used.
    #[error(
        "device \"cuda\" was asked for but cannot be used: {0}; set the device to \"cpu\" or \"auto\" to go on without it"
    )]
    CudaUnavailable(String),
    /// ONNX Runtime refused a model or failed to run it.
    #[error("ONNX Runtime could not {doing}: {message}")]
    Failed {
        /// What was being done.
        doing: String,
        /// ONNX Runtime's reason.
        message: String,
    },
}

/// For `map_err`: what was being done when ONNX Runtime failed.
fn failed<E: std::fmt::Display>(doing: impl Into<String>) -> impl FnOnce(E) -> Error {
    let doing = doing.into();
    move |error| Error::Failed { doing, message: error.to_string() }
}

//! The machinery of a stage.
//!
//! A stage is one binary. It reads the configuration ([`midashi_config::Config`]), finds the artifacts of the
//! stages before it in the run's folder ([`RunFolder`]), asks whether its own are already made
//! ([`Stage::begin`]), writes them atomically with their provenance, and enters what it did into
//! `run.json` ([`Work::finish`]).

mod arguments;
pub mod atomic;
mod digest;
mod error;
mod folder;
mod lock;
mod program;
mod progress;
mod record;
mod stage;

pub use arguments::StageArguments;
pub use digest::{DigestMemory, sha256_of_bytes};
pub use error::{Error, Interrupted, Result};
pub use folder::{RunFolder, require};
pub use lock::lock;
pub use program::main;
pub use progress::Progress;
pub use record::{FileDigest, Provenance, RunRecord, StageRecord};
pub use stage::{Stage, Work};

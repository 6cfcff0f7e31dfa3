//! The machinery of a stage.
//!
//! A stage is one binary. It reads the configuration ([`midashi_config::Config`]), finds the artifacts of the
//! stages before it in the run's folder ([`RunFolder`]), asks whether its own are already made
//! ([`Stage::begin`]), writes them atomically with their provenance, and enters what it did into
//! `run.json` ([`Work::finish`]).

pub mod atomic;
mod digest;
mod error;
mod folder;
mod progress;
mod share;
mod stage;

pub use digest::sha256_of_bytes;
pub use error::{Error, Interrupted, Result};
pub use folder::{RunFolder, require};
pub use progress::Progress;
pub use share::share;
pub use stage::{FileDigest, Provenance, RunRecord, Stage, StageArguments, StageRecord, Work, run_stage};

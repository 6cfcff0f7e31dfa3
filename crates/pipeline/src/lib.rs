//! What the stages of Midashi share, and the only place where they meet.
//!
//! A stage is one binary. It reads the configuration ([`Config`]), finds the artifacts of the
//! stages before it in the run's folder ([`RunFolder`]), asks whether its own are already made
//! ([`Stage::begin`]), writes them atomically with their provenance, and enters what it did into
//! `run.json` ([`Work::finish`]). The artifacts' schemas are in [`artifact`].

pub mod artifact;
pub mod atomic;
pub mod config;
mod digest;
mod error;
mod folder;
mod progress;
mod share;
mod stage;

pub use config::Config;
pub use digest::sha256_of_bytes;
pub use error::{Error, Result};
pub use folder::RunFolder;
pub use progress::Progress;
pub use share::share;
pub use stage::{FileDigest, Provenance, RunRecord, Stage, StageArguments, StageRecord, Work, run_stage};

#![doc = include_str!("../README.md")]

mod arguments;
pub mod atomic;
mod digest;
mod error;
mod folder;
mod lock;
mod output;
mod program;
mod progress;
mod reading;
mod record;
mod seal;
mod stage;
mod sums;
mod verify;

pub use arguments::StageArguments;
pub use digest::{SUMS, Sha256, sha256_of, sha256_of_bytes, sha256_of_parts};
pub use error::{Error, Interrupted, Result};
pub use folder::{RunFolder, entries, require};
pub use lock::lock;
pub use output::{write_err, write_err_line, write_out, write_out_line};
pub use program::main;
pub use progress::Progress;
pub use reading::read_file;
pub use record::{FileDigest, Provenance, RunRecord, StageRecord};
pub use seal::{is_intact, seal, seal_of};
pub use stage::{Stage, Work};
pub use sums::Sums;
pub use verify::{FileState, Finding, verify_run};

//! Running the stages as a user does: a corpus, a configuration with overrides, a folder of artifacts.
//!
//! A test reads as a session: [`Corpus`] writes texts, [`Run`] runs stages on them and says what they must print, and
//! the run's artifacts are read back through it. Runs that several tests only read are [`Shared`]. Pages are opened in a
//! [`browser`].
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test's helpers say what they expect by failing")]

mod artifacts;
pub mod browser;
mod corpus;
mod environment;
mod invocation;
mod run;
mod shared;

pub use corpus::Corpus;
pub use environment::{brought_file, folder, required_path, root};
pub use invocation::{Invocation, Outcome, binary};
pub use run::{Run, STAGES};
pub use shared::Shared;

//! What the stage *fetch* is made of: where a source is, and how a file comes from there.
//!
//! One downloader serves the corpus and the checkpoint alike. The `hf-hub` crate was weighed and
//! left: it knows only the hub, while the corpus comes from an ordinary web server; it brings an
//! asynchronous runtime (tokio, hyper, reqwest) and a storage client, where the blocking `ureq`
//! serves a program that waits for one file at a time; and resuming, checksums and locking would
//! still have to be ours for the corpus. What is kept of it is its cache layout, so that a checkpoint
//! fetched by Python is found here and one fetched here is found by Python.
//!
//! - [`resolve`]: from what the configuration says to a path on this machine
//! - [`hub`]: the hub's addresses, environment variables and cache
//! - [`checkpoint`]: which files a checkpoint consists of
//! - [`download`]: one file: resumed, locked, verified, renamed into place
//! - [`client`]: requests, their time limits, and trying again

pub mod checkpoint;
pub mod client;
pub mod download;
mod error;
pub mod hub;
pub mod resolve;

pub use error::{BadCertificates, Error, Result};

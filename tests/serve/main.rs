//! `midashi-serve`: a server on a free port, asked over HTTP as its clients ask it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod client;
mod ending;
mod explain;
mod limits;
mod long_texts;
mod page;
mod predict;
mod server;

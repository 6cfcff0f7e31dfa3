//! Published Japanese encoders: each works, or is refused with advice.
//!
//! The settings of `tests/fixtures/published.json` are the published ones; the file says where they were found. The
//! weights are random, the vocabularies small. A checkpoint that is run is narrower and has fewer layers than the
//! published one; every setting that selects code is kept.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod encoder;
mod geometry;
mod guide;
mod runs;
mod stand_in;

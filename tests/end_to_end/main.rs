//! Whole runs on the sample corpus at reduced size: what the stages hand on, repetition, reuse, exchange, the
//! article's choices.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

mod article;
mod chain;
mod checkpoint;
mod encoders;
mod exported;
mod heads;
mod many_categories;
mod own_corpus;
mod pairs;
mod recipe;
mod repetition;
mod runs;
mod trimmed;

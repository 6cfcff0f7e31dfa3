#![doc = include_str!("../README.md")]

mod baseline;
mod error;
mod regression;
mod sparse;
mod tfidf;

pub use baseline::Baseline;
pub use error::Error;

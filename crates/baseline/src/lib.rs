#![doc = include_str!("../README.md")]

mod baseline;
mod equal_columns;
mod error;
mod lbfgs;
mod regression;
mod sparse;
mod tfidf;
mod vectors;

pub use baseline::Baseline;
pub use error::Error;

#![doc = include_str!("../README.md")]

pub mod checkpoint;
pub mod client;
pub mod download;
mod error;
pub mod hub;
pub mod resolve;

pub use error::{BadCertificates, Error, Result};

#![doc = include_str!("../README.md")]

mod api;
pub mod bundled;
pub mod checkpoint;
pub mod client;
pub mod dataset;
pub mod download;
mod error;
pub mod hub;
mod repository;
pub mod resolve;

pub use error::{BadCertificates, Error, Result};

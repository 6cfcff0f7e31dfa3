#![doc = include_str!("../README.md")]

mod api;
pub mod bundled;
pub mod checkpoint;
pub mod client;
pub mod dataset;
pub mod download;
mod error;
mod first_bytes;
pub mod hub;
mod kept;
mod redirect;
mod repository;
pub mod resolve;
pub mod rules;
mod shown_url;

pub use error::{BadCertificates, Error, Result};
pub use shown_url::ShownUrl;

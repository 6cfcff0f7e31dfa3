#![doc = include_str!("../README.md")]

mod environment;

pub use environment::{environment, template_error};

/// The style sheet, for light and dark pages.
pub const STYLE: &str = include_str!("../style.css");

//! The configuration of a run: one TOML file, one struct per section, and overrides of single keys.

mod config;
mod device;
mod error;

pub use config::*;
pub use device::DeviceChoice;
pub use error::{Error, Result};

#![doc = include_str!("../README.md")]

mod device;
mod device_tensor;
mod engine;
mod error;
mod int8;
mod lanes;
mod library;
mod placement;
mod session;

pub use device::Device;
pub use device_tensor::DeviceTensor;
pub use engine::{Engine, EngineDescription};
pub use error::{Error, Result};
pub use int8::int8_weight_bits;
pub use lanes::Lanes;
pub use library::Runtime;
pub use midashi_config::DeviceChoice;
pub use placement::Placement;
pub use session::{Outputs, Session, SessionOptions, Tensor};

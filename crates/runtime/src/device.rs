//! Choosing between the CPU and a CUDA device. No silent fallback: what was asked for is what is
//! used, and what `auto` chose can be printed.

use std::fmt;

use ort::ep::{CUDA, ExecutionProvider};
use ort::session::Session;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Runtime, failed};

/// What was asked for, in the words of a configuration: `auto`, `cpu` or `cuda`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// CUDA where it works, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

/// What is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl Runtime {
    /// The device for `choice`.
    ///
    /// # Errors
    /// When CUDA is asked for and does not work, with the library or driver that is missing as
    /// ONNX Runtime names it.
    pub fn device(&self, choice: Choice) -> Result<Device> {
        match choice {
            Choice::Cpu => Ok(Device::Cpu),
            Choice::Cuda => self.probe_cuda().map(|()| Device::Cuda).map_err(Error::CudaUnavailable),
            Choice::Auto if self.probe_cuda().is_ok() => Ok(Device::Cuda),
            Choice::Auto => Ok(Device::Cpu),
        }
    }

    /// Registers the CUDA provider with a throw-away session, which opens its libraries and the
    /// driver.
    fn probe_cuda(&self) -> Result<(), String> {
        let built_in = CUDA::is_available().map_err(|error| error.to_string())?;
        if !built_in {
            return Err(format!(
                "{} is built without CUDA (install onnxruntime-gpu)",
                self.library().display()
            ));
        }
        let builder = Session::builder(&self.environment).map_err(|error| error.to_string())?;
        let provider = CUDA::default().build().error_on_failure();
        builder.with_execution_providers([provider]).map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Adds the device's execution provider.
pub(crate) fn register(
    builder: ort::session::builder::SessionBuilder,
    device: Device,
) -> Result<ort::session::builder::SessionBuilder> {
    match device {
        Device::Cpu => Ok(builder),
        Device::Cuda => builder
            .with_execution_providers([CUDA::default().build().error_on_failure()])
            .map_err(failed("use CUDA")),
    }
}

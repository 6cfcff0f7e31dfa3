//! What computes: the library, the device and the number of threads, chosen once per process.

use std::fmt;
use std::path::Path;

use ndarray::ArrayD;
use serde::Serialize;

use crate::{Device, DeviceChoice, Result, Runtime, Session, SessionOptions};

/// ONNX Runtime on a device. Displayed, it says where and with how many threads it computes.
pub struct Engine {
    runtime: Runtime,
    device: Device,
    threads: usize,
    tf32: bool,
}

/// What an engine's results depend on in their last digits, for records and fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineDescription {
    /// ONNX Runtime's file, whose name ends in its version, and its build.
    pub onnxruntime: String,
    /// Where the graphs run.
    pub device: String,
    /// ONNX Runtime splits sums among its threads.
    pub threads: usize,
}

impl Engine {
    /// Opens the library in `folder` ([`Runtime::load`]) and takes the device for `choice`.
    ///
    /// # Errors
    /// When there is no usable library, or CUDA is asked for and does not work.
    pub fn open(folder: &Path, choice: DeviceChoice, threads: usize) -> Result<Self> {
        let runtime = Runtime::load(folder)?;
        let device = runtime.device(choice)?;
        Ok(Self { runtime, device, threads, tf32: false })
    }

    /// Whether CUDA may multiply matrices in TF32, which rounds their numbers to 10 bits.
    pub fn with_tf32(mut self, allowed: bool) -> Self {
        self.tf32 = allowed;
        self
    }

    /// Where the graphs run.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Prepares a model for running, `initializers` being the numbers of the parameters that it
    /// declares as external. Nodes that the device does not run are named on stderr.
    ///
    /// # Errors
    /// When ONNX Runtime refuses the model.
    pub fn session(&self, model: &[u8], initializers: Vec<(String, ArrayD<f32>)>) -> Result<Session> {
        let options = SessionOptions::new(self.device, self.threads).with_tf32(self.tf32);
        let session = self.runtime.session(model, options.with_initializers(initializers))?;
        if let Some(fallback) = session.fallback() {
            eprintln!("  warning: {fallback}");
        }
        Ok(session)
    }

    /// What the results depend on.
    pub fn description(&self) -> EngineDescription {
        EngineDescription {
            onnxruntime: self.runtime.version(),
            device: self.device_description(),
            threads: self.threads,
        }
    }

    fn device_description(&self) -> String {
        let with_tf32 = self.tf32 && self.device == Device::Cuda;
        format!("{}{}", self.device, if with_tf32 { " with TF32" } else { "" })
    }

    /// How many threads compute.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}, {} threads", self.device_description(), self.threads)
    }
}

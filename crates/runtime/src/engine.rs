//! The engine: library, device and number of threads, chosen once per process.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use midashi_config::DeviceChoice;
use midashi_text::shaped;
use ndarray::{ArrayD, ArrayViewD};
use serde::Serialize;

use crate::device::Device;
use crate::device_tensor::DeviceTensor;
use crate::error::Result;
use crate::lanes::Lanes;
use crate::library::Runtime;
use crate::session::{Session, SessionOptions};

/// ONNX Runtime on a device. `Display` shows the device and the number of threads.
pub struct Engine {
    runtime: Runtime,
    device: Device,
    threads: usize,
    tf32: bool,
}

/// What the last digits of an engine's results depend on, for records and fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EngineDescription {
    /// The library's file name, which ends in its version, and its build ([`Runtime::version`]).
    pub onnxruntime: String,
    /// The device, and whether it may use TF32.
    pub device: String,
    /// Number of threads: ONNX Runtime splits sums among them.
    pub threads: usize,
}

impl Engine {
    /// Opens the library in `folder` ([`Runtime::load`]) on the device for `choice` ([`Runtime::device`]).
    ///
    /// # Errors
    /// When there is no usable library, or CUDA is requested and does not work.
    pub fn open(folder: &Path, choice: DeviceChoice, threads: usize) -> Result<Self> {
        let runtime = Runtime::load(folder)?;
        let device = runtime.device(choice)?;
        Ok(Self { runtime, device, threads, tf32: false })
    }

    /// Whether CUDA may multiply matrices in TF32, which rounds their elements to 10 bits of mantissa.
    pub fn with_tf32(mut self, allowed: bool) -> Self {
        self.tf32 = allowed;
        self
    }

    /// The device that runs the models.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Prepares a serialised ONNX model for running. `initializers` are the values of the parameters that it declares
    /// as external. A warning on stderr names the nodes that the device does not run.
    ///
    /// # Errors
    /// When ONNX Runtime rejects the model.
    pub fn session(&self, model: &[u8], initializers: Vec<(String, ArrayD<f32>)>) -> Result<Session> {
        self.session_with(model, self.options().with_initializers(initializers))
    }

    /// As [`session`](Self::session), for a model whose other parameters lie in files of `folder`. On the CPU these files are
    /// mapped: processes share them.
    ///
    /// # Errors
    /// When ONNX Runtime rejects the model, or a file is missing or too short.
    pub fn session_beside(
        &self,
        model: &[u8],
        initializers: Vec<(String, ArrayD<f32>)>,
        folder: &Path,
    ) -> Result<Session> {
        self.session_with(model, self.options().with_initializers(initializers).with_data_folder(folder))
    }

    /// As [`session`](Self::session), for a model that computes many batches: on the CPU each thread computes a batch of its
    /// own, so that a batch's results do not depend on the number of threads. Of more than [`Lanes::MOST`] threads, several
    /// compute a batch, all batches as many ([`Lanes::count_for`]).
    ///
    /// # Errors
    /// When ONNX Runtime rejects the model.
    pub fn lanes(&self, model: &[u8], initializers: Vec<(String, ArrayD<f32>)>) -> Result<Lanes> {
        self.lanes_with(model, self.options().with_initializers(initializers))
    }

    /// As [`lanes`](Self::lanes), for a model whose other parameters lie in files of `folder`.
    ///
    /// # Errors
    /// When ONNX Runtime rejects the model, or a file is missing or too short.
    pub fn lanes_beside(
        &self,
        model: &[u8],
        initializers: Vec<(String, ArrayD<f32>)>,
        folder: &Path,
    ) -> Result<Lanes> {
        self.lanes_with(model, self.options().with_initializers(initializers).with_data_folder(folder))
    }

    fn lanes_with(&self, model: &[u8], options: SessionOptions) -> Result<Lanes> {
        let count = match self.device {
            Device::Cpu => Lanes::count_for(self.threads),
            Device::Cuda => 1,
        };
        let threads = (self.threads / count).max(1);
        let sessions = self.runtime.sessions(model, options.with_threads(threads), count)?;
        if let Some(session) = sessions.first() {
            warn_of_fallback(session);
        }
        Ok(Lanes::new(sessions, self.device))
    }

    fn options(&self) -> SessionOptions {
        SessionOptions::new(self.device, self.threads).with_tf32(self.tf32)
    }

    fn session_with(&self, model: &[u8], options: SessionOptions) -> Result<Session> {
        let session = self.runtime.session(model, options)?;
        warn_of_fallback(&session);
        Ok(session)
    }

    /// Copies an array to the device's memory.
    ///
    /// # Errors
    /// When the device's memory is too small.
    pub fn to_device(&self, array: ArrayViewD<'_, f32>) -> Result<DeviceTensor> {
        DeviceTensor::copy_to(self.device, array)
    }

    /// What the last digits of the results depend on.
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

    /// Number of threads on the CPU.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

fn warn_of_fallback(session: &Session) {
    if let Some(fallback) = session.fallback() {
        // Work goes on even if nobody reads the warning.
        let _ = writeln!(io::stderr(), "  warning: {}", shaped(&fallback.to_string()));
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {}, {} threads", self.device_description(), self.threads)
    }
}

//! Sessions: models ready to run, their inputs and outputs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};
use ort::ep::CUDA;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights, SessionBuilder};
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, TensorRef};

use crate::device::Device;
use crate::device_tensor::DeviceTensor;
use crate::error::{Error, Result, failed};
use crate::library::Runtime;
use crate::placement::{Placement, RECORD_PLACEMENT};

/// The session's setting for the folder of a model's other files, for a model that is in memory
/// (`kOrtSessionOptionsModelExternalInitializersFileFolderPath` of `onnxruntime_session_options_config_keys.h`).
const DATA_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// The session's setting that lets its threads rest between runs instead of waiting for work in a loop: the process's other threads
/// need the cores then (`kOrtSessionOptionsConfigForceSpinningStop`).
const REST_BETWEEN_RUNS: &str = "session.force_spinning_stop";

/// How to run a model.
pub struct SessionOptions {
    device: Device,
    threads: usize,
    tf32: bool,
    initializers: Vec<(String, ArrayD<f32>)>,
    data_folder: Option<PathBuf>,
}

/// A model ready to run.
pub struct Session {
    session: ort::session::Session,
    device: Device,
    placement: Placement,
}

/// An input tensor. It is borrowed: ONNX Runtime reads the caller's memory.
pub enum Tensor<'a> {
    /// float32, on the host
    Float32(ArrayViewD<'a, f32>),
    /// int64, on the host
    Int64(ArrayViewD<'a, i64>),
    /// float32, on the device
    Device(&'a DeviceTensor),
}

/// The outputs of a run by name, in memory that ONNX Runtime owns.
pub struct Outputs(HashMap<String, DynValue>);

impl SessionOptions {
    /// Runs on `device`; on the CPU with `threads` threads.
    pub fn new(device: Device, threads: usize) -> Self {
        Self { device, threads, tf32: false, initializers: Vec::new(), data_folder: None }
    }

    /// Whether CUDA may multiply matrices in TF32, which rounds their elements to 10 bits of mantissa.
    pub fn with_tf32(mut self, allowed: bool) -> Self {
        self.tf32 = allowed;
        self
    }

    /// On the CPU, runs with `threads` threads.
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The values of the parameters that the model declares as external, by name.
    pub fn with_initializers(mut self, initializers: Vec<(String, ArrayD<f32>)>) -> Self {
        self.initializers = initializers;
        self
    }

    /// The folder of the files that the model names.
    pub fn with_data_folder(mut self, folder: &Path) -> Self {
        self.data_folder = Some(folder.to_owned());
        self
    }

    /// The parameters as tensors of ONNX Runtime.
    fn take_parameters(&mut self) -> Result<Vec<(String, Arc<DynValue>)>> {
        let tensor = |(name, array): (String, ArrayD<f32>)| {
            let tensor =
                ort::value::Tensor::from_array(array).map_err(failed(format!("take the tensor {name}")));
            Ok((name, Arc::new(tensor?.into_dyn())))
        };
        std::mem::take(&mut self.initializers).into_iter().map(tensor).collect()
    }

    fn builder(&self, runtime: &Runtime) -> ort::Result<SessionBuilder> {
        let builder = ort::session::Session::builder(&runtime.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(self.threads)?
            .with_deterministic_compute(true)?;
        let builder = builder.with_config_entry(RECORD_PLACEMENT, "1")?;
        let builder = builder.with_config_entry(REST_BETWEEN_RUNS, "1")?;
        match self.data_folder.as_ref().and_then(|folder| folder.to_str()) {
            Some(folder) => Ok(builder.with_config_entry(DATA_FOLDER, folder)?),
            None => Ok(builder),
        }
    }
}

impl Runtime {
    /// Prepares a serialised ONNX model for running: optimises its graph and packs its weights.
    ///
    /// # Errors
    /// When ONNX Runtime rejects the model or the options.
    pub fn session(&self, model: &[u8], mut options: SessionOptions) -> Result<Session> {
        let parameters = options.take_parameters()?;
        self.prepare(model, &options, &parameters, None)
    }

    /// As [`session`](Self::session), `count` sessions that can run at the same time. They share the parameters of
    /// [`SessionOptions::with_initializers`], and what ONNX Runtime packs them into.
    ///
    /// # Errors
    /// As [`session`](Self::session).
    pub fn sessions(&self, model: &[u8], mut options: SessionOptions, count: usize) -> Result<Vec<Session>> {
        let parameters = options.take_parameters()?;
        // On CUDA, where there is one session, a tensor that is handed over so would have to lie on the device.
        let packed = (count > 1).then(PrepackedWeights::new);
        (0..count).map(|_| self.prepare(model, &options, &parameters, packed.as_ref())).collect()
    }

    fn prepare(
        &self,
        model: &[u8],
        options: &SessionOptions,
        parameters: &[(String, Arc<DynValue>)],
        packed: Option<&PrepackedWeights>,
    ) -> Result<Session> {
        let mut builder = options.builder(self).map_err(failed("make a session"))?;
        for (name, value) in parameters {
            let taking = || failed(format!("take the tensor {name}"));
            builder = builder.with_external_initializer(name, Arc::clone(value)).map_err(taking())?;
            // ONNX Runtime's optimisers read the former; of the latter it shares the packed form.
            if packed.is_some() {
                builder = builder.with_initializer(name, Arc::clone(value)).map_err(taking())?;
            }
        }
        if let Some(packed) = packed {
            builder = builder.with_prepacked_weights(packed).map_err(failed("share packed weights"))?;
        }
        if options.device == Device::Cuda {
            let cuda = CUDA::default().with_tf32(options.tf32).build().error_on_failure();
            builder = builder.with_execution_providers([cuda]).map_err(failed("use CUDA"))?;
        }
        let session = builder.commit_from_memory(model).map_err(failed("load the model"))?;
        let placement = Placement::of(&session).map_err(failed("report where nodes run"))?;
        Ok(Session { session, device: options.device, placement })
    }
}

impl Session {
    /// Runs the model on `inputs`, by name, and copies all outputs to the host.
    ///
    /// # Errors
    /// When an input is missing or does not fit the model.
    pub fn run(&mut self, inputs: Vec<(&str, Tensor<'_>)>) -> Result<Outputs> {
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for (name, tensor) in inputs {
            let value = tensor.into_value().map_err(failed(format!("take the input {name}")))?;
            values.push((name, value));
        }
        self.session.run(values).map(Outputs::new).map_err(failed("run the model"))
    }

    /// As [`run`](Self::run), but leaves the outputs for which `on_device` returns true in the device's memory. Take
    /// them with [`Outputs::take`].
    ///
    /// # Errors
    /// When an input is missing or does not fit the model.
    pub fn run_with_device_outputs(
        &mut self,
        inputs: Vec<(&str, Tensor<'_>)>,
        on_device: impl Fn(&str) -> bool,
    ) -> Result<Outputs> {
        let running = || failed("run the model");
        // A binding owns its tensors until it is dropped: with one binding a run, unused tensors are freed.
        let mut binding = self.session.create_binding().map_err(running())?;
        for (name, tensor) in inputs {
            let bound = match tensor {
                Tensor::Device(tensor) => binding.bind_input(name, tensor.value()),
                // `ort` copies borrowed host arrays with a session of its own, which deadlocks here
                // (2.0.0-rc.15), so the arrays are copied first.
                Tensor::Float32(array) => ort::value::Tensor::from_array(array.to_owned())
                    .and_then(|value| binding.bind_input(name, &value)),
                Tensor::Int64(array) => ort::value::Tensor::from_array(array.to_owned())
                    .and_then(|value| binding.bind_input(name, &value)),
            };
            bound.map_err(failed(format!("take the input {name}")))?;
        }
        let device = self.device.memory().map_err(running())?;
        let host = Device::Cpu.memory().map_err(running())?;
        for output in self.session.outputs() {
            let memory = if on_device(output.name()) { &device } else { &host };
            binding.bind_output_to_device(output.name(), memory).map_err(running())?;
        }
        binding.synchronize_inputs().map_err(running())?;
        self.session.run_binding(&binding).map(Outputs::new).map_err(running())
    }

    /// The execution provider of each node.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// A line that names the nodes that do not run on the chosen device; none if all of them do.
    pub fn fallback(&self) -> Option<String> {
        self.placement.fallback(self.device.provider())
    }
}

impl<'a> Tensor<'a> {
    /// The same tensor, borrowed for a shorter time.
    pub fn view(&self) -> Tensor<'_> {
        match self {
            Self::Float32(array) => array.view().into(),
            Self::Int64(array) => array.view().into(),
            Self::Device(tensor) => Tensor::Device(tensor),
        }
    }

    fn into_value(self) -> ort::Result<SessionInputValue<'a>> {
        Ok(match self {
            Self::Float32(array) => TensorRef::from_array_view(array)?.into(),
            Self::Int64(array) => TensorRef::from_array_view(array)?.into(),
            Self::Device(tensor) => tensor.value().into(),
        })
    }
}

impl<'a> From<ArrayViewD<'a, f32>> for Tensor<'a> {
    fn from(array: ArrayViewD<'a, f32>) -> Self {
        Self::Float32(array)
    }
}

impl<'a> From<ArrayViewD<'a, i64>> for Tensor<'a> {
    fn from(array: ArrayViewD<'a, i64>) -> Self {
        Self::Int64(array)
    }
}

impl<'a> From<&'a DeviceTensor> for Tensor<'a> {
    fn from(tensor: &'a DeviceTensor) -> Self {
        Self::Device(tensor)
    }
}

impl Outputs {
    fn new(outputs: SessionOutputs<'_>) -> Self {
        Self(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The float32 output `name` on the host.
    ///
    /// # Errors
    /// When there is no such output, it is not float32, or it is on the device.
    pub fn float32(&self, name: &str) -> Result<ArrayViewD<'_, f32>> {
        let value = self.0.get(name).ok_or_else(|| no_output(name))?;
        value.try_extract_array().map_err(failed(format!("give the output {name}")))
    }

    /// As [`float32`](Self::float32), for an output whose first axis is that of the batch's rows. A number that is not finite
    /// is an error: NaN would pass every later comparison as "not larger".
    ///
    /// # Errors
    /// As [`float32`](Self::float32), and [`Error::NotFinite`].
    pub fn finite(&self, name: &str) -> Result<ArrayViewD<'_, f32>> {
        let output = self.float32(name)?;
        for (row, numbers) in output.outer_iter().enumerate() {
            if let Some(value) = not_finite(&numbers) {
                return Err(Error::NotFinite { output: name.to_owned(), row, value });
            }
        }
        Ok(output)
    }

    /// Removes the float32 output `name` and returns it, without a copy.
    ///
    /// # Errors
    /// When there is no such output or it is not float32.
    pub fn take(&mut self, name: &str) -> Result<DeviceTensor> {
        let value = self.0.remove(name).ok_or_else(|| no_output(name))?;
        value.downcast().map(DeviceTensor::new).map_err(failed(format!("give the output {name}")))
    }
}

/// A number of `numbers` that is NaN or infinite.
fn not_finite(numbers: &ArrayViewD<'_, f32>) -> Option<f32> {
    let Some(numbers) = numbers.as_slice() else {
        return numbers.iter().copied().find(|number| !number.is_finite());
    };
    // Without an exit inside a chunk the comparison is compiled to vector instructions.
    let chunks = numbers.chunks(1 << 12);
    let is_damaged = |chunk: &&[f32]| chunk.iter().fold(false, |found, number| found | !number.is_finite());
    chunks.filter(is_damaged).flatten().copied().find(|number| !number.is_finite())
}

fn no_output(name: &str) -> Error {
    failed(format!("give the output {name}"))("the model has no output of this name, or it was taken already")
}

//! A model ready to run, and the tensors that go in and out.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::{DynValue, TensorRef};

use crate::device::register;
use crate::placement::{Placement, RECORD_PLACEMENT};
use crate::{Device, Error, Resident, Result, Runtime, failed};

/// How a model is to run.
pub struct SessionOptions {
    device: Device,
    threads: usize,
    tf32: bool,
    initializers: Vec<(String, ArrayD<f32>)>,
}

/// A model ready to run.
pub struct Session {
    session: ort::session::Session,
    device: Device,
    placement: Placement,
}

/// A tensor to feed, borrowed: ONNX Runtime reads it where it lies.
pub enum Tensor<'a> {
    /// float32
    Float32(ArrayViewD<'a, f32>),
    /// int64
    Int64(ArrayViewD<'a, i64>),
    /// float32, in the device's memory
    Resident(&'a Resident),
}

/// What a run gave; the numbers lie in ONNX Runtime's memory until this is dropped.
pub struct Outputs(HashMap<String, DynValue>);

impl SessionOptions {
    /// Runs on `device`; on the CPU with `threads` threads.
    pub fn new(device: Device, threads: usize) -> Self {
        Self { device, threads, tf32: false, initializers: Vec::new() }
    }

    /// Whether CUDA may multiply matrices in TF32, which rounds their numbers to 10 bits.
    pub fn with_tf32(mut self, allowed: bool) -> Self {
        self.tf32 = allowed;
        self
    }

    /// Hands over the numbers of parameters that the model declares as external.
    pub fn with_initializers(mut self, initializers: Vec<(String, ArrayD<f32>)>) -> Self {
        self.initializers = initializers;
        self
    }
}

impl Runtime {
    /// Prepares the model for running: optimises its graph and packs its weights.
    ///
    /// # Errors
    /// When ONNX Runtime refuses the model.
    pub fn session(&self, model: &[u8], options: SessionOptions) -> Result<Session> {
        let builder = ort::session::Session::builder(&self.environment).map_err(failed("make a session"))?;
        let builder = builder
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(failed("optimise graphs"))?;
        let builder = builder.with_intra_threads(options.threads).map_err(failed("use this many threads"))?;
        let builder =
            builder.with_deterministic_compute(true).map_err(failed("compute deterministically"))?;
        let mut builder =
            builder.with_config_entry(RECORD_PLACEMENT, "1").map_err(failed("record where nodes run"))?;
        for (name, array) in options.initializers {
            let tensor =
                ort::value::Tensor::from_array(array).map_err(failed(format!("take the tensor {name}")))?;
            builder = builder
                .with_external_initializer(&name, Arc::new(tensor.into_dyn()))
                .map_err(failed(format!("take the tensor {name}")))?;
        }
        let mut builder = register(builder, options.device, options.tf32)?;
        let session = builder.commit_from_memory(model).map_err(failed("load the model"))?;
        let placement = Placement::of(&session).map_err(failed("tell where nodes run"))?;
        Ok(Session { session, device: options.device, placement })
    }
}

impl Session {
    /// Feeds `inputs` by name and computes all outputs.
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

    /// As [`run`](Self::run), but the outputs that `stays` names are left in the device's memory, to be
    /// taken ([`Outputs::take`]) and fed to a later run; the others come to the host.
    ///
    /// # Errors
    /// When an input is missing or does not fit the model.
    pub fn run_keeping(
        &mut self,
        inputs: Vec<(&str, Tensor<'_>)>,
        stays: impl Fn(&str) -> bool,
    ) -> Result<Outputs> {
        let running = || failed("run the model");
        // A binding holds what was bound until it is dropped: each run has its own, so that what is no
        // longer used is freed.
        let mut binding = self.session.create_binding().map_err(running())?;
        for (name, tensor) in inputs {
            let bound = match tensor {
                Tensor::Resident(resident) => binding.bind_input(name, resident.value()),
                // `ort` binds borrowed arrays of the host by copying them with a session of its own,
                // which waits for itself (2.0.0-rc.15): a copy made here is owned.
                Tensor::Float32(array) => ort::value::Tensor::from_array(array.to_owned())
                    .and_then(|value| binding.bind_input(name, &value)),
                Tensor::Int64(array) => ort::value::Tensor::from_array(array.to_owned())
                    .and_then(|value| binding.bind_input(name, &value)),
            };
            bound.map_err(failed(format!("take the input {name}")))?;
        }
        let (device, host) =
            (self.device.memory().map_err(running())?, Device::Cpu.memory().map_err(running())?);
        for output in self.session.outputs() {
            let memory = if stays(output.name()) { &device } else { &host };
            binding.bind_output_to_device(output.name(), memory).map_err(running())?;
        }
        binding.synchronize_inputs().map_err(running())?;
        self.session.run_binding(&binding).map(Outputs::new).map_err(running())
    }

    /// Which execution provider each node was given to.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// For people, where nodes do not run on the device that was asked for: which.
    pub fn fallback(&self) -> Option<String> {
        self.placement.elsewhere(self.device.provider())
    }
}

impl<'a> Tensor<'a> {
    /// The same tensor, borrowed for a shorter time.
    pub fn view(&self) -> Tensor<'_> {
        match self {
            Self::Float32(array) => array.view().into(),
            Self::Int64(array) => array.view().into(),
            Self::Resident(resident) => Tensor::Resident(resident),
        }
    }

    fn into_value(self) -> ort::Result<SessionInputValue<'a>> {
        Ok(match self {
            Self::Float32(array) => TensorRef::from_array_view(array)?.into(),
            Self::Int64(array) => TensorRef::from_array_view(array)?.into(),
            Self::Resident(resident) => resident.value().into(),
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

impl<'a> From<&'a Resident> for Tensor<'a> {
    fn from(tensor: &'a Resident) -> Self {
        Self::Resident(tensor)
    }
}

impl Outputs {
    fn new(outputs: SessionOutputs<'_>) -> Self {
        Self(outputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The float32 output `name`, which came to the host.
    ///
    /// # Errors
    /// When the model has no such output, it holds another type or it stayed on the device.
    pub fn float32(&self, name: &str) -> Result<ArrayViewD<'_, f32>> {
        let value = self.0.get(name).ok_or_else(|| no_output(name))?;
        value.try_extract_array().map_err(failed(format!("give the output {name}")))
    }

    /// The float32 output `name`, where it is; it is no longer among the outputs then.
    ///
    /// # Errors
    /// When the model has no such output or it holds another type.
    pub fn take(&mut self, name: &str) -> Result<Resident> {
        let value = self.0.remove(name).ok_or_else(|| no_output(name))?;
        value.downcast().map(Resident::new).map_err(failed(format!("give the output {name}")))
    }
}

fn no_output(name: &str) -> Error {
    Error::Failed {
        doing: format!("give the output {name}"),
        message: "the model has none of this name, or it was taken".to_owned(),
    }
}

//! A model ready to run, and the tensors that go in and out.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{SessionInputValue, SessionOutputs};
use ort::value::TensorRef;

use crate::device::register;
use crate::{Device, Error, Result, Runtime, failed};

/// How a model is to run.
pub struct SessionOptions {
    device: Device,
    threads: usize,
    initializers: Vec<(String, ArrayD<f32>)>,
}

/// A model ready to run.
pub struct Session(ort::session::Session);

/// A tensor to feed, borrowed: ONNX Runtime reads it where it lies.
pub enum Tensor<'a> {
    /// float32
    Float32(ArrayViewD<'a, f32>),
    /// int64
    Int64(ArrayViewD<'a, i64>),
}

/// What a run gave; the numbers lie in ONNX Runtime's memory until this is dropped.
pub struct Outputs<'a>(SessionOutputs<'a>);

impl SessionOptions {
    /// Runs on `device`; on the CPU with `threads` threads.
    pub fn new(device: Device, threads: usize) -> Self {
        Self { device, threads, initializers: Vec::new() }
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
        let mut builder =
            builder.with_deterministic_compute(true).map_err(failed("compute deterministically"))?;
        for (name, array) in options.initializers {
            let tensor =
                ort::value::Tensor::from_array(array).map_err(failed(format!("take the tensor {name}")))?;
            builder = builder
                .with_external_initializer(&name, Arc::new(tensor.into_dyn()))
                .map_err(failed(format!("take the tensor {name}")))?;
        }
        let mut builder = register(builder, options.device)?;
        builder.commit_from_memory(model).map(Session).map_err(failed("load the model"))
    }
}

impl Session {
    /// Feeds `inputs` by name and computes all outputs.
    ///
    /// # Errors
    /// When an input is missing or does not fit the model.
    pub fn run(&mut self, inputs: Vec<(&str, Tensor<'_>)>) -> Result<Outputs<'_>> {
        let mut values: Vec<(&str, SessionInputValue<'_>)> = Vec::with_capacity(inputs.len());
        for (name, tensor) in inputs {
            let value = tensor.into_value().map_err(failed(format!("take the input {name}")))?;
            values.push((name, value));
        }
        self.0.run(values).map(Outputs).map_err(failed("run the model"))
    }
}

impl<'a> Tensor<'a> {
    fn into_value(self) -> ort::Result<SessionInputValue<'a>> {
        Ok(match self {
            Self::Float32(array) => TensorRef::from_array_view(array)?.into(),
            Self::Int64(array) => TensorRef::from_array_view(array)?.into(),
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

impl Outputs<'_> {
    /// The float32 output `name`.
    ///
    /// # Errors
    /// When the model has no such output or it holds another type.
    pub fn float32(&self, name: &str) -> Result<ArrayViewD<'_, f32>> {
        let value = self.0.get(name).ok_or_else(|| Error::Failed {
            doing: format!("give the output {name}"),
            message: "the model has none of this name".to_owned(),
        })?;
        value.try_extract_array().map_err(failed(format!("give the output {name}")))
    }
}

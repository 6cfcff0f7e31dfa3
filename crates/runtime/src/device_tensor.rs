//! Tensors that stay in the device's memory between runs.

use ndarray::{ArrayD, ArrayViewD};
use ort::memory::AllocationDevice;
use ort::value::Tensor;

use crate::{Device, Engine, Result, failed};

/// A float32 tensor in the memory of the device that computes, be it the CPU: what one run gives, the
/// next is fed without a copy. The memory is freed when this is dropped.
pub struct Resident(Tensor<f32>);

impl Engine {
    /// Copies an array into the device's memory.
    ///
    /// # Errors
    /// When the device's memory does not hold it.
    pub fn resident(&self, array: ArrayViewD<'_, f32>) -> Result<Resident> {
        let on_host = Tensor::from_array(array.to_owned());
        on_host
            .and_then(|tensor| tensor.to(self.device().allocation(), Device::ORDINAL))
            .map(Resident)
            .map_err(failed(format!("copy a tensor of shape {:?} to the device", array.shape())))
    }
}

impl Resident {
    pub(crate) fn new(tensor: Tensor<f32>) -> Self {
        Self(tensor)
    }

    pub(crate) fn value(&self) -> &Tensor<f32> {
        &self.0
    }

    /// Its shape.
    pub fn shape(&self) -> Vec<usize> {
        self.0.shape().iter().map(|&size| size as usize).collect()
    }

    /// A copy on the host.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_host(&self) -> Result<ArrayD<f32>> {
        let copied = self.0.to(AllocationDevice::CPU, 0);
        copied
            .and_then(|tensor| Ok(tensor.try_extract_array()?.to_owned()))
            .map_err(failed("copy a tensor from the device"))
    }
}

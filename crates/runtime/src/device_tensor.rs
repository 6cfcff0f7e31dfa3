//! Tensors that stay in the device's memory between runs.

use ndarray::{ArrayD, ArrayViewD};
use ort::memory::AllocationDevice;
use ort::value::Tensor;

use crate::device::Device;
use crate::error::{Result, failed};

/// A float32 tensor in the memory of the device that runs the models (which may be the CPU). A run's output can be the
/// next run's input without a copy. The memory is freed on drop.
pub struct DeviceTensor(Tensor<f32>);

impl DeviceTensor {
    pub(crate) fn new(tensor: Tensor<f32>) -> Self {
        Self(tensor)
    }

    pub(crate) fn copy_to(device: Device, array: ArrayViewD<'_, f32>) -> Result<Self> {
        Tensor::from_array(array.to_owned())
            .and_then(|tensor| tensor.to(device.allocation(), Device::ORDINAL))
            .map(Self)
            .map_err(failed(format!("copy a tensor of shape {:?} to the device", array.shape())))
    }

    pub(crate) fn value(&self) -> &Tensor<f32> {
        &self.0
    }

    /// The tensor's shape.
    pub fn shape(&self) -> Vec<usize> {
        self.0.shape().iter().map(|&size| size as usize).collect()
    }

    /// Copies the tensor to the host.
    ///
    /// # Errors
    /// When the device fails.
    pub fn to_host(&self) -> Result<ArrayD<f32>> {
        self.0
            .to(AllocationDevice::CPU, 0)
            .and_then(|tensor| Ok(tensor.try_extract_array()?.to_owned()))
            .map_err(failed("copy a tensor from the device"))
    }
}

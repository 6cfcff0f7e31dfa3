//! Where the tensors of a file are, whatever its format.

use std::collections::HashMap;
use std::ops::Range;

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn, ShapeBuilder, StrideShape};
use safetensors::tensor::Dtype;

/// The tensors of a file, by their names in it.
pub type Directory = HashMap<String, Stored>;

/// Where a tensor lies in its file.
#[derive(Debug)]
pub struct Stored {
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Elements from one index to the next in each dimension; none for row-major.
    pub strides: Option<Vec<usize>>,
    /// From its first number to its last, within the file.
    pub bytes: Range<usize>,
}

impl Stored {
    /// The tensor as float32 in row-major order, from its `bytes`.
    ///
    /// # Errors
    /// What is wrong with the tensor.
    pub fn read(&self, bytes: &[u8]) -> Result<ArrayD<f32>, String> {
        let numbers = numbers(self.dtype, bytes)?;
        let shape = IxDyn(&self.shape);
        let layout: StrideShape<IxDyn> = match &self.strides {
            Some(strides) => shape.strides(IxDyn(strides)),
            None => shape.into(),
        };
        let array = ArrayD::from_shape_vec(layout, numbers).map_err(|error| {
            let strides = self.strides.as_deref().unwrap_or_default();
            format!("has shape {:?} and strides {strides:?}, which do not fit: {error}", self.shape)
        })?;
        Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() })
    }
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, String> {
    match dtype {
        Dtype::F32 => Ok(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
        Dtype::F16 => Ok(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()).collect()),
        Dtype::BF16 => Ok(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()).collect()),
        other => Err(format!("holds {other:?}; expected F32, F16 or BF16")),
    }
}

//! Where the tensors of a file are, whatever its format.

use std::collections::HashMap;
use std::ops::Range;

use half::{bf16, f16};
use ndarray::{ArrayD, Axis, IxDyn, ShapeBuilder, StrideShape};
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

    /// Its bytes, if they are float32 of this shape in row-major order, at a place where a processor reads float32.
    pub fn as_float32(&self, shape: &[usize]) -> Option<Range<usize>> {
        let is_same = self.dtype == Dtype::F32 && self.shape == shape && self.strides.is_none();
        (is_same && self.bytes.start.is_multiple_of(size_of::<f32>())).then(|| self.bytes.clone())
    }

    /// Some rows of the tensor, in the order of `rows`, as [`read`](Self::read) returns them. Of a tensor in row-major
    /// order no others are converted.
    ///
    /// # Errors
    /// What is wrong with the tensor, or that it has no such row.
    pub fn read_rows(&self, bytes: &[u8], rows: &[usize]) -> Result<ArrayD<f32>, String> {
        let (&count, shape) = self.shape.split_first().ok_or("has no rows")?;
        if let Some(row) = rows.iter().find(|row| **row >= count) {
            return Err(format!("has {count} rows and no row {row}"));
        }
        let row_major: Vec<usize> = (1..=self.shape.len())
            .map(|first| self.shape.get(first..).unwrap_or_default().iter().product())
            .collect();
        if self.strides.as_ref().is_some_and(|strides| *strides != row_major) {
            return Ok(self.read(bytes)?.select(Axis(0), rows));
        }
        let length = bytes.len().checked_div(count).unwrap_or_default();
        if !bytes.len().is_multiple_of(count) {
            return Err(format!("has {} bytes for {count} rows", bytes.len()));
        }
        let mut picked = Vec::with_capacity(rows.len() * shape.iter().product::<usize>());
        for row in rows {
            picked.extend(numbers(
                self.dtype,
                bytes.get(row * length..(row + 1) * length).unwrap_or_default(),
            )?);
        }
        let shape: Vec<usize> = [rows.len()].into_iter().chain(shape.iter().copied()).collect();
        ArrayD::from_shape_vec(IxDyn(&shape), picked)
            .map_err(|error| format!("has shape {:?}, which does not fit its bytes: {error}", self.shape))
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

//! One file of tensors: its directory in memory, its numbers on disk until they are asked for.

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use memmap2::{Mmap, MmapOptions};
use ndarray::{ArrayD, IxDyn, ShapeBuilder, StrideShape};
use safetensors::tensor::Dtype;

use super::{pytorch, safetensors as container};
use crate::{Error, Result};

/// What a file holds, by the names it uses.
pub type Directory = HashMap<String, Stored>;

/// Where a tensor lies in its file.
#[derive(Debug)]
pub struct Stored {
    /// What its numbers are.
    pub dtype: Dtype,
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Elements from one index to the next in each dimension; row-major without.
    pub strides: Option<Vec<usize>>,
    /// From its first number to its last, within the file.
    pub bytes: Range<usize>,
}

/// An open file of tensors.
pub struct TensorFile {
    path: PathBuf,
    container: &'static str,
    file: File,
    tensors: Directory,
}

impl TensorFile {
    /// Reads the directory of `path`, a PyTorch file if it is called `*.bin`, else safetensors.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or is something else.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let bytes = map(&file, 0..length as usize).map_err(Error::io("map", path))?;
        let is_pickle = path.extension().is_some_and(|extension| extension == "bin");
        let directory = if is_pickle { pytorch::directory(&bytes) } else { container::directory(&bytes) };
        let tensors = directory.map_err(|message| Error::Weights { path: path.to_owned(), message })?;
        let container = match (is_pickle, bytes.starts_with(pytorch::ZIP)) {
            (false, _) => "safetensors",
            (true, true) => "PyTorch zip archive",
            (true, false) => "PyTorch legacy stream",
        };
        Ok(Self { path: path.to_owned(), container, file, tensors })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What kind of file it is.
    pub fn container(&self) -> &'static str {
        self.container
    }

    /// What the file holds.
    pub fn tensors(&self) -> &Directory {
        &self.tensors
    }

    /// Reads the tensor called `name` as float32 in row-major order; `None` if there is none.
    pub fn read(&self, name: &str, shape: &[usize]) -> Option<Result<ArrayD<f32>>> {
        self.tensors.get(name).map(|stored| {
            if stored.shape != shape {
                return Err(Error::TensorShape {
                    path: self.path.clone(),
                    name: name.to_owned(),
                    found: stored.shape.clone(),
                    expected: shape.to_vec(),
                });
            }
            let broken = |message| Error::Weights {
                path: self.path.clone(),
                message: format!("tensor {name} {message}"),
            };
            // Mapped alone, so that the pages of one tensor are gone when the next one comes.
            let bytes = map(&self.file, stored.bytes.clone()).map_err(Error::io("map", &self.path))?;
            stored.read(&bytes).map_err(broken)
        })
    }
}

impl Stored {
    /// The tensor as float32 in row-major order, from its `bytes`.
    ///
    /// # Errors
    /// What is wrong with it.
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

fn map(file: &File, bytes: Range<usize>) -> std::io::Result<Mmap> {
    // SAFETY: checkpoints are read-only; a file that shrinks while it is read is a broken machine,
    // not an input to defend against.
    unsafe { MmapOptions::new().offset(bytes.start as u64).len(bytes.len()).map(file) }
}

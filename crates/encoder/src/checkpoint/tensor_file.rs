//! One file of tensors: its directory is in memory, its tensors are read when they are needed.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions};
use ndarray::ArrayD;

use super::directory::{Directory, Stored};
use super::{pytorch, safetensors};
use crate::error::{Error, Result};

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
        let directory = if is_pickle { pytorch::directory(&bytes) } else { safetensors::directory(&bytes) };
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

    /// The file's format.
    pub fn container(&self) -> &'static str {
        self.container
    }

    /// The tensors that the file holds.
    pub fn tensors(&self) -> &Directory {
        &self.tensors
    }

    /// Reads the tensor called `name` as float32 in row-major order; `None` if there is none.
    pub fn read(&self, name: &str, shape: &[usize]) -> Option<Result<ArrayD<f32>>> {
        self.read_with(name, shape, Stored::read)
    }

    /// Reads rows of the tensor called `name`, whose whole shape is `shape`, in the order of `rows`.
    pub fn read_rows(&self, name: &str, shape: &[usize], rows: &[usize]) -> Option<Result<ArrayD<f32>>> {
        self.read_with(name, shape, |stored, bytes| stored.read_rows(bytes, rows))
    }

    fn read_with(
        &self,
        name: &str,
        shape: &[usize],
        read: impl FnOnce(&Stored, &[u8]) -> Result<ArrayD<f32>, String>,
    ) -> Option<Result<ArrayD<f32>>> {
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
            // Each tensor has its own map, so that its pages are freed before the next one is read.
            let bytes = map(&self.file, stored.bytes.clone()).map_err(Error::io("map", &self.path))?;
            read(stored, &bytes).map_err(broken)
        })
    }
}

#[expect(unsafe_code, reason = "a memory map; the file is only read")]
fn map(file: &File, bytes: Range<usize>) -> std::io::Result<Mmap> {
    // SAFETY: checkpoints are read-only; a file that shrinks while it is read is a broken machine,
    // not an input to defend against.
    unsafe { MmapOptions::new().offset(bytes.start as u64).len(bytes.len()).map(file) }
}

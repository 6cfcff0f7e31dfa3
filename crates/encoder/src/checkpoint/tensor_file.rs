//! One file of tensors: its directory is in memory, its tensors are read when they are needed.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::{Mmap, MmapOptions};
use ndarray::ArrayD;

use super::directory::{Directory, Stored};
use super::finite::first_not_finite;
use super::{pytorch, safetensors};
use crate::error::{Error, Result};

/// What a Git LFS pointer begins with (<https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>).
const LFS: &[u8] = b"version https://git-lfs";

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
        // Opening a FIFO would wait for a writer.
        if !std::fs::metadata(path).map_err(Error::io("read", path))?.is_file() {
            return Err(Error::io("read", path)(std::io::Error::other("it is not a regular file")));
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let bytes = map(&file, 0..length as usize).map_err(Error::io("map", path))?;
        if bytes.starts_with(LFS) {
            let message = "is a Git LFS pointer, which stands for the file in a repository; run `git lfs pull` where it was \
                           cloned, or fetch the checkpoint again"
                .to_owned();
            return Err(Error::Weights { path: path.to_owned(), message });
        }
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

    /// Reads the tensor called `name` as float32 in row-major order; `None` if there is none. A number that is not finite is an
    /// error.
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
            let array = read(stored, &bytes).map_err(broken)?;
            // Arrays are in row-major order here, so all have a slice.
            let numbers = array.as_slice().unwrap_or_default();
            match first_not_finite(numbers).and_then(|at| Some((at, numbers.get(at)?))) {
                Some((at, number)) => Err(broken(format!(
                    "has {number} as its number {at} (shape {:?}); expected finite numbers: the training that wrote it has \
                     diverged, or the file is damaged; take another checkpoint",
                    array.shape()
                ))),
                None => Ok(array),
            }
        })
    }
}

#[expect(unsafe_code, reason = "a memory map; the file is only read")]
fn map(file: &File, bytes: Range<usize>) -> std::io::Result<Mmap> {
    // SAFETY: checkpoints are read-only; a file that shrinks while it is read is a broken machine,
    // not an input to defend against.
    unsafe { MmapOptions::new().offset(bytes.start as u64).len(bytes.len()).map(file) }
}

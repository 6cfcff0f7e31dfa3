//! The safetensors format: one file, or shards with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use safetensors::tensor::SafeTensors;
use serde::Deserialize;

use super::directory::{Directory, Stored};
use crate::error::{Error, Result};
use crate::files;

/// Bytes of the largest index that is read. A tensor takes some hundred, and the largest models have some ten thousand.
const LARGEST_INDEX: u64 = 64 << 20;

/// Bytes of the header's length, which precedes the header.
const LENGTH: usize = size_of::<u64>();

/// The tensors of a safetensors file.
///
/// # Errors
/// What is wrong with the file.
pub fn directory(bytes: &[u8]) -> Result<Directory, String> {
    let (header, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| format!("not a safetensors file: {error}"))?;
    let data = LENGTH + header;
    let stored = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (start, end) = info.data_offsets;
        let shape = info.shape.clone();
        (name, Stored { dtype: info.dtype, shape, strides: None, bytes: data + start..data + end })
    };
    Ok(metadata.tensors().into_iter().map(stored).collect())
}

/// The files that an index names. Tensors are looked up in all of them, not where the index puts them.
///
/// # Errors
/// When the index is broken, or one of the files is missing.
pub fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let wrong = |message: String| Error::Weights { path: index.to_owned(), message };
    let text = files::read(index, LARGEST_INDEX)?;
    let shard = |name: String| match index.with_file_name(&name) {
        path if path.is_file() => Ok(path),
        _ => Err(wrong(format!("{name} is missing, but weight_map names it; fetch the checkpoint again"))),
    };
    shard_names(&text).map_err(wrong)?.into_iter().map(shard).collect()
}

/// The names of an index's files, sorted, each once: plain names, beside the index.
///
/// # Errors
/// What is wrong with the index.
pub fn shard_names(index: &[u8]) -> Result<BTreeSet<String>, String> {
    /// The part of `model.safetensors.index.json` that is used.
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index: Index = serde_json::from_slice(index)
        .map_err(|error| format!("{error}; expected an object with a weight_map"))?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    match names.iter().find(|name| Path::new(name).file_name() != Some(OsStr::new(name))) {
        Some(name) => Err(format!("weight_map names {name:?}; expected plain file names")),
        None => Ok(names),
    }
}

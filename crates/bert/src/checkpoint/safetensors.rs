//! Safetensors: one file, or shards with an index.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::SafeTensors;
use serde::Deserialize;

use super::tensor_file::{Directory, Stored};
use crate::{Error, Result};

/// Bytes of the header's length, which stands before the header.
const LENGTH: usize = size_of::<u64>();

/// The tensors of a safetensors file.
///
/// # Errors
/// What is wrong with it.
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

/// The files that an index spreads the tensors over; a tensor is looked for in all of them.
///
/// # Errors
/// When the index is broken, or one of the files is missing.
pub fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    /// `model.safetensors.index.json`, as far as it matters.
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let wrong = |message: String| Error::Weights { path: index.to_owned(), message };
    let text = fs::read(index).map_err(Error::io("read", index))?;
    let parsed: Index = serde_json::from_slice(&text)
        .map_err(|error| wrong(format!("{error}; expected an object with a weight_map")))?;
    let mut names: Vec<String> = parsed.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    let shard = |name: String| {
        let path = index.with_file_name(&name);
        if path.file_name() != Some(name.as_ref()) || path.parent() != index.parent() {
            return Err(wrong(format!("weight_map names {name:?}; expected plain file names")));
        }
        if !path.is_file() {
            return Err(wrong(format!(
                "{name} is missing, which weight_map names; fetch the checkpoint again"
            )));
        }
        Ok(path)
    };
    names.into_iter().map(shard).collect()
}

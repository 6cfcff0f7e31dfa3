//! Sessions whose weights are mapped from a model folder's file, so that processes with the same model share them. Weights
//! that have to be converted are not.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use midashi_encoder::{FileRange, Graph, MatmulPrecision, Storage};
use midashi_runtime::int8_weight_bits;
use midashi_stage::Error as FileError;
use ndarray::ArrayD;

use crate::{Error, ModelFolder, Result};

/// `graph`, built in `precision`, with all its parameters from the folder `model`; those of int8 matrix products are quantised.
/// `open` is [`Engine::session_beside`](midashi_runtime::Engine::session_beside) or
/// [`Engine::lanes_beside`](midashi_runtime::Engine::lanes_beside).
pub(crate) fn opened<T>(
    open: impl FnOnce(&[u8], Vec<(String, ArrayD<f32>)>, &Path) -> midashi_runtime::Result<T>,
    graph: &Graph,
    name: &str,
    model: &ModelFolder,
    precision: MatmulPrecision<'_>,
) -> Result<T> {
    let file = model.weights_file();
    let before = file.as_deref().map(version).transpose()?;
    // ONNX Runtime follows no link out of the folder that it is given.
    let (folder, mut mapped) = match file.as_deref().and_then(place) {
        Some((folder, file)) => (folder, in_file(file, model)?),
        None => (model.path(), HashMap::new()),
    };
    let (mut quantized, floats) = {
        // All weights are read and checked; most are freed again.
        let weights = model.weights()?;
        let quantized = weights.quantized(graph, precision, int8_weight_bits())?;
        mapped.retain(|name, _| !quantized.contains_key(name));
        let is_given = |name: &str| !quantized.contains_key(name) && !mapped.contains_key(name);
        let floats = weights.for_graph(graph, is_given)?;
        (quantized, floats)
    };
    let graph = graph.to_model(name, |name| match (quantized.remove(name), mapped.remove(name)) {
        (Some(bytes), _) => Storage::Embedded(bytes.into()),
        (None, Some(range)) => Storage::File(range),
        (None, None) => Storage::External,
    });
    let opened = open(&graph, floats, folder)?;
    // ONNX Runtime opens the file by its name, after it was checked.
    match file {
        Some(path) if Some(version(&path)?) != before => Err(Error::Changed { path }),
        _ => Ok(opened),
    }
}

/// A file's folder and name, as the settings of ONNX Runtime have them: in UTF-8.
fn place(file: &Path) -> Option<(&Path, &str)> {
    let folder = file.parent().filter(|folder| folder.to_str().is_some())?;
    Some((folder, file.file_name()?.to_str()?))
}

/// The weights of `model` that can be mapped from `file`.
fn in_file(file: &str, model: &ModelFolder) -> Result<HashMap<String, FileRange>> {
    let ranges = model.weights_in_place()?.into_iter();
    let range = |(name, bytes): (String, std::ops::Range<usize>)| {
        let (offset, length) = (bytes.start as u64, bytes.len() as u64);
        (name, FileRange { file: file.to_owned(), offset, length })
    };
    Ok(ranges.map(range).collect())
}

/// What tells a file from one that takes its place: its number, size and time.
fn version(file: &Path) -> Result<(u64, u64, SystemTime)> {
    let metadata = fs::metadata(file).map_err(FileError::io("read", file))?;
    let modified = metadata.modified().map_err(FileError::io("read", file))?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0;
    Ok((number, metadata.len(), modified))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_takes_the_place_of_another_is_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other] = ["model.safetensors", "other"].map(|name| folder.path().join(name));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "two").unwrap();
        let (first, time) = (version(&file).unwrap(), fs::metadata(&file).unwrap().modified().unwrap());
        assert_eq!(version(&file).unwrap(), first);
        fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        fs::rename(&other, &file).unwrap();
        assert_ne!(version(&file).unwrap(), first);
    }
}

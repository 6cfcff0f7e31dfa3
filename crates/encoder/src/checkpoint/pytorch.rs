//! `pytorch_model.bin`: a state dict written by `torch.save`, in one of two containers.
//!
//! Since PyTorch 1.6 it is a zip archive with the pickle `data.pkl`, uncompressed storages `data/<key>` and
//! often `byteorder`. Before (and on request still) it is a *legacy* stream of five pickles (magic number,
//! version, system, state dict, keys) and the storages in the keys' order, each after its number of elements.
//! The only description of both is `torch/serialization.py`.
//!
//! The maintained reader in Rust (burn-store, default features off) adds 132 crates and three and a half
//! minutes of build time; this module and `pickle.rs` replace it.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;

use zip::{CompressionMethod, ZipArchive};

use super::directory::{Directory, Stored};
use super::pickle::{Pickle, Storage, Tensor, Value};

type Result<T> = std::result::Result<T, String>;

/// The first bytes of a zip archive.
pub const ZIP: &[u8] = b"PK\x03\x04";
/// The first bytes of a legacy stream: the pickle of 0x1950a86a20f9469cfc6c.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// The legacy stream's only version.
const LEGACY_VERSION: i64 = 1001;

/// The tensors of a PyTorch file.
///
/// # Errors
/// What is wrong with the file.
pub fn directory(bytes: &[u8]) -> Result<Directory> {
    if bytes.starts_with(ZIP) {
        archive(bytes)
    } else if let Some(rest) = bytes.strip_prefix(LEGACY) {
        stream(bytes, rest)
    } else {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(16)]).into_owned();
        Err(format!("begins with {start:?}; expected a PyTorch checkpoint (zip archive or legacy stream)"))
    }
}

fn archive(bytes: &[u8]) -> Result<Directory> {
    let entries = entries(bytes).map_err(|error| format!("not a whole zip archive: {error}"))?;
    let entry = |name: &str| entries.get(name).map(|entry| &bytes[entry.clone()]);
    if let Some(order) = entry("byteorder")
        && order != b"little"
    {
        return Err(format!("byteorder is {:?}; expected \"little\"", String::from_utf8_lossy(order)));
    }
    let mut program =
        entry("data.pkl").ok_or("the zip archive holds no data.pkl; expected one of torch.save")?;
    let state = Pickle::read(&mut program)?;
    place_all(&state, |storage| entries.get(&format!("data/{}", storage.key)))
}

/// The archive's entries, without their common folder, and their ranges of bytes.
fn entries(bytes: &[u8]) -> Result<HashMap<String, Range<usize>>> {
    let text = |error: zip::result::ZipError| error.to_string();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(text)?;
    let mut entries = HashMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(text)?;
        let path = entry.name().map_err(text)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(format!(
                "{path} is compressed or encrypted; expected stored bytes, as torch.save writes"
            ));
        }
        let lies_in = || {
            let start = usize::try_from(entry.data_start()?).ok()?;
            let end = start.checked_add(usize::try_from(entry.size()).ok()?)?;
            (end <= bytes.len()).then_some(start..end)
        };
        let range = lies_in().ok_or_else(|| format!("{path} lies outside of the file"))?;
        let name = path.split_once('/').map_or(&*path, |(_, name)| name);
        entries.insert(name.to_owned(), range);
    }
    Ok(entries)
}

fn stream(bytes: &[u8], mut rest: &[u8]) -> Result<Directory> {
    match Pickle::read(&mut rest)?.root() {
        Value::Integer(LEGACY_VERSION) => {}
        other => return Err(format!("legacy stream of version {other:?}; expected {LEGACY_VERSION}")),
    }
    if Pickle::read(&mut rest)?.get("little_endian") != Some(Value::Bool(true)) {
        return Err("was not written on a little-endian machine".to_owned());
    }
    let state = Pickle::read(&mut rest)?;
    let keys = Pickle::read(&mut rest)?;
    let declared: HashMap<&str, &Storage<'_>> =
        state.storages().map(|storage| (storage.key, storage)).collect();
    let mut places = HashMap::new();
    for key in keys.texts()? {
        let storage = declared.get(key).ok_or_else(|| format!("storage {key} belongs to no tensor"))?;
        let cut_off = || format!("ends within storage {key}; copy it again if it is incomplete");
        let (count, data) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let count = i64::from_le_bytes(*count);
        if usize::try_from(count) != Ok(storage.count) {
            return Err(format!("storage {key} has {count} elements; its tensor says {}", storage.count));
        }
        let length = storage.byte_length().filter(|length| *length <= data.len()).ok_or_else(cut_off)?;
        let start = bytes.len() - data.len();
        places.insert(key, start..start + length);
        rest = &data[length..];
    }
    place_all(&state, |storage| places.get(storage.key))
}

/// The tensors of a state dict; `lies_in` gives the range of bytes of a storage.
fn place_all<'a, 'r>(
    state: &'r Pickle<'a>,
    lies_in: impl Fn(&Storage<'a>) -> Option<&'r Range<usize>>,
) -> Result<Directory> {
    let place = |(name, tensor): (&str, &Tensor<'a>)| {
        let key = tensor.storage.key;
        let bytes = lies_in(&tensor.storage).ok_or_else(|| {
            format!("storage {key} of tensor {name} is missing; copy the file again if it is incomplete")
        })?;
        let stored = place(tensor, bytes).ok_or_else(|| {
            format!("tensor {name} (shape {:?}) reaches outside of its storage {key}", tensor.shape)
        })?;
        Ok((name.to_owned(), stored))
    };
    state.tensors()?.map(place).collect()
}

/// Where a tensor is in the file; `None` if it reaches outside of its storage.
fn place(tensor: &Tensor<'_>, bytes: &Range<usize>) -> Option<Stored> {
    let is_empty = tensor.shape.contains(&0);
    let mut span = usize::from(!is_empty);
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides).filter(|_| !is_empty) {
        span = span.checked_add((size - 1).checked_mul(*stride)?)?;
    }
    let element = tensor.storage.element();
    let start = tensor.offset.checked_mul(element)?;
    let end = start.checked_add(span.checked_mul(element)?)?;
    if end > bytes.len() {
        return None;
    }
    Some(Stored {
        dtype: tensor.storage.dtype,
        shape: tensor.shape.clone(),
        strides: Some(tensor.strides.clone()),
        bytes: bytes.start + start..bytes.start + end,
    })
}

//! `model.safetensors`. The numbers go from the packed file to the new one block by block, so memory does not grow with
//! the vocabulary.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::tensors;
use crate::error::{Error, Result, damaged};
use crate::packed::PackedEncoder;

/// The header's length is a multiple of this, so that the numbers are aligned.
const ALIGNMENT: usize = 8;

/// Writes all tensors as float32.
pub(super) fn write(encoder: &PackedEncoder<'_>, path: &Path) -> Result<()> {
    let tensors = tensors::all(encoder)?;
    let mut header = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut end = 0_usize;
    for tensor in &tensors {
        let start = end;
        let length = tensor.values.len().checked_mul(size_of::<f32>());
        end = length.and_then(|length| start.checked_add(length)).ok_or_else(|| {
            damaged(format!("tensor {:?}", tensor.name), format!("{} numbers", tensor.values.len()), "fewer")
        })?;
        let entry = json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');

    let file = File::create(path).map_err(Error::write(path))?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let written = (|| {
        // A usize has at most 64 bits on all platforms of Rust.
        writer.write_all(&(header.len() as u64).to_le_bytes())?;
        writer.write_all(&header)?;
        for tensor in &tensors {
            let mut bytes = Vec::new();
            tensor.values.try_for_each(|numbers| {
                bytes.clear();
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
                writer.write_all(&bytes)
            })?;
        }
        writer.flush()
    })();
    written.map_err(Error::write(path))
}

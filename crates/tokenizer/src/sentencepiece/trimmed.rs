//! A model file without some of its pieces. All other fields stay as they are, byte for byte, except the samples with
//! which SentencePiece tests a model that it loads: they are about the whole model.

use std::path::Path;

use crate::error::{Error, Result};

/// The field of pieces in `ModelProto`.
const PIECES: u64 = 1;
/// The field of samples in `ModelProto`.
const SELF_TEST_DATA: u64 = 4;

/// The bytes of the `.model` file `file` without the pieces that are dropped, by their numbers.
///
/// A message is a sequence of fields: a key, which is the field's number and its wire type, and the value. See
/// "Encoding" in the documentation of Protocol Buffers.
pub(crate) fn without_pieces(file: &Path, bytes: &[u8], is_dropped: impl Fn(u32) -> bool) -> Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut number = 0;
    while !rest.is_empty() {
        let field = field(rest).ok_or_else(|| Error::Malformed {
            file: file.to_owned(),
            place: format!("byte {}", bytes.len() - rest.len()),
            found: "no whole field".to_owned(),
            expected: "a model that SentencePiece wrote".to_owned(),
            advice: "fetch the file again",
        })?;
        let (whole, after) = rest.split_at(field.length);
        let is_kept = match field.number {
            PIECES => {
                number += 1;
                !is_dropped(number - 1)
            }
            other => other != SELF_TEST_DATA,
        };
        if is_kept {
            kept.extend_from_slice(whole);
        }
        rest = after;
    }
    Ok(kept)
}

/// A field: its number, and its length with key and value.
struct Field {
    number: u64,
    length: usize,
}

/// The field that `bytes` begin with; none if it is cut off or of an unknown type.
fn field(bytes: &[u8]) -> Option<Field> {
    let (key, start) = varint(bytes)?;
    let value = bytes.get(start..)?;
    let length = match key & 7 {
        0 => varint(value)?.1,
        1 => 8,
        2 => {
            let (length, start) = varint(value)?;
            start.checked_add(usize::try_from(length).ok()?)?
        }
        5 => 4,
        _ => return None,
    };
    let length = start.checked_add(length)?;
    (length <= bytes.len()).then_some(Field { number: key >> 3, length })
}

/// A number in groups of seven bits, the lowest first, and its length in bytes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

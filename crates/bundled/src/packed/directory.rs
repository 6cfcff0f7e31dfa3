//! The directory of tensors: where in the file each is, and in which form.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::values::Values;
use crate::error::{Result, damaged};

/// Bytes of an entry besides its name.
const ENTRY: usize = 2 + 1 + 4 + 8 + 8;

/// The tensors by their names.
pub(super) type Directory<'f> = HashMap<&'f str, Values<'f>>;

/// Reads the directory, whose entries refer to bytes of the whole `file`.
pub(super) fn read<'f>(cursor: &mut Cursor<'f>, file: &'f [u8]) -> Result<Directory<'f>> {
    let count = cursor.size("the number of tensors")?;
    let mut directory = Directory::with_capacity(count.min(cursor.left() / ENTRY));
    for number in 0..count {
        let length = cursor.u16("the length of a tensor's name")?;
        let name = cursor.take(usize::from(length), "a tensor's name")?;
        let name = std::str::from_utf8(name).map_err(|_| {
            damaged(
                format!("tensor {number}"),
                format!("the name {}", name.escape_ascii()),
                "a name in UTF-8",
            )
        })?;
        let wrong = |found: String, expected: &str| damaged(format!("tensor {name:?}"), found, expected);
        let form = cursor.u8("a tensor's form")?;
        let numbers = usize::try_from(cursor.u32("a tensor's size")?).unwrap_or(usize::MAX);
        let start = cursor.long_size("a tensor's offset")?;
        let length = cursor.long_size("a tensor's length")?;
        let bytes = start.checked_add(length).and_then(|end| file.get(start..end)).ok_or_else(|| {
            let found = format!("{length} bytes from byte {start}, of a file of {}", file.len());
            wrong(found, "bytes within the file")
        })?;
        let values = Values::new(form, numbers, bytes).ok_or_else(|| {
            wrong(
                format!("{numbers} numbers of form {form} in {length} bytes"),
                "form 0 with 4 bytes for a number, or form 1 with 18 bytes for 32 numbers",
            )
        })?;
        if directory.insert(name, values).is_some() {
            return Err(wrong("a second tensor of this name".to_owned(), "names that differ"));
        }
    }
    Ok(directory)
}

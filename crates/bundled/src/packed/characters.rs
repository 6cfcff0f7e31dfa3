//! The map of characters: what each becomes before a text is cut into pieces.

use super::cursor::Cursor;
use crate::error::{Result, damaged};

/// The smallest entry: a character of four bytes and the number of its replacements, one byte.
const SMALLEST: usize = 5;

/// Reads the characters that change, in ascending order, each with its replacement.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Vec<(char, String)>> {
    let count = cursor.size("the number of characters")?;
    let length = cursor.u32("the length of the map of characters")?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut inside = Cursor::new(cursor.take(length, "the map of characters")?);
    let mut map: Vec<(char, String)> = Vec::with_capacity(count.min(length / SMALLEST));
    for entry in 0..count {
        let from = character(&mut inside, entry)?;
        let replacements = inside.u8("the number of replacements")?;
        let to = (0..replacements).map(|_| character(&mut inside, entry)).collect::<Result<String>>()?;
        if map.last().is_some_and(|(last, _)| *last >= from) {
            return Err(damaged(
                format!("entry {entry} of the map of characters"),
                format!("U+{:04X} after a character that is not smaller", u32::from(from)),
                "ascending characters",
            ));
        }
        map.push((from, to));
    }
    if inside.left() > 0 {
        return Err(damaged(
            "the end of the map of characters",
            format!("{} more bytes", inside.left()),
            "as many bytes as the map says",
        ));
    }
    Ok(map)
}

fn character(inside: &mut Cursor<'_>, entry: usize) -> Result<char> {
    let code = inside.u32("a character")?;
    char::from_u32(code).ok_or_else(|| {
        damaged(
            format!("entry {entry} of the map of characters"),
            format!("{code:#x}"),
            "a Unicode character",
        )
    })
}

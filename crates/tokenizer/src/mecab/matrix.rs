//! `matrix.bin`: the costs of connections between words.

use std::fmt::Write as _;
use std::io::Read;

use super::source::Source;
use crate::error::Result;

/// Layout: the numbers of right ids and of left ids (u16), then the costs (i16). The cost of a word with right id r before
/// one with left id l is at index `r + right_ids * l`.
pub(super) struct Matrix<'a> {
    pub(super) right_ids: usize,
    pub(super) left_ids: usize,
    costs: &'a [u8],
}

impl<'a> Matrix<'a> {
    pub(super) fn new(source: &Source<'a>) -> Result<Self> {
        let (right_ids, left_ids) = (usize::from(source.u16(0)?), usize::from(source.u16(2)?));
        let costs = source.bytes.get(4..).unwrap_or_default();
        source.check(
            right_ids > 0 && left_ids > 0 && costs.len() == 2 * right_ids * left_ids,
            "byte 0",
            format!("{right_ids} × {left_ids} costs in {} bytes", source.bytes.len()),
            "the number of costs in the header, two bytes each",
        )?;
        Ok(Self { right_ids, left_ids, costs })
    }

    /// The costs as MeCab's `matrix.def`. The text is made while it is read, because UniDic's is half a gigabyte.
    pub(super) fn text(&self) -> MatrixText<'_> {
        let header = format!("{} {}\n", self.right_ids, self.left_ids).into_bytes();
        MatrixText { matrix: self, next_left_id: 0, text: std::io::Cursor::new(header) }
    }
}

/// The text of `matrix.def`: a header, then lines of `right_id left_id cost`, without zero costs.
pub(super) struct MatrixText<'a> {
    matrix: &'a Matrix<'a>,
    next_left_id: usize,
    text: std::io::Cursor<Vec<u8>>,
}

impl Read for MatrixText<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.text.read(buffer)?;
            if count > 0 || buffer.is_empty() || self.next_left_id == self.matrix.left_ids {
                return Ok(count);
            }
            let (left_id, width) = (self.next_left_id, 2 * self.matrix.right_ids);
            let (costs, _) = self.matrix.costs[left_id * width..(left_id + 1) * width].as_chunks();
            let mut lines = String::new();
            for (right_id, &cost) in costs.iter().enumerate() {
                let cost = i16::from_le_bytes(cost);
                if cost != 0 {
                    let _ = writeln!(lines, "{right_id} {left_id} {cost}");
                }
            }
            self.text = std::io::Cursor::new(lines.into_bytes());
            self.next_left_id += 1;
        }
    }
}

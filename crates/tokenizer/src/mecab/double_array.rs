//! The double array that maps the bytes of a word to its tokens.

use super::source::Source;
use crate::error::Result;

/// Bytes of a unit: two 32-bit numbers, base and check.
const UNIT: usize = 8;

/// A Darts double array. From a node with base `b`, byte `c` leads to unit `b + c + 1` if that unit's check is `b`. If unit
/// `b` itself has check `b` and a negative base, a key ends there, and the base is `-value - 1`.
pub(super) struct DoubleArray<'s, 'b> {
    source: &'s Source<'b>,
    start: usize,
    units: usize,
}

impl<'s, 'b> DoubleArray<'s, 'b> {
    /// The array in the `length` bytes from `start` on.
    pub(super) fn new(source: &'s Source<'b>, start: usize, length: usize) -> Self {
        Self { source, start, units: length / UNIT }
    }

    fn base(&self, unit: usize) -> Result<i32> {
        self.source.array(self.start + unit * UNIT).map(i32::from_le_bytes)
    }

    /// The unit at `base + offset`, if it belongs to the node with that base.
    fn unit(&self, base: u32, offset: usize) -> Result<Option<usize>> {
        let unit = base as usize + offset;
        let belongs = unit < self.units && self.source.u32(self.start + unit * UNIT + 4)? == base;
        Ok(belongs.then_some(unit))
    }

    /// Calls `found` with every key and its value, in byte order.
    pub(super) fn walk(&self, mut found: impl FnMut(&[u8], u32) -> Result<()>) -> Result<()> {
        /// A node on the path to the current key.
        struct Step {
            base: u32,
            /// The next offset to try.
            next: usize,
        }
        let corrupt = |unit: usize| {
            self.source.malformed(
                format!("double array, unit {unit}"),
                "a unit with two parents or none",
                "a tree",
            )
        };
        if self.units == 0 {
            return Ok(());
        }
        let mut seen = vec![false; self.units];
        let mut key = Vec::new();
        let root = u32::try_from(self.base(0)?).map_err(|_| corrupt(0))?;
        let mut path = vec![Step { base: root, next: 0 }];
        while let Some(Step { base, next }) = path.last_mut() {
            if *next == 0
                && let Some(unit) = self.unit(*base, 0)?
                && let value @ ..0 = self.base(unit)?
                && !key.is_empty()
            {
                found(&key, (-(value + 1)).cast_unsigned())?;
            }
            let mut child = None;
            while child.is_none() && *next < 256 {
                *next += 1;
                child = self.unit(*base, *next)?.map(|unit| (unit, (*next - 1) as u8));
            }
            let Some((unit, byte)) = child else {
                path.pop();
                key.pop();
                continue;
            };
            // In a sound array every unit has one parent. A damaged one could have cycles.
            if std::mem::replace(&mut seen[unit], true) {
                return Err(corrupt(unit));
            }
            let base = u32::try_from(self.base(unit)?).map_err(|_| corrupt(unit))?;
            key.push(byte);
            path.push(Step { base, next: 0 });
        }
        Ok(())
    }
}

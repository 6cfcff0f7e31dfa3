//! SentencePiece's `precompiled_charsmap`: strings and what they become, in a double array.
//!
//! The format is that of SentencePiece's `normalizer.cc` and of the double arrays of `darts-clone`: a length of four
//! bytes, so many bytes of the array's units, and the replacements, each ended by a NUL. All numbers are little-endian.

use super::pieces::BadPiece;

/// Bytes of the longest replacement that is read. The longest of NFKC, that of U+FDFA, has 33; a longer one could make
/// any text enormous.
const LONGEST: usize = 255;

/// Strings and what they become.
#[derive(Debug, Default)]
pub(crate) struct Charsmap {
    /// The double array: a unit is a node with the byte that leads to it, or the value of its parent.
    units: Vec<u32>,
    /// Replacements, one after the other, each ended by a NUL.
    replacements: String,
}

/// Whether a node with this unit has a value.
fn has_value(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

/// The value of a unit that is one.
fn value(unit: u32) -> usize {
    (unit & 0x7fff_ffff) as usize
}

/// The byte that leads to a node; not a byte for a unit that is a value.
fn label(unit: u32) -> u32 {
    unit & 0x8000_00ff
}

/// What a node's position is combined with to find its children.
fn offset(unit: u32) -> usize {
    ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize
}

impl Charsmap {
    /// Reads the map and checks that every value is the start of a replacement.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, BadPiece> {
        let bad = |found: String, expected: &str| BadPiece {
            place: "normalizer_spec.precompiled_charsmap".to_owned(),
            found,
            expected: expected.to_owned(),
        };
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let (length, rest) = bytes
            .split_first_chunk::<4>()
            .ok_or_else(|| bad(format!("{} bytes", bytes.len()), "a length of 4 bytes and what follows"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let (array, replacements) = rest.split_at_checked(length).ok_or_else(|| {
            let found = format!("a double array of {length} bytes in {}", bytes.len());
            bad(found, "a length within the map")
        })?;
        let (units, []) = array.as_chunks::<4>() else {
            return Err(bad(format!("a double array of {length} bytes"), "units of 4 bytes"));
        };
        let units: Vec<u32> = units.iter().map(|unit| u32::from_le_bytes(*unit)).collect();
        let replacements = str::from_utf8(replacements)
            .map_err(|error| bad(format!("replacements that are no UTF-8: {error}"), "UTF-8"))?;
        if !replacements.ends_with('\0') {
            return Err(bad("replacements whose last has no end".to_owned(), "a NUL after each"));
        }
        if let Some(long) = replacements.split('\0').find(|replacement| replacement.len() > LONGEST) {
            return Err(bad(format!("a replacement of {} bytes", long.len()), "255 bytes at most"));
        }
        let map = Self { units, replacements: replacements.to_owned() };
        for (position, &unit) in map.units.iter().enumerate() {
            let is_node = unit >> 31 == 0;
            if is_node && has_value(unit) {
                let child = map.units.get(position ^ offset(unit));
                if child.and_then(|&child| map.replacement(value(child))).is_none() {
                    let found = format!("unit {position}, whose value is not in the map");
                    return Err(bad(found, "the start of a replacement"));
                }
            }
        }
        Ok(map)
    }

    /// Checks that the children of every node are within the array, for readers that do not check it.
    pub(crate) fn check_children(&self) -> Result<(), BadPiece> {
        let is_outside = |(position, &unit): (usize, &u32)| {
            // The root has no label. Children differ from each other in the last byte.
            let is_node = unit >> 31 == 0 || position == 0;
            is_node && (position ^ offset(unit)) | 0xff >= self.units.len()
        };
        match self.units.iter().enumerate().find(|unit| is_outside(*unit)) {
            None if !self.units.is_empty() => Ok(()),
            found => Err(BadPiece {
                place: "precompiled_charsmap".to_owned(),
                found: found.map_or_else(
                    || "a map without units".to_owned(),
                    |(position, _)| format!("unit {position}, whose children are not in the map"),
                ),
                expected: "children within the map".to_owned(),
            }),
        }
    }

    /// Bytes that `text` has at most once the `tokenizers` library has applied the map: it replaces a character, or a group of
    /// them, by the value of the shortest string of the map that it starts with. Texts that stay below `enough` in any case are
    /// not looked at.
    pub(crate) fn longest_result(&self, text: &str, enough: usize) -> usize {
        let longest = self.replacements.split('\0').map(str::len).max().unwrap_or_default();
        let in_any_case = text.len().saturating_mul(longest.max(1));
        if in_any_case <= enough {
            return in_any_case;
        }
        let bytes = text.char_indices().map(|(at, character)| {
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            self.shortest(rest).map_or(0, str::len).max(character.len_utf8())
        });
        bytes.sum()
    }

    /// What the shortest string of the map that `bytes` start with becomes.
    fn shortest(&self, bytes: &[u8]) -> Option<&str> {
        let mut position = offset(*self.units.first()?);
        for &byte in bytes {
            position ^= usize::from(byte);
            let &unit = self.units.get(position)?;
            if label(unit) != u32::from(byte) {
                return None;
            }
            position ^= offset(unit);
            if has_value(unit) {
                return self.units.get(position).and_then(|&unit| self.replacement(value(unit)));
            }
        }
        None
    }

    /// The replacement that starts at this byte.
    fn replacement(&self, start: usize) -> Option<&str> {
        self.replacements.get(start..)?.split_once('\0').map(|(replacement, _)| replacement)
    }

    /// The longest string of the map that `text` starts with: its length in bytes, and what it becomes.
    pub(super) fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut longest = None;
        let mut position = offset(*self.units.first()?);
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            position ^= usize::from(byte);
            let Some(&unit) = self.units.get(position) else { break };
            if label(unit) != u32::from(byte) {
                break;
            }
            position ^= offset(unit);
            if has_value(unit)
                && text.is_char_boundary(at + 1)
                && let Some(replacement) =
                    self.units.get(position).and_then(|&unit| self.replacement(value(unit)))
            {
                longest = Some((at + 1, replacement));
            }
        }
        longest
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A map of "a" to "bc": the root's children are at 0 ^ 'a' and so on.
    fn map(value: u32) -> Vec<u8> {
        let mut units = vec![0_u32; 0x200];
        units[0] = 1 << 10;
        // The child of the root (position 1) for 'a', with a value and children around 0x100.
        let child = 1 ^ usize::from(b'a');
        units[child] = u32::from(b'a') | 1 << 8 | 0x100 << 10;
        units[child ^ 0x100] = 1 << 31 | value;
        let array: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let length = u32::try_from(array.len()).unwrap().to_le_bytes();
        [&length[..], &array, b"\0bc\0"].concat()
    }

    #[test]
    fn the_map_replaces_what_it_holds() {
        let charsmap = Charsmap::read(&map(1)).unwrap();
        assert_eq!(charsmap.longest("ab"), Some((1, "bc")));
        assert_eq!((charsmap.longest("b"), charsmap.longest("")), (None, None));
        assert_eq!(Charsmap::default().longest("a"), None);
    }

    #[test]
    fn the_length_of_a_result_is_known_before() {
        let charsmap = Charsmap::read(&map(1)).unwrap();
        // Twice the length is enough here, so the text is not looked at.
        assert_eq!(charsmap.longest_result("aあb", 100), 10);
        assert_eq!(charsmap.longest_result("aあb", 1), 2 + 3 + 1);
    }

    #[test]
    fn children_outside_of_the_map_are_found() {
        assert!(Charsmap::read(&map(1)).unwrap().check_children().is_ok());
        assert!(Charsmap::default().check_children().unwrap_err().found.contains("without units"));
        let mut bytes = map(1);
        // The root's unit, after the length.
        bytes[4..8].copy_from_slice(&(0x1000_u32 << 10).to_le_bytes());
        let found = Charsmap::read(&bytes).unwrap().check_children().unwrap_err().found;
        assert!(found.contains("unit 0, whose children"), "{found}");
    }

    #[test]
    fn what_leads_out_of_the_map_is_refused() {
        let found = |bytes: &[u8]| Charsmap::read(bytes).unwrap_err().found;
        assert!(found(&[1, 2]).contains("2 bytes"));
        assert!(found(&[255, 255, 255, 255, 0]).contains("4294967295 bytes in 5"));
        assert!(found(&[3, 0, 0, 0, 0, 0, 0]).contains("a double array of 3 bytes"));
        assert!(found(&map(99)).contains("unit 96"));
        let mut bytes = map(1);
        let last = bytes.len() - 1;
        bytes[last] = 255;
        assert!(found(&bytes).contains("no UTF-8"));
        bytes[last] = b'c';
        assert!(found(&bytes).contains("whose last has no end"));
        bytes.extend([b'c'; 300]);
        bytes.push(0);
        assert!(found(&bytes).contains("a replacement of 303 bytes"));
    }
}

//! `sys.dic` and `unk.dic`: known and unknown words.

use std::fmt::Write as _;

use super::double_array::DoubleArray;
use super::matrix::Matrix;
use super::source::Source;
use crate::error::Result;

/// `DictionaryMagicID`. XORed with the file's length, it is the first number of a `.dic`.
pub(super) const MAGIC: u32 = 0xef71_8f77;
/// `DIC_VERSION`, the only one since 2006.
pub(super) const VERSION: u32 = 102;
/// Ten 32-bit numbers and 32 bytes of charset name.
pub(super) const HEADER: usize = 10 * 4 + 32;
/// left id, right id, part of speech (u16), cost (i16), feature, compound (u32).
const TOKEN: usize = 16;
/// Vibrato's CSV reader has a buffer of 4,096 bytes for a field.
const LONGEST_SURFACE: usize = 4095;

/// The words of `sys.dic` or `unk.dic`.
///
/// Header: magic, version, type, number of words, left ids, right ids, bytes of the double array, of the tokens, of
/// the features, zero; charset. Then those three parts. The double array (Darts) maps a surface's bytes to
/// `token index << 8 | number of tokens`.
pub(super) struct Entries<'s, 'b> {
    pub(super) source: &'s Source<'b>,
    words: Vec<(String, Entry)>,
}

struct Entry {
    left_id: u16,
    right_id: u16,
    cost: i16,
}

impl<'s, 'b> Entries<'s, 'b> {
    pub(super) fn new(source: &'s Source<'b>, matrix: &Matrix) -> Result<Self> {
        let length = source.bytes.len();
        let magic = source.u32(0)?;
        source.check(
            u64::from(magic ^ MAGIC) == length as u64,
            "byte 0",
            format!("a dictionary of {} bytes in a file of {length}", magic ^ MAGIC),
            "a complete MeCab dictionary",
        )?;
        let version = source.u32(4)?;
        let expected = format!("version {VERSION}");
        source.check(version == VERSION, "byte 4", format!("version {version}"), expected)?;
        let charset = source.name(40, 32)?;
        let is_utf8 = ["utf8", "utf-8"].contains(&charset.to_ascii_lowercase().as_str());
        let found = format!("charset {charset:?}");
        source.check(is_utf8, "byte 40", found, "a dictionary compiled to UTF-8")?;
        for (at, side, ids) in [(16, "left", matrix.right_ids), (20, "right", matrix.left_ids)] {
            let found = source.u32(at)?;
            let (place, expected) = (format!("byte {at}"), format!("{ids}, as in matrix.bin"));
            source.check(found as usize == ids, &place, format!("{found} ids on the {side}"), expected)?;
        }
        let part = |at| source.u32(at).map(|bytes| bytes as usize);
        let (count, array, tokens, features) = (part(12)?, part(24)?, part(28)?, part(32)?);
        source.check(
            HEADER as u64 + array as u64 + tokens as u64 + features as u64 == length as u64,
            "byte 24",
            format!("parts of {array}, {tokens} and {features} bytes"),
            format!("parts that fill the file's {length} bytes"),
        )?;
        let tokens = Tokens { source, start: HEADER + array, count: tokens / TOKEN };
        let array = DoubleArray::new(source, HEADER, array);
        let mut words = Vec::with_capacity(tokens.count);
        // Keys may share bytes and tokens: without a limit, a small file could expand to gigabytes of words.
        let mut spelled = 0;
        array.walk(|surface, value| {
            let before = words.len();
            tokens.add(surface, value, &mut words)?;
            spelled += (words.len() - before) * surface.len();
            if words.len() > tokens.count || spelled > length {
                return Err(source.malformed(
                    "words",
                    format!("more than {before} words or more than {length} bytes of them"),
                    format!("{} words, one a token, shorter together than the file", tokens.count),
                ));
            }
            Ok(())
        })?;
        let expected = format!("{count}, the number in the header");
        source.check(words.len() == count, "words", format!("{} words", words.len()), expected)?;
        Ok(Self { source, words })
    }

    pub(super) fn has(&self, surface: &str) -> bool {
        self.words.iter().any(|(word, _)| word == surface)
    }

    /// The words as MeCab's `lex.csv`: surface, left id, right id, cost.
    pub(super) fn csv(&self) -> String {
        let mut csv = String::with_capacity(self.words.len() * 32);
        for (surface, Entry { left_id, right_id, cost }) in &self.words {
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "\"{}\",{left_id},{right_id},{cost}", surface.replace('"', "\"\""));
        }
        csv
    }
}

/// The token records of a dictionary.
struct Tokens<'s, 'b> {
    source: &'s Source<'b>,
    start: usize,
    count: usize,
}

impl Tokens<'_, '_> {
    /// Adds the words with this surface in reverse order: of two words with equal surface and cost, MeCab chooses the one
    /// compiled first, and Vibrato the one read last.
    fn add(&self, surface: &[u8], value: u32, words: &mut Vec<(String, Entry)>) -> Result<()> {
        let (first, count) = ((value >> 8) as usize, (value & 0xff) as usize);
        let surface = std::str::from_utf8(surface).map_err(|_| {
            self.source.malformed("words", format!("{surface:?}, which is not UTF-8"), "UTF-8")
        })?;
        if first + count > self.count {
            return Err(self.source.malformed(
                format!("word {surface:?}"),
                format!("tokens {first} to {}", first + count),
                format!("at most {} tokens", self.count),
            ));
        }
        if surface.len() > LONGEST_SURFACE {
            return Err(self.source.malformed(
                "words",
                format!("a word of {} bytes", surface.len()),
                format!("at most {LONGEST_SURFACE}"),
            ));
        }
        for token in (first..first + count).rev() {
            let at = self.start + token * TOKEN;
            let entry = Entry {
                left_id: self.source.u16(at)?,
                right_id: self.source.u16(at + 2)?,
                cost: self.source.array(at + 6).map(i16::from_le_bytes)?,
            };
            words.push((surface.to_owned(), entry));
        }
        Ok(())
    }
}

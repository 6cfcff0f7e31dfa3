//! MeCab's compiled dictionary, read back into the text that Vibrato builds its own from.
//!
//! The PyPI packages `ipadic` and `unidic-lite` carry what published Japanese BERTs were made with, but compiled:
//! `sys.dic` and `unk.dic` (words), `matrix.bin` (connection costs), `char.bin` (character categories). The layouts
//! are those that MeCab 0.996 writes in `dictionary.cpp`, `connector.cpp` and `char_property.cpp`, little-endian;
//! they are said beside the functions. Features (part of speech, reading) are left behind: only the words matter
//! here, and without them the dictionary is a fifth of the size.
//!
//! Every number is checked against the file's length before it is followed: a damaged file is an error, no panic.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use vibrato::SystemDictionaryBuilder;

use crate::error::{Error, Result, read};

/// XORed with the file's length, this is the first number of a `.dic` (`DictionaryMagicID`).
const MAGIC: u32 = 0xef71_8f77;
/// The only version there has been since 2006 (`DIC_VERSION`).
const VERSION: u32 = 102;
/// Ten 32-bit numbers and 32 bytes of charset name.
const HEADER: usize = 10 * 4 + 32;
/// Two 32-bit numbers: base and check.
const UNIT: usize = 8;
/// left id, right id, part of speech (u16), cost (i16), feature, compound (u32).
const TOKEN: usize = 16;
/// Vibrato's CSV reader holds a field in a buffer of 4,096 bytes.
const LONGEST_SURFACE: usize = 4095;
/// `char.bin` has an entry for U+0000 to U+FFFE.
const CHARACTERS: usize = 0xffff;
/// Bytes of a category's name.
const CATEGORY_NAME: usize = 32;
/// A character's categories are a set of 18 bits.
const MOST_CATEGORIES: usize = 18;

/// The four files of a compiled dictionary, in memory.
pub(crate) struct CompiledDictionary {
    folder: PathBuf,
    files: [Vec<u8>; 4],
}

impl CompiledDictionary {
    /// The files, in the order in which they are kept.
    pub(crate) const FILES: [&'static str; 4] = ["sys.dic", "unk.dic", "matrix.bin", "char.bin"];

    /// Reads the files of `folder`.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let [words, unknown, matrix, characters] = Self::FILES.map(|name| read(&folder.join(name)));
        Ok(Self { folder: folder.to_owned(), files: [words?, unknown?, matrix?, characters?] })
    }

    /// The bytes of the files.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = &[u8]> {
        self.files.iter().map(Vec::as_slice)
    }

    /// Builds Vibrato's dictionary.
    pub(crate) fn convert(&self) -> Result<vibrato::Dictionary> {
        let [words, unknown, matrix, characters] =
            std::array::from_fn(|i| Source { file: self.folder.join(Self::FILES[i]), bytes: &self.files[i] });
        let matrix = Matrix::new(&matrix)?;
        let categories = Categories::new(&characters)?;
        let words = Entries::new(&words, &matrix)?;
        let unknown = Entries::new(&unknown, &matrix)?;
        // MeCab refuses to start without an unknown word of every category; Vibrato would find no path.
        if let Some(missing) = categories.names.iter().find(|name| !unknown.has(name)) {
            return Err(unknown.source.malformed(
                "words",
                format!("no unknown word of category {missing}"),
                "at least one for each category of char.bin",
            ));
        }
        SystemDictionaryBuilder::from_readers(
            words.csv().as_bytes(),
            matrix.text(),
            categories.text().as_bytes(),
            unknown.csv().as_bytes(),
        )
        .map_err(|error| Error::Conversion { folder: self.folder.clone(), message: error.to_string() })
    }
}

/// A file's bytes, read by position with a check.
struct Source<'a> {
    file: PathBuf,
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N]> {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or_else(|| {
            self.malformed(format!("byte {at}"), "the end of the file", format!("{N} more bytes"))
        })
    }

    fn u16(&self, at: usize) -> Result<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Result<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// A name in a field of fixed length, filled up with zeros.
    fn name(&self, at: usize, length: usize) -> Result<&'a str> {
        let field = at.checked_add(length).and_then(|end| self.bytes.get(at..end)).ok_or_else(|| {
            self.malformed(format!("byte {at}"), "the end of the file", format!("{length} more bytes"))
        })?;
        let name = field.split(|&byte| byte == 0).next().unwrap_or_default();
        std::str::from_utf8(name)
            .map_err(|_| self.malformed(format!("byte {at}"), "bytes that are not UTF-8", "a name"))
    }

    fn malformed(
        &self,
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Error {
        Error::Malformed {
            file: self.file.clone(),
            place: place.into(),
            found: found.into(),
            expected: expected.into(),
            advice: "unpack the dictionary's package again",
        }
    }
}

/// The words of `sys.dic` or `unk.dic`.
///
/// Header: magic, version, type, number of words, left ids, right ids, bytes of the double array, of the tokens, of
/// the features, zero; charset. Then those three parts. The double array (Darts) maps a surface's bytes to
/// `token index << 8 | number of tokens`.
struct Entries<'s, 'b> {
    source: &'s Source<'b>,
    words: Vec<(String, Entry)>,
}

struct Entry {
    left_id: u16,
    right_id: u16,
    cost: i16,
}

impl<'s, 'b> Entries<'s, 'b> {
    fn new(source: &'s Source<'b>, matrix: &Matrix) -> Result<Self> {
        let length = source.bytes.len();
        let magic = source.u32(0)?;
        if u64::from(magic ^ MAGIC) != length as u64 {
            return Err(source.malformed(
                "byte 0",
                format!("a dictionary of {} bytes in a file of {length}", magic ^ MAGIC),
                "a complete MeCab dictionary",
            ));
        }
        let version = source.u32(4)?;
        if version != VERSION {
            return Err(source.malformed(
                "byte 4",
                format!("version {version}"),
                format!("version {VERSION}"),
            ));
        }
        let charset = source.name(40, 32)?;
        if !["utf8", "utf-8"].contains(&charset.to_ascii_lowercase().as_str()) {
            return Err(source.malformed(
                "byte 40",
                format!("charset {charset:?}"),
                "a dictionary compiled to UTF-8",
            ));
        }
        for (at, side, ids) in [(16, "left", matrix.right_ids), (20, "right", matrix.left_ids)] {
            let found = source.u32(at)?;
            if found as usize != ids {
                let expected = format!("{ids}, as in matrix.bin");
                return Err(source.malformed(
                    format!("byte {at}"),
                    format!("{found} ids on the {side}"),
                    expected,
                ));
            }
        }
        let part = |at| source.u32(at).map(|bytes| bytes as usize);
        let (count, array, tokens, features) = (part(12)?, part(24)?, part(28)?, part(32)?);
        if HEADER as u64 + array as u64 + tokens as u64 + features as u64 != length as u64 {
            return Err(source.malformed(
                "byte 24",
                format!("parts of {array}, {tokens} and {features} bytes"),
                format!("parts that fill the file's {length} bytes"),
            ));
        }
        let tokens = Tokens { source, start: HEADER + array, count: tokens / TOKEN };
        let array = DoubleArray { source, start: HEADER, units: array / UNIT };
        let mut words = Vec::with_capacity(tokens.count);
        array.walk(|surface, value| tokens.add(surface, value, &mut words))?;
        if words.len() != count {
            return Err(source.malformed(
                "words",
                format!("{} words", words.len()),
                format!("{count}, as the header says"),
            ));
        }
        Ok(Self { source, words })
    }

    fn has(&self, surface: &str) -> bool {
        self.words.iter().any(|(word, _)| word == surface)
    }

    /// As `lex.csv`: surface, left id, right id, cost.
    fn csv(&self) -> String {
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
    /// Adds the words that are spelled `surface`.
    ///
    /// Last first: of two words with the same spelling and the same cost, MeCab's path goes through the one
    /// compiled first, Vibrato's through the one read last.
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

/// A Darts double array: from a node with base `b`, byte `c` leads to unit `b + c + 1` if that unit's check is `b`;
/// unit `b` itself, if its check is `b` and its base negative, ends a key and holds `-value - 1`.
struct DoubleArray<'s, 'b> {
    source: &'s Source<'b>,
    start: usize,
    units: usize,
}

impl DoubleArray<'_, '_> {
    fn base(&self, unit: usize) -> Result<i32> {
        self.source.array(self.start + unit * UNIT).map(i32::from_le_bytes)
    }

    /// The unit `offset` behind `base`, if it belongs to the node with that base.
    fn unit(&self, base: u32, offset: usize) -> Result<Option<usize>> {
        let unit = base as usize + offset;
        let belongs = unit < self.units && self.source.u32(self.start + unit * UNIT + 4)? == base;
        Ok(belongs.then_some(unit))
    }

    /// Calls `found` with every key, in the order of their bytes.
    fn walk(&self, mut found: impl FnMut(&[u8], u32) -> Result<()>) -> Result<()> {
        /// A node on the way to the current key, and the byte to try next.
        struct Step {
            base: u32,
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
            // In a sound array every unit has one parent. Without this, a damaged one could go round for ever.
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

/// `matrix.bin`: the number of right ids, the number of left ids (u16), then the cost (i16) of a word with right id
/// r before one with left id l at `r + right_ids * l`.
struct Matrix<'a> {
    right_ids: usize,
    left_ids: usize,
    costs: &'a [u8],
}

impl<'a> Matrix<'a> {
    fn new(source: &Source<'a>) -> Result<Self> {
        let (right_ids, left_ids) = (usize::from(source.u16(0)?), usize::from(source.u16(2)?));
        let costs = source.bytes.get(4..).unwrap_or_default();
        if right_ids == 0 || left_ids == 0 || costs.len() != 2 * right_ids * left_ids {
            return Err(source.malformed(
                "byte 0",
                format!("{right_ids} × {left_ids} costs in {} bytes", source.bytes.len()),
                "as many costs as the header says, two bytes each",
            ));
        }
        Ok(Self { right_ids, left_ids, costs })
    }

    /// As `matrix.def`, a piece at a time: written out, that of UniDic is half a gigabyte.
    fn text(&self) -> MatrixText<'_> {
        let header = format!("{} {}\n", self.right_ids, self.left_ids).into_bytes();
        MatrixText { matrix: self, next_left_id: 0, text: std::io::Cursor::new(header) }
    }
}

/// Reads as `matrix.def`: a header, then `right_id left_id cost` a line, zero costs left out.
struct MatrixText<'a> {
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

/// `char.bin`: the number of categories (u32), their names (32 bytes each), then 32 bits for each of U+0000 to
/// U+FFFE: its set of categories (18 bits), its first category (8), how many characters of it make an unknown word
/// (4), whether runs of it are grouped (1), whether unknown words are tried beside known ones (1).
struct Categories<'a> {
    names: Vec<&'a str>,
    /// `INVOKE GROUP LENGTH` of the categories that are some character's first.
    settings: Vec<Option<u32>>,
    characters: Vec<CharacterInfo>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct CharacterInfo(u32);

impl CharacterInfo {
    fn set(self) -> u32 {
        self.0 & 0x3_ffff
    }

    fn first(self) -> usize {
        (self.0 >> 18 & 0xff) as usize
    }

    /// Length, group and invoke, which are the first category's.
    fn settings(self) -> u32 {
        self.0 >> 26
    }
}

impl<'a> Categories<'a> {
    fn new(source: &Source<'a>) -> Result<Self> {
        let count = source.u32(0)? as usize;
        if !(1..=MOST_CATEGORIES).contains(&count)
            || source.bytes.len() != 4 + count * CATEGORY_NAME + 4 * CHARACTERS
        {
            return Err(source.malformed(
                "byte 0",
                format!("{count} categories in {} bytes", source.bytes.len()),
                format!("1 to {MOST_CATEGORIES} categories and {CHARACTERS} characters"),
            ));
        }
        let mut names = Vec::with_capacity(count);
        for at in (0..count).map(|category| 4 + category * CATEGORY_NAME) {
            let name = source.name(at, CATEGORY_NAME)?;
            let plain = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            // The text format tells a category from a range of characters by its first letters.
            if !plain || name.starts_with("0x") || names.contains(&name) {
                return Err(source.malformed(
                    format!("byte {at}"),
                    format!("category {name:?}"),
                    "a name of its own",
                ));
            }
            names.push(name);
        }
        let mut settings = vec![None; count];
        let mut characters = Vec::with_capacity(CHARACTERS);
        for code in 0..CHARACTERS {
            let at = 4 + count * CATEGORY_NAME + 4 * code;
            let info = CharacterInfo(source.u32(at)?);
            let sound =
                info.first() < count && info.set() >> count == 0 && info.set() >> info.first() & 1 == 1;
            if !sound || *settings[info.first()].get_or_insert(info.settings()) != info.settings() {
                return Err(source.malformed(
                    format!("byte {at}, U+{code:04X}"),
                    format!("{:#010x}", info.0),
                    "categories that exist, with the settings that their other characters have",
                ));
            }
            characters.push(info);
        }
        Ok(Self { names, settings, characters })
    }

    /// As `char.def`: `NAME INVOKE GROUP LENGTH` a category, `0xFROM..0xTO NAME…` a run of equal characters.
    fn text(&self) -> String {
        let mut text = String::new();
        for (name, settings) in self.names.iter().zip(&self.settings) {
            // No character asks for the settings of a category that is nowhere the first.
            let settings = settings.unwrap_or(0);
            let (length, group, invoke) = (settings & 0xf, settings >> 4 & 1, settings >> 5 & 1);
            let _ = writeln!(text, "{name} {invoke} {group} {length}");
        }
        let mut start = 0;
        for run in self.characters.chunk_by(PartialEq::eq) {
            let (end, info) = (start + run.len() - 1, run[0]);
            let _ = write!(text, "0x{start:04X}..0x{end:04X} {}", self.names[info.first()]);
            for (_, name) in
                self.names.iter().enumerate().filter(|&(i, _)| i != info.first() && info.set() >> i & 1 == 1)
            {
                let _ = write!(text, " {name}");
            }
            text.push('\n');
            start = end + 1;
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

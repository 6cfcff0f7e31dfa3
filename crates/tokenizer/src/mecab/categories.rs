//! `char.bin`: the characters' categories, which say how unknown words are made.

use std::fmt::Write as _;

use super::Source;
use crate::error::Result;

/// `char.bin` has an entry for U+0000 to U+FFFE.
pub(super) const CHARACTERS: usize = 0xffff;
/// Bytes of a category's name.
pub(super) const CATEGORY_NAME: usize = 32;
/// A character's categories are a set of 18 bits.
const MOST_CATEGORIES: usize = 18;

/// `char.bin`: the number of categories (u32), their names (32 bytes each), then 32 bits for each of U+0000 to
/// U+FFFE: its set of categories (18 bits), its first category (8), how many characters of it make an unknown word
/// (4), whether runs of it are grouped (1), whether unknown words are tried beside known ones (1).
pub(super) struct Categories<'a> {
    pub(super) names: Vec<&'a str>,
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
    pub(super) fn new(source: &Source<'a>) -> Result<Self> {
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
    pub(super) fn text(&self) -> String {
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

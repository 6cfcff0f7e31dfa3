//! `char.bin`: the categories of characters, which determine unknown words.

use std::fmt::Write as _;

use super::source::Source;
use crate::error::Result;

/// `char.bin` has an entry for each of U+0000 to U+FFFE.
pub(super) const CHARACTERS: usize = 0xffff;
/// Bytes of the name of a category.
pub(super) const CATEGORY_NAME: usize = 32;
/// The categories of a character are a set of 18 bits.
const MAX_CATEGORIES: usize = 18;

/// Layout: the number of categories (u32), their names (32 bytes each), then 32 bits for each of U+0000 to U+FFFE: the set
/// of categories (18 bits), the first category (8), and that category's settings: LENGTH, the longest ungrouped unknown
/// word (4), GROUP, whether runs are grouped (1), and INVOKE, whether unknown words compete with known ones (1).
pub(super) struct Categories<'a> {
    pub(super) names: Vec<&'a str>,
    /// LENGTH, GROUP and INVOKE of the categories that are the first one of a character.
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

    /// LENGTH, GROUP and INVOKE of the first category.
    fn settings(self) -> u32 {
        self.0 >> 26
    }
}

impl<'a> Categories<'a> {
    pub(super) fn new(source: &Source<'a>) -> Result<Self> {
        let count = source.u32(0)? as usize;
        source.check(
            (1..=MAX_CATEGORIES).contains(&count)
                && source.bytes.len() == 4 + count * CATEGORY_NAME + 4 * CHARACTERS,
            "byte 0",
            format!("{count} categories in {} bytes", source.bytes.len()),
            format!("1 to {MAX_CATEGORIES} categories and {CHARACTERS} characters"),
        )?;
        let mut names = Vec::with_capacity(count);
        for at in (0..count).map(|category| 4 + category * CATEGORY_NAME) {
            let name = source.name(at, CATEGORY_NAME)?;
            let plain = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
            // In the text format, a line that starts with 0x is a range of characters and no category.
            let sound = plain && !name.starts_with("0x") && !names.contains(&name);
            let (place, found) = (format!("byte {at}"), format!("category {name:?}"));
            source.check(sound, &place, found, "a unique name of letters, digits, _ and -")?;
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
                    "existing categories with the same settings as at their other characters",
                ));
            }
            characters.push(info);
        }
        Ok(Self { names, settings, characters })
    }

    /// The categories as MeCab's `char.def`: a line `NAME INVOKE GROUP LENGTH` for a category, and `0xFROM..0xTO NAME…` for
    /// a run of equal characters.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (name, settings) in self.names.iter().zip(&self.settings) {
            // The settings of a category that is never the first one have no effect.
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

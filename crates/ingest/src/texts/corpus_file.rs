//! One file of a corpus of text files, classified by its name.

use std::io;
use std::path::{Component, Path};

use anyhow::Result;

/// The largest size of an article. The longest one of the livedoor corpus has 0.03 MiB. The limit also protects against
/// archives that hold gigabytes of zeros in a few kilobytes.
pub const LARGEST_FILE: u64 = 16 << 20;

/// Names of files beside the articles that are not articles, with or without `.txt`.
const NOTES: [&str; 3] = [LICENCE, "README", "CHANGES"];

/// The note in each category of the livedoor corpus.
pub const LICENCE: &str = "LICENSE";

/// One file of the corpus. Paths are relative and separated by `/`.
#[derive(Debug, PartialEq)]
pub enum CorpusFile {
    /// A `.txt` file.
    Text { path: String, bytes: Vec<u8> },
    /// A note about the corpus: one of [`NOTES`].
    Note(&'static str),
    /// `LICENSE.txt`, if licences are read as texts.
    Licence { path: String, bytes: Vec<u8> },
    /// A file other than `.txt`.
    Other(String),
    /// A file that cannot be read, with the reason.
    Bad { path: String, reason: String },
}

/// A function that gets each file.
pub type Visit<'v> = dyn FnMut(CorpusFile) -> Result<()> + 'v;

/// Classifies a plain file by its name. Only `.txt` files up to [`LARGEST_FILE`] are read.
pub fn classify(
    path: String,
    size: u64,
    licences: bool,
    read: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<CorpusFile> {
    let name = path.rsplit_once('/').map_or(path.as_str(), |(_, name)| name);
    let stem = text_stem(name);
    let plain = stem.unwrap_or(name);
    let note = NOTES.into_iter().find(|note| note.eq_ignore_ascii_case(plain));
    let is_licence = licences && note == Some(LICENCE) && stem.is_some();
    if let Some(note) = note
        && !is_licence
    {
        return Ok(CorpusFile::Note(note));
    }
    let is_hidden = path.split('/').any(|part| part.starts_with('.'));
    if is_hidden || stem.is_none() {
        return Ok(CorpusFile::Other(path));
    }
    if size > LARGEST_FILE {
        let reason = format!("has {size} bytes; an article has at most {LARGEST_FILE}");
        return Ok(CorpusFile::Bad { path, reason });
    }
    let bytes = read()?;
    Ok(if is_licence { CorpusFile::Licence { path, bytes } } else { CorpusFile::Text { path, bytes } })
}

/// A file name without `.txt` or `.TXT`; none if it has another extension.
pub fn text_stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("txt").then_some(stem)
}

pub const NAME_NOT_UTF8: &str = "has a name that is not UTF-8";

/// The path of an archive's entry; or, if it is rejected, its name as far as it can be displayed, and the reason.
pub fn inner_path(path: &[u8]) -> Result<String, (String, &'static str)> {
    let rejected = |reason| (String::from_utf8_lossy(path).into_owned(), reason);
    let written = std::str::from_utf8(path).map_err(|_| rejected(NAME_NOT_UTF8))?;
    let mut parts = Vec::new();
    for component in Path::new(written).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy()),
            Component::CurDir => {}
            Component::ParentDir => return Err(rejected("leaves the archive (`..` in its path)")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(rejected("leaves the archive (its path is absolute)"));
            }
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_not_read() {
        let unreadable = || Err(io::Error::other("was read"));
        let found = classify("a/LICENSE.txt".into(), 1, false, unreadable).unwrap();
        assert_eq!(found, CorpusFile::Note(LICENCE));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_displayed_with_replacement_characters() {
        let (shown, reason) = inner_path(b"a/\x8c\xa9.txt").unwrap_err();
        assert_eq!((shown.as_str(), reason), ("a/\u{fffd}\u{fffd}.txt", "has a name that is not UTF-8"));
    }
}

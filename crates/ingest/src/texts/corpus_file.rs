//! One file of a corpus of text files, classified by its name.

use std::io::{self, Read};
use std::path::{Component, Path};

use anyhow::Result;

use crate::texts::admission::Admission;

/// Names of files beside the articles that are not articles, with or without `.txt`.
const NOTES: [&str; 3] = [LICENCE, "README", "CHANGES"];

/// The note in each category of the livedoor corpus.
pub const LICENCE: &str = "LICENSE";

/// Folders that programs keep for themselves beside a user's files. Any other folder may be a category, `.NET` too.
const PROGRAMS_FOLDERS: [&str; 13] = [
    ".git",
    ".svn",
    ".hg",
    ".cache",
    ".idea",
    ".vscode",
    ".ipynb_checkpoints",
    ".AppleDouble",
    ".Spotlight-V100",
    ".Trashes",
    ".fseventsd",
    "__MACOSX",
    "@eaDir",
];

/// One file of the corpus. Paths are relative and separated by `/`.
#[derive(Debug, PartialEq)]
pub enum CorpusFile {
    /// A `.txt` file.
    Text { path: String, bytes: Vec<u8> },
    /// A note about the corpus: one of [`NOTES`].
    Note(&'static str),
    /// `LICENSE.txt`, if licences are read as texts.
    Licence { path: String, bytes: Vec<u8> },
    /// A file other than `.txt`, or of a program.
    Other(String),
    /// A second name of a file of an archive.
    Link { path: String, target: String, kind: LinkKind },
    /// A file that cannot be read, with the reason.
    Bad { path: String, reason: String },
}

/// The kind of a second name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// The name of a file that comes before it in the archive.
    Hard,
    /// The name of a file anywhere in the archive.
    Symbolic,
}

/// A function that gets each file.
pub type Visit<'v> = dyn FnMut(CorpusFile) -> Result<()> + 'v;

/// What a file's name says about it.
#[derive(Debug, PartialEq)]
enum Class {
    Text,
    Licence,
    Note(&'static str),
    Other,
}

/// Classifies a plain file of `size` bytes by its name. Only `.txt` files within the bounds are read.
///
/// # Errors
/// When the corpus is larger than its bounds, or `read` fails.
pub fn classify(
    path: String,
    size: u64,
    admission: &mut Admission<'_>,
    read: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<CorpusFile> {
    let class = class_of(&path, admission.licences);
    match class {
        Class::Note(note) => return Ok(CorpusFile::Note(note)),
        Class::Other => return Ok(CorpusFile::Other(path)),
        Class::Text | Class::Licence => {}
    }
    if let Some(reason) = admission.text(&path, size)? {
        return Ok(CorpusFile::Bad { path, reason });
    }
    let bytes = if admission.reads { read()? } else { Vec::new() };
    Ok(match class {
        Class::Licence => CorpusFile::Licence { path, bytes },
        _ => CorpusFile::Text { path, bytes },
    })
}

/// Whether a file of this name would be read as a text.
pub fn is_text(path: &str) -> bool {
    class_of(path, false) == Class::Text
}

fn class_of(path: &str, licences: bool) -> Class {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = text_stem(name);
    let plain = stem.unwrap_or(name);
    let note = NOTES.into_iter().find(|note| note.eq_ignore_ascii_case(plain));
    let is_licence = licences && note == Some(LICENCE) && stem.is_some();
    match note {
        Some(note) if !is_licence => Class::Note(note),
        _ if stem.is_none() || name.starts_with('.') || folder.split('/').any(is_of_program) => Class::Other,
        Some(_) => Class::Licence,
        None => Class::Text,
    }
}

/// Whether a folder of this name is a program's own.
pub fn is_of_program(folder: &str) -> bool {
    PROGRAMS_FOLDERS.contains(&folder) || folder.starts_with(".Trash-")
}

/// Reads a file of at most `most` bytes; a longer one gets one byte more, so that it is noticed.
pub fn read_at_most(reader: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file name without `.txt` or `.TXT`; none if it has another extension.
pub fn text_stem(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    extension.eq_ignore_ascii_case("txt").then_some(stem)
}

/// The longest path of an archive's entry: that of Linux (`PATH_MAX`).
const LONGEST_NAME: usize = 4096;

/// As much of a name that is too long is shown.
const SHOWN_NAME: usize = 200;

const NAME_TOO_LONG: &str = "has a name of more than 4096 bytes; rename it";

pub const NAME_NOT_UTF8: &str = "has a name that is not UTF-8; rename it";

/// The path of an archive's entry; or, if it is rejected, its name as far as it can be displayed, and the reason.
pub fn inner_path(path: &[u8]) -> Result<String, (String, &'static str)> {
    let shown = &path[..path.len().min(SHOWN_NAME)];
    let more = if shown.len() < path.len() { "…" } else { "" };
    let rejected = |reason| (format!("{}{more}", String::from_utf8_lossy(shown)), reason);
    if path.len() > LONGEST_NAME {
        return Err(rejected(NAME_TOO_LONG));
    }
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

/// The file that a symbolic link at `path` in an archive leads to; none if it lies outside.
pub fn link_target(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// A symbolic link of an archive. `target` is as it is written there.
pub fn symbolic_link(path: String, target: &[u8]) -> CorpusFile {
    let shown = String::from_utf8_lossy(target).into_owned();
    match std::str::from_utf8(target).ok().and_then(|target| link_target(&path, target)) {
        Some(target) => CorpusFile::Link { path, target, kind: LinkKind::Symbolic },
        None => {
            let reason = format!("is a symbolic link to {shown}, which is outside the archive");
            CorpusFile::Bad { path, reason }
        }
    }
}

#[cfg(test)]
mod tests {
    use midashi_config::CorpusLimits;

    use super::*;

    #[test]
    fn a_note_is_not_read() {
        let unreadable = || anyhow::bail!("was read");
        let limits = CorpusLimits::default();
        let mut admission = Admission::new(&limits, false);
        let found = classify("a/LICENSE.txt".into(), 1, &mut admission, unreadable).unwrap();
        assert_eq!(found, CorpusFile::Note(LICENCE));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_displayed_with_replacement_characters() {
        let (shown, reason) = inner_path(b"a/\x8c\xa9.txt").unwrap_err();
        assert_eq!((shown.as_str(), reason), ("a/\u{fffd}\u{fffd}.txt", NAME_NOT_UTF8));
    }

    #[test]
    fn a_category_may_begin_with_a_dot_but_a_programs_folder_is_none() {
        for (path, is_read) in [
            (".NET/1.txt", true),
            ("text/.hidden/1.txt", true),
            ("a/.1.txt", false),
            ("a/._1.txt", false),
            (".git/1.txt", false),
            (".Trash-1000/files/1.txt", false),
            ("__MACOSX/a/1.txt", false),
            ("a/1.md", false),
            ("a/README.txt", false),
        ] {
            assert_eq!(is_text(path), is_read, "{path}");
        }
    }

    #[test]
    fn a_link_leads_to_a_path_in_the_archive_or_outside() {
        for (path, target, found) in [
            ("a/1.txt", "2.txt", Some("a/2.txt")),
            ("a/1.txt", "./../b/2.txt", Some("b/2.txt")),
            ("text/a", "../store/a", Some("store/a")),
            ("a/1.txt", "../../2.txt", None),
            ("a/1.txt", "/etc/passwd", None),
        ] {
            assert_eq!(link_target(path, target).as_deref(), found, "{path} -> {target}");
        }
    }

    #[test]
    fn texts_have_bounds_one_by_one_and_together() {
        let limits = CorpusLimits { text_bytes: 10, total_bytes: 30, ..CorpusLimits::default() };
        let mut admission = Admission::new(&limits, false);
        let mut put = |size: u64| {
            let read = || Ok(vec![b'x'; size as usize]);
            classify("a/1.txt".into(), size, &mut admission, read).map_err(|error| error.to_string())
        };
        assert!(matches!(put(10), Ok(CorpusFile::Text { .. })));
        let Ok(CorpusFile::Bad { reason, .. }) = put(11) else { panic!("too long a text") };
        assert_eq!(reason, "has 11 bytes; expected at most 10 in a text (corpus.limits.text_bytes)");
        let message = put(10).unwrap_err();
        assert!(
            message.starts_with("with a/1.txt, the texts have 34 bytes, expected at most 30"),
            "{message}"
        );
        assert!(message.ends_with("raise corpus.limits.total_bytes"), "{message}");
    }
}

//! Reading the files of a corpus from a `.tar.gz` archive or a folder. Nothing is extracted to disk.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};
use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

/// The largest size of an article. The longest one of the livedoor corpus has 0.03 MiB. The limit also protects against
/// archives that hold gigabytes of zeros in a few kilobytes.
const LARGEST_FILE: u64 = 16 << 20;

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
type Visit<'v> = dyn FnMut(CorpusFile) -> Result<()> + 'v;

/// Calls `visit` with every file of the archive or folder `source`. `LICENSE.txt` is a note, or a text if `licences` is
/// true.
///
/// # Errors
/// When `source` cannot be read, the archive is broken, or `visit` fails.
pub fn visit_files(source: &Path, licences: bool, visit: &mut Visit<'_>) -> Result<()> {
    if source.is_dir() {
        return visit_folder(source, "", licences, visit);
    }
    let file = File::open(source).with_context(|| format!("cannot read {}", source.display()))?;
    visit_archive(BufReader::with_capacity(1 << 17, file), licences, visit)
        .with_context(|| format!("cannot read the corpus from {}", source.display()))
}

fn visit_archive(compressed: impl io::BufRead, licences: bool, visit: &mut Visit<'_>) -> Result<()> {
    const BROKEN: &str = "broken, or not a .tar.gz archive; fetch it again, or set corpus.source to a folder";
    let mut archive = Archive::new(MultiGzDecoder::new(compressed));
    for entry in archive.entries().context(BROKEN)? {
        let mut entry = entry.context(BROKEN)?;
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind == EntryType::XGlobalHeader {
            continue;
        }
        let size = entry.size();
        let path = inner_path(&entry.path_bytes());
        let found = match path {
            Err((path, reason)) => CorpusFile::Bad { path, reason: reason.into() },
            Ok(path) if !matches!(kind, EntryType::Regular | EntryType::Continuous) => {
                CorpusFile::Bad { path, reason: format!("is {}, not a plain file", kind_name(kind)) }
            }
            Ok(path) => classify(path, size, licences, || {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes)?;
                Ok(bytes)
            })
            .context(BROKEN)?,
        };
        if let CorpusFile::Text { path, bytes } | CorpusFile::Licence { path, bytes } = &found {
            ensure!(bytes.len() as u64 == size, "{path} is cut off; {BROKEN}");
        }
        visit(found)?;
    }
    // The tar format ends before the gzip format, whose checksum is at its end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).context(BROKEN)?;
    Ok(())
}

/// `inside` is the path of `folder` in the corpus: empty, or with a trailing `/`.
fn visit_folder(folder: &Path, inside: &str, licences: bool, visit: &mut Visit<'_>) -> Result<()> {
    let cannot = |doing: &str, path: &Path| format!("cannot {doing} {}", path.display());
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.with_context(|| cannot("list", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let metadata = entry.metadata().with_context(|| cannot("read", &path))?;
        let name = entry.file_name();
        let inner = format!("{inside}{}", name.to_string_lossy());
        if name.to_str().is_some() && metadata.is_dir() {
            visit_folder(&path, &(inner + "/"), licences, visit)?;
            continue;
        }
        visit(if name.to_str().is_none() {
            CorpusFile::Bad { path: inner, reason: NAME_NOT_UTF8.into() }
        } else if metadata.is_file() {
            let read = || fs::read(&path);
            classify(inner, metadata.len(), licences, read).with_context(|| cannot("read", &path))?
        } else {
            let kind = if metadata.is_symlink() { "a symbolic link" } else { "a device" };
            CorpusFile::Bad { path: inner, reason: format!("is {kind}, not a plain file") }
        })?;
    }
    Ok(())
}

/// Classifies a plain file by its name. Only `.txt` files up to [`LARGEST_FILE`] are read.
fn classify(
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

const NAME_NOT_UTF8: &str = "has a name that is not UTF-8";

/// The path of an archive's entry; or, if it is rejected, its name as far as it can be displayed, and the reason.
fn inner_path(path: &[u8]) -> Result<String, (String, &'static str)> {
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

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "a symbolic link",
        EntryType::Link => "a hard link",
        EntryType::Char | EntryType::Block | EntryType::Fifo => "a device",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown type",
    }
}

/// Archives in memory, for tests.
#[cfg(test)]
pub mod samples {
    use std::io::Write;

    use super::EntryType;

    /// A tar archive of plain files.
    pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let entries: Vec<_> = files.iter().map(|&(path, bytes)| (path, bytes, EntryType::Regular)).collect();
        tar_of(&entries)
    }

    /// A tar archive of any entries. Names are not checked.
    pub fn tar_of(entries: &[(&str, &[u8], EntryType)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, bytes, kind) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    pub fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{gzip, tar, tar_of};
    use super::*;

    fn files_of(archive: &[u8]) -> Result<Vec<CorpusFile>, String> {
        files_with(archive, false)
    }

    fn files_with(archive: &[u8], licences: bool) -> Result<Vec<CorpusFile>, String> {
        let mut files = Vec::new();
        visit_archive(archive, licences, &mut |file| {
            files.push(file);
            Ok(())
        })
        .map_err(|error| format!("{error:#}"))?;
        Ok(files)
    }

    fn text(path: &str, bytes: &[u8]) -> CorpusFile {
        CorpusFile::Text { path: path.into(), bytes: bytes.into() }
    }

    fn bad(path: &str, reason: &str) -> CorpusFile {
        CorpusFile::Bad { path: path.into(), reason: reason.into() }
    }

    const CORPUS: &[(&str, &[u8])] = &[
        ("./text/LICENSE", b"free"),
        ("text/a/license.TXT", b"free"),
        ("text/a/1.txt", b"one"),
        ("text/a/2.TXT", b"two"),
        ("text/a/picture.png", b"\x89PNG"),
        ("text/a/._1.txt", b"\0\x05\x16\x07"),
    ];

    fn corpus_files() -> Vec<CorpusFile> {
        vec![
            CorpusFile::Note("LICENSE"),
            CorpusFile::Note("LICENSE"),
            text("text/a/1.txt", b"one"),
            text("text/a/2.TXT", b"two"),
            CorpusFile::Other("text/a/picture.png".into()),
            CorpusFile::Other("text/a/._1.txt".into()),
        ]
    }

    #[test]
    fn files_are_classified_by_their_names() {
        assert_eq!(files_of(&gzip(&tar(CORPUS))).unwrap(), corpus_files());
    }

    #[test]
    fn licences_are_texts_only_on_request() {
        let zeros = vec![0; LARGEST_FILE as usize + 1];
        let archive = gzip(&tar(&[
            ("LICENSE", b"free"),
            ("README.txt", b"read"),
            ("a/license.TXT", b"free"),
            (".b/LICENSE.txt", b"free"),
            ("c/LICENSE.txt", &zeros),
        ]));
        let notes = ["LICENSE", "README", "LICENSE", "LICENSE", "LICENSE"].map(CorpusFile::Note);
        assert_eq!(files_with(&archive, false).unwrap(), notes);
        assert_eq!(
            files_with(&archive, true).unwrap(),
            [
                CorpusFile::Note("LICENSE"),
                CorpusFile::Note("README"),
                CorpusFile::Licence { path: "a/license.TXT".into(), bytes: b"free".into() },
                CorpusFile::Other(".b/LICENSE.txt".into()),
                bad("c/LICENSE.txt", "has 16777217 bytes; an article has at most 16777216"),
            ]
        );
    }

    #[test]
    fn a_note_is_not_read() {
        let unreadable = || Err(io::Error::other("was read"));
        let found = classify("a/LICENSE.txt".into(), 1, false, unreadable).unwrap();
        assert_eq!(found, CorpusFile::Note(LICENCE));
    }

    #[test]
    fn a_folder_has_the_same_files_as_its_archive() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("text/a")).unwrap();
        for (path, bytes) in CORPUS {
            fs::write(folder.path().join(path), bytes).unwrap();
        }
        let mut files = Vec::new();
        visit_files(folder.path(), false, &mut |file| {
            files.push(format!("{file:?}"));
            Ok(())
        })
        .unwrap();
        let mut expected: Vec<_> = corpus_files().iter().map(|file| format!("{file:?}")).collect();
        files.sort();
        expected.sort();
        assert_eq!(files, expected);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_a_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("a.txt")).unwrap();
        let mut files = Vec::new();
        visit_files(folder.path(), false, &mut |file| {
            files.push(file);
            Ok(())
        })
        .unwrap();
        assert_eq!(files, [bad("a.txt", "is a symbolic link, not a plain file")]);
    }

    #[test]
    fn paths_that_leave_the_archive_are_rejected() {
        let archive = gzip(&tar(&[
            ("../a/1.txt", b"x"),
            ("a/../../1.txt", b"x"),
            ("/a/1.txt", b"x"),
            ("a/1.txt", b"x"),
        ]));
        let up = "leaves the archive (`..` in its path)";
        assert_eq!(
            files_of(&archive).unwrap(),
            [
                bad("../a/1.txt", up),
                bad("a/../../1.txt", up),
                bad("/a/1.txt", "leaves the archive (its path is absolute)"),
                text("a/1.txt", b"x"),
            ]
        );
    }

    #[test]
    fn links_and_devices_are_rejected() {
        let archive = gzip(&tar_of(&[
            ("a/1.txt", b"", EntryType::Symlink),
            ("a/2.txt", b"", EntryType::Link),
            ("a/3.txt", b"", EntryType::Char),
            ("a/4.txt", b"", EntryType::Fifo),
            ("a/LICENSE.txt", b"", EntryType::Symlink),
            ("a/", b"", EntryType::Directory),
        ]));
        assert_eq!(
            files_of(&archive).unwrap(),
            [
                bad("a/1.txt", "is a symbolic link, not a plain file"),
                bad("a/2.txt", "is a hard link, not a plain file"),
                bad("a/3.txt", "is a device, not a plain file"),
                bad("a/4.txt", "is a device, not a plain file"),
                bad("a/LICENSE.txt", "is a symbolic link, not a plain file"),
            ]
        );
    }

    #[test]
    fn a_decompression_bomb_is_not_read() {
        let zeros = vec![0; LARGEST_FILE as usize + 1];
        let archive = gzip(&tar(&[("a/1.txt", &zeros), ("a/2.txt", b"x")]));
        assert!(archive.len() < zeros.len() / 100);
        assert_eq!(
            files_of(&archive).unwrap(),
            [bad("a/1.txt", "has 16777217 bytes; an article has at most 16777216"), text("a/2.txt", b"x")]
        );
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let broken = |bytes: &[u8]| {
            let message = files_of(bytes).unwrap_err();
            assert!(message.contains("broken, or not a .tar.gz archive; fetch it again"), "{message}");
        };
        let noise: Vec<u8> = (0..5000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let tarred = tar(&[("a/1.txt", &noise), ("a/2.txt", b"x")]);
        let whole = gzip(&tarred);
        assert_eq!(files_of(&whole).unwrap().len(), 2);
        broken(b"");
        broken(b"no archive");
        broken(&tarred);
        broken(&gzip(&noise));
        for kept in [20, whole.len() / 2, whole.len() - 1] {
            broken(&whole[..kept]);
        }
        broken(&gzip(&tarred[..1000]));
        let mut flipped = whole.clone();
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        broken(&flipped);
    }

    #[test]
    fn a_name_that_is_not_utf8_is_displayed_with_replacement_characters() {
        let (shown, reason) = inner_path(b"a/\x8c\xa9.txt").unwrap_err();
        assert_eq!((shown.as_str(), reason), ("a/\u{fffd}\u{fffd}.txt", "has a name that is not UTF-8"));
    }
}

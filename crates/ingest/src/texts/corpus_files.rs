//! Visiting the files of a corpus of text files, in a folder or an archive. Nothing is extracted to disk.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::MultiGzDecoder;

use crate::texts::corpus_file::{CorpusFile, NAME_NOT_UTF8, Visit, classify};
use crate::texts::tar_archive::{BLOCK, BROKEN, visit_tar};
use crate::texts::zip_archive::visit_zip;

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

/// An archive is recognised by its first bytes.
fn visit_archive(mut archive: impl BufRead + Seek, licences: bool, visit: &mut Visit<'_>) -> Result<()> {
    let mut start = Vec::new();
    archive.by_ref().take(BLOCK as u64).read_to_end(&mut start).context(BROKEN)?;
    archive.seek(SeekFrom::Start(0)).context(BROKEN)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        visit_tar(MultiGzDecoder::new(archive), licences, visit)
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let tar = zstd::stream::read::Decoder::with_buffer(archive).context(BROKEN)?;
        visit_tar(tar, licences, visit)
    } else if start.starts_with(b"PK") {
        visit_zip(archive, licences, visit)
    } else if start.get(257..262) == Some(b"ustar") {
        check_end(&mut archive)?;
        visit_tar(archive, licences, visit)
    } else {
        bail!(BROKEN)
    }
}

/// Checks that a tar archive without compression, and so without a checksum, ends with the block of zeros that ends every
/// archive.
fn check_end(archive: &mut (impl Read + Seek)) -> Result<()> {
    let mut end = [1; BLOCK];
    archive.seek(SeekFrom::End(-(BLOCK as i64))).context(BROKEN)?;
    archive.read_exact(&mut end).context(BROKEN)?;
    ensure!(end == [0; BLOCK], "the archive is cut off: its last block is not empty; {BROKEN}");
    archive.seek(SeekFrom::Start(0)).context(BROKEN)?;
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

/// Archives in memory, for tests.
#[cfg(test)]
pub mod samples {
    use std::io::Write;

    use tar::EntryType;

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
    use std::io::Cursor;

    use tar::EntryType;

    use super::samples::{gzip, tar, tar_of};
    use super::*;
    use crate::texts::corpus_file::LARGEST_FILE;

    fn files_of(archive: &[u8]) -> Result<Vec<CorpusFile>, String> {
        files_with(archive, false)
    }

    fn files_with(archive: &[u8], licences: bool) -> Result<Vec<CorpusFile>, String> {
        let mut files = Vec::new();
        visit_archive(Cursor::new(archive), licences, &mut |file| {
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
        let tar = tar(CORPUS);
        for archive in [gzip(&tar), zstd::encode_all(&*tar, 1).unwrap(), tar] {
            assert_eq!(files_of(&archive).unwrap(), corpus_files());
        }
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
            assert!(message.contains("archive; fetch it again"), "{message}");
        };
        let noise: Vec<u8> = (0..5000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let tarred = tar(&[("a/1.txt", &noise), ("a/2.txt", b"x")]);
        let whole = gzip(&tarred);
        assert_eq!(files_of(&whole).unwrap().len(), 2);
        broken(b"");
        broken(b"no archive");
        for cut in [700, 1024, tarred.len() - 600] {
            broken(&tarred[..cut]);
        }
        let zstd = zstd::encode_all(&*tarred, 1).unwrap();
        broken(&zstd[..zstd.len() / 2]);
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
}

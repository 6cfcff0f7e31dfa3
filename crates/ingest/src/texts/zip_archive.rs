//! The files of a zip archive. Nothing is extracted to disk.

use std::io::{self, Read, Seek};

use anyhow::{Context, Result};
use zip::ZipArchive;

use crate::texts::corpus_file::{CorpusFile, LARGEST_FILE, Visit, classify, inner_path};
use crate::texts::tar_archive::BROKEN;

/// Calls `visit` with every file of the archive. `LICENSE.txt` is a note, or a text if `licences` is true.
///
/// # Errors
/// When the archive is broken, or `visit` fails.
pub fn visit_zip(zip: impl Read + Seek, licences: bool, visit: &mut Visit<'_>) -> Result<()> {
    let mut archive = ZipArchive::new(zip).context(BROKEN)?;
    for at in 0..archive.len() {
        let raw = archive.by_index_raw(at).context(BROKEN)?;
        let (is_folder, is_link, is_encrypted) = (raw.is_dir(), raw.is_symlink(), raw.encrypted());
        let (path, size) = (inner_path(raw.name_raw()), raw.size());
        drop(raw);
        if is_folder {
            continue;
        }
        let bad = |path, reason: &str| CorpusFile::Bad { path, reason: reason.into() };
        visit(match path {
            Err((path, reason)) => bad(path, reason),
            Ok(path) if is_link => bad(path, "is a symbolic link, not a plain file"),
            Ok(path) if is_encrypted => bad(path, "is encrypted; expected an archive without a password"),
            Ok(path) => {
                let name = path.clone();
                classify(path, size, licences, || {
                    let entry = archive.by_index(at).map_err(io::Error::other)?;
                    // The size in the directory is only what the archive says.
                    let mut bytes = Vec::new();
                    entry.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
                    Ok(bytes)
                })
                .with_context(|| format!("{name}: {BROKEN}"))?
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn files(bytes: &[u8]) -> Result<Vec<CorpusFile>, String> {
        let mut files = Vec::new();
        visit_zip(Cursor::new(bytes), false, &mut |file| {
            files.push(file);
            Ok(())
        })
        .map_err(|error| format!("{error:#}"))?;
        Ok(files)
    }

    #[test]
    fn files_are_read_as_in_a_folder() {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_directory("text/a/", SimpleFileOptions::default()).unwrap();
        writer.start_file("text/a/1.txt", SimpleFileOptions::default()).unwrap();
        writer.write_all("見出し".as_bytes()).unwrap();
        writer.start_file("README.txt", SimpleFileOptions::default()).unwrap();
        writer.start_file("__MACOSX/text/a/._1.txt", SimpleFileOptions::default()).unwrap();
        writer.start_file("../up.txt", SimpleFileOptions::default()).unwrap();
        writer.add_symlink("text/a/2.txt", "1.txt", SimpleFileOptions::default()).unwrap();
        let bytes = writer.finish().unwrap().into_inner();
        let bad = |path: &str, reason: &str| CorpusFile::Bad { path: path.into(), reason: reason.into() };
        assert_eq!(
            files(&bytes).unwrap(),
            [
                CorpusFile::Text { path: "text/a/1.txt".into(), bytes: "見出し".into() },
                CorpusFile::Note("README"),
                CorpusFile::Other("__MACOSX/text/a/._1.txt".into()),
                bad("../up.txt", "leaves the archive (`..` in its path)"),
                bad("text/a/2.txt", "is a symbolic link, not a plain file"),
            ]
        );
    }

    #[test]
    fn a_decompression_bomb_is_not_read() {
        let zeros = vec![0; LARGEST_FILE as usize + 1];
        let bytes = zip(&[("a/1.txt", &zeros)]);
        assert!(bytes.len() < zeros.len() / 100);
        let expected = CorpusFile::Bad {
            path: "a/1.txt".into(),
            reason: "has 16777217 bytes; an article has at most 16777216".into(),
        };
        assert_eq!(files(&bytes).unwrap(), [expected]);
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let whole = zip(&[("a/1.txt", &b"text ".repeat(1000)), ("a/2.txt", b"x")]);
        assert_eq!(files(&whole).unwrap().len(), 2);
        let cut = files(&whole[..whole.len() / 2]).unwrap_err();
        assert!(cut.contains(".zip archive; fetch it again"), "{cut}");
        let mut flipped = whole.clone();
        flipped[60] ^= 0xff;
        let damaged = files(&flipped).unwrap_err();
        assert!(damaged.contains("a/1.txt: broken"), "{damaged}");
    }
}

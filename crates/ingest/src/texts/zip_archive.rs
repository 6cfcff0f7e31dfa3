//! The files of a zip archive. Nothing is extracted to disk.

use std::io::{self, Read, Seek};

use anyhow::{Context, Result, ensure};
use zip::ZipArchive;

use crate::texts::admission::Admission;
use crate::texts::corpus_file::{
    CorpusFile, Visit, classify, inner_path, is_text, read_at_most, symbolic_link,
};
use crate::texts::metered::{BROKEN, too_large};
use crate::texts::zip_directory::Directory;

/// The longest target of a symbolic link that is read: the longest path of common systems.
const LONGEST_TARGET: u64 = 4096;

/// Calls `visit` with every file of the archive. `replaced` gets the names that occur several times: only the last of equal
/// names is visited.
///
/// # Errors
/// When the archive is broken or larger than its bounds, or `visit` fails.
pub fn visit_zip(
    mut zip: impl Read + Seek,
    admission: &mut Admission<'_>,
    replaced: &mut Vec<String>,
    visit: &mut Visit<'_>,
) -> Result<()> {
    if let Some(directory) = Directory::read(&mut zip, |files| admission.files(files))? {
        for (name, count) in directory.repeated {
            let name = String::from_utf8_lossy(&name).into_owned();
            replaced.extend((1..count).map(|_| name.clone()));
        }
    }
    let mut archive = ZipArchive::new(zip).context(BROKEN)?;
    let most = admission.limits().unpacked_bytes;
    let mut unpacked = 0_u64;
    for at in 0..archive.len() {
        let raw = archive.by_index_raw(at).context(BROKEN)?;
        let (is_folder, is_link, is_encrypted) = (raw.is_dir(), raw.is_symlink(), raw.encrypted());
        let (path, size) = (inner_path(raw.name_raw()), raw.size());
        drop(raw);
        if is_folder {
            continue;
        }
        admission.file()?;
        let bad = |path, reason: &str| CorpusFile::Bad { path, reason: reason.into() };
        visit(match path {
            Err((path, reason)) => bad(path, reason),
            Ok(path) if is_encrypted => bad(path, "is encrypted; expected an archive without a password"),
            Ok(path) if is_link => {
                let target =
                    read(&mut archive, at, LONGEST_TARGET).with_context(|| format!("{path}: {BROKEN}"))?;
                symbolic_link(path, &target)
            }
            Ok(path) => {
                if is_text(&path) {
                    unpacked = unpacked.saturating_add(size);
                    ensure!(unpacked <= most, too_large(most));
                }
                // The size in the directory is only what the archive says.
                classify(path.clone(), size, admission, || {
                    let bytes = read(&mut archive, at, size).with_context(|| format!("{path}: {BROKEN}"))?;
                    let found = bytes.len() as u64;
                    ensure!(found == size, "{path}: has another size than the archive says; {BROKEN}");
                    Ok(bytes)
                })?
            }
        })?;
    }
    Ok(())
}

/// The bytes of an entry, at most one more than `most`.
fn read(archive: &mut ZipArchive<impl Read + Seek>, at: usize, most: u64) -> io::Result<Vec<u8>> {
    read_at_most(archive.by_index(at).map_err(io::Error::other)?, most)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use midashi_config::CorpusLimits;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::texts::corpus_file::LinkKind;

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
        let limits = CorpusLimits::default();
        let mut admission = Admission::new(&limits, false);
        visit_zip(Cursor::new(bytes), &mut admission, &mut Vec::new(), &mut |file| {
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
                CorpusFile::Link {
                    path: "text/a/2.txt".into(),
                    target: "text/a/1.txt".into(),
                    kind: LinkKind::Symbolic,
                },
            ]
        );
    }

    #[test]
    fn a_decompression_bomb_is_not_read() {
        let zeros = vec![0; (16 << 20) + 1];
        let bytes = zip(&[("a/1.txt", &zeros)]);
        assert!(bytes.len() < zeros.len() / 100);
        let expected = CorpusFile::Bad {
            path: "a/1.txt".into(),
            reason: "has 16777217 bytes; expected at most 16777216 in a text (corpus.limits.text_bytes)"
                .into(),
        };
        assert_eq!(files(&bytes).unwrap(), [expected]);
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let whole = zip(&[("a/1.txt", &b"text ".repeat(1000)), ("a/2.txt", b"x")]);
        assert_eq!(files(&whole).unwrap().len(), 2);
        let cut = files(&whole[..whole.len() / 2]).unwrap_err();
        assert!(cut.contains(".zip archive; if Midashi downloaded it, remove it"), "{cut}");
        let mut flipped = whole.clone();
        flipped[60] ^= 0xff;
        let damaged = files(&flipped).unwrap_err();
        assert!(damaged.contains("a/1.txt: broken"), "{damaged}");
    }
}

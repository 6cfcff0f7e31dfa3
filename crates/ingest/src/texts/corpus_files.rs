//! Visiting the files of a corpus of text files, in a folder or an archive. Nothing is extracted to disk.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use midashi_table::{Container, Members};

use crate::texts::admission::Admission;
use crate::texts::corpus_file::Visit;
use crate::texts::folder::visit_folder;
use crate::texts::metered::BROKEN;
use crate::texts::tar_archive::visit_tar;
use crate::texts::tar_blocks::BLOCK;
use crate::texts::zip_archive::visit_zip;

/// The form of an archive, recognised by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Tar,
    Compressed(Container),
    Zip,
}

/// Calls `visit` with every file of the archive or folder `source`. Returns the files of a zip archive of which only the last of
/// equal names was visited.
///
/// # Errors
/// When `source` cannot be read, the archive is broken, it is larger than its bounds, or `visit` fails.
pub fn visit_files(
    source: &Path,
    admission: &mut Admission<'_>,
    visit: &mut Visit<'_>,
) -> Result<Vec<String>> {
    if source.is_dir() {
        visit_folder(source, admission, visit)?;
        return Ok(Vec::new());
    }
    visit_archive(open(source)?, admission, visit)
        .with_context(|| format!("cannot read the corpus from {}", source.display()))
}

/// Checks that the file `source` begins as an archive.
///
/// # Errors
/// When it cannot be read, or is none.
pub fn check_archive(source: &Path) -> Result<()> {
    form(&mut open(source)?).with_context(|| format!("cannot read the corpus from {}", source.display()))?;
    Ok(())
}

fn open(source: &Path) -> Result<BufReader<File>> {
    let file = File::open(source).with_context(|| format!("cannot read {}", source.display()))?;
    Ok(BufReader::with_capacity(1 << 17, file))
}

fn form(archive: &mut (impl Read + Seek)) -> Result<Form> {
    let mut start = Vec::new();
    archive.by_ref().take(BLOCK as u64).read_to_end(&mut start).context(BROKEN)?;
    archive.seek(SeekFrom::Start(0)).context(BROKEN)?;
    let form = match Container::of(&start) {
        Some(container) => Some(Form::Compressed(container)),
        None if start.starts_with(b"PK") => Some(Form::Zip),
        None if start.get(257..262) == Some(b"ustar") => Some(Form::Tar),
        None => None,
    };
    form.context(BROKEN)
}

fn visit_archive(
    mut archive: impl BufRead + Seek,
    admission: &mut Admission<'_>,
    visit: &mut Visit<'_>,
) -> Result<Vec<String>> {
    let mut replaced = Vec::new();
    match form(&mut archive)? {
        Form::Compressed(container) => visit_tar(Members::new(container, archive), admission, visit)?,
        Form::Zip => visit_zip(archive, admission, &mut replaced, visit)?,
        Form::Tar => {
            check_end(&mut archive)?;
            visit_tar(archive, admission, visit)?;
        }
    }
    Ok(replaced)
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
    use std::fs;
    use std::io::Cursor;

    use midashi_config::CorpusLimits;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use tar::EntryType;

    use super::samples::{gzip, tar, tar_of};
    use super::*;
    use crate::texts::corpus_file::{CorpusFile, LinkKind};

    /// The default of `corpus.limits.text_bytes`.
    const LARGEST_FILE: usize = 16 << 20;

    fn files_of(archive: &[u8]) -> Result<Vec<CorpusFile>, String> {
        files_with(archive, false)
    }

    fn files_with(archive: &[u8], licences: bool) -> Result<Vec<CorpusFile>, String> {
        let mut files = Vec::new();
        let limits = CorpusLimits::default();
        visit_archive(Cursor::new(archive), &mut Admission::new(&limits, licences), &mut |file| {
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
        let zeros = vec![0; LARGEST_FILE + 1];
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
                CorpusFile::Licence { path: ".b/LICENSE.txt".into(), bytes: b"free".into() },
                bad(
                    "c/LICENSE.txt",
                    "has 16777217 bytes; expected at most 16777216 in a text (corpus.limits.text_bytes)"
                ),
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
        let (mut files, limits) = (Vec::new(), CorpusLimits::default());
        visit_files(folder.path(), &mut Admission::new(&limits, false), &mut |file| {
            files.push(format!("{file:?}"));
            Ok(())
        })
        .unwrap();
        let mut expected: Vec<_> = corpus_files().iter().map(|file| format!("{file:?}")).collect();
        files.sort();
        expected.sort();
        assert_eq!(files, expected);
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
    fn devices_and_links_without_a_target_are_rejected() {
        let archive = gzip(&tar_of(&[
            ("a/1.txt", b"", EntryType::Symlink),
            ("a/2.txt", b"", EntryType::Link),
            ("a/3.txt", b"", EntryType::Char),
            ("a/4.txt", b"", EntryType::Fifo),
            ("a/5.txt", b"", EntryType::GNUSparse),
            ("a/", b"", EntryType::Directory),
        ]));
        assert_eq!(
            files_of(&archive).unwrap(),
            [
                bad("a/1.txt", "is a symbolic link without a target, not a plain file"),
                bad("a/2.txt", "is a hard link without a target, not a plain file"),
                bad("a/3.txt", "is a device, not a plain file"),
                bad("a/4.txt", "is a FIFO, not a plain file"),
                bad("a/5.txt", "is a sparse file, not a plain file"),
            ]
        );
    }

    #[test]
    fn links_have_their_targets() {
        let mut builder = tar::Builder::new(Vec::new());
        for (kind, path, target) in [
            (EntryType::Link, "b/2.txt", "./a/1.txt"),
            (EntryType::Symlink, "b/3.txt", "../a/1.txt"),
            (EntryType::Symlink, "b/4.txt", "../../1.txt"),
            (EntryType::Link, "b/5.md", "a/1.txt"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            builder.append_link(&mut header, path, target).unwrap();
        }
        let link = |path: &str, kind| CorpusFile::Link { path: path.into(), target: "a/1.txt".into(), kind };
        assert_eq!(
            files_of(&gzip(&builder.into_inner().unwrap())).unwrap(),
            [
                link("b/2.txt", LinkKind::Hard),
                link("b/3.txt", LinkKind::Symbolic),
                bad("b/4.txt", "is a symbolic link to ../../1.txt, which is outside the archive"),
                CorpusFile::Other("b/5.md".into()),
            ]
        );
    }

    #[test]
    fn long_names_of_both_kinds_are_read_within_their_bound() {
        let long = format!("{}/1.txt", "長い名前".repeat(40));
        let mut gnu = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        gnu.append_data(&mut header, &long, &b"x"[..]).unwrap();
        let gnu = gnu.into_inner().unwrap();
        let mut pax = tar::Builder::new(Vec::new());
        pax.append_pax_extensions([("path", long.as_bytes())]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        header.set_path("short.txt").unwrap();
        header.set_cksum();
        pax.append(&header, &b"x"[..]).unwrap();
        let pax = pax.into_inner().unwrap();
        for archive in [&gnu, &pax] {
            assert_eq!(files_of(archive).unwrap(), [text(&long, b"x")]);
            let limits = CorpusLimits { header_bytes: 100, ..CorpusLimits::default() };
            let mut admission = Admission::new(&limits, false);
            let refused = visit_archive(Cursor::new(archive), &mut admission, &mut |_| Ok(())).unwrap_err();
            let message = format!("{refused:#}");
            assert!(message.contains("expected at most 100 (corpus.limits.header_bytes)"), "{message}");
        }
    }

    #[test]
    fn a_decompression_bomb_is_not_read() {
        let zeros = vec![0; LARGEST_FILE + 1];
        let archive = gzip(&tar(&[("a/1.txt", &zeros), ("a/2.txt", b"x")]));
        assert!(archive.len() < zeros.len() / 100);
        assert_eq!(
            files_of(&archive).unwrap(),
            [
                bad(
                    "a/1.txt",
                    "has 16777217 bytes; expected at most 16777216 in a text (corpus.limits.text_bytes)"
                ),
                text("a/2.txt", b"x")
            ]
        );
    }

    #[test]
    fn a_broken_archive_is_an_error() {
        let broken = |bytes: &[u8]| {
            let message = files_of(bytes).unwrap_err();
            assert!(message.contains("archive; if Midashi downloaded it, remove it"), "{message}");
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

    /// The same damages each time: bytes that are changed, cut out or repeated, before and after compression.
    #[test]
    fn a_damaged_archive_is_read_or_refused_and_never_a_panic() {
        const ROUNDS: u64 = 6000;
        let limits = CorpusLimits { unpacked_bytes: 1 << 20, ..CorpusLimits::default() };
        let mut tarred = tar::Builder::new(Vec::new());
        tarred.append_pax_extensions([("path", "a/長い.txt".as_bytes())]).unwrap();
        let mut tarred = tarred.into_inner().unwrap();
        tarred.truncate(1024);
        tarred.extend(tar(CORPUS));
        let mut zipped = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (path, bytes) in CORPUS {
            zipped.start_file(*path, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut zipped, bytes).unwrap();
        }
        let zipped = zipped.finish().unwrap().into_inner();
        let mut refused = 0;
        for round in 0..ROUNDS {
            let mut random = ChaCha8Rng::seed_from_u64(round);
            let bytes = match round % 4 {
                0 => damaged(tarred.clone(), &mut random),
                1 => gzip(&damaged(tarred.clone(), &mut random)),
                2 => damaged(gzip(&tarred), &mut random),
                _ => damaged(zipped.clone(), &mut random),
            };
            let mut admission = Admission::new(&limits, false);
            refused +=
                u64::from(visit_archive(Cursor::new(&bytes), &mut admission, &mut |_| Ok(())).is_err());
        }
        assert!(refused > ROUNDS / 4 && refused < ROUNDS, "{refused} of {ROUNDS} were refused");
    }

    fn damaged(mut bytes: Vec<u8>, random: &mut ChaCha8Rng) -> Vec<u8> {
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            let to = (at + random.random_range(1..600)).min(bytes.len());
            match random.random_range(0..4) {
                0 => drop(bytes.drain(at..to)),
                1 => {
                    let part = bytes[at..to].to_vec();
                    bytes.splice(at..at, part);
                }
                _ => bytes[at] = random.random(),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        bytes
    }
}

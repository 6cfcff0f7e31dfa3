//! The files of a tar archive. Nothing is extracted to disk.

use std::io::{self, Read};

use anyhow::{Context, Result, ensure};
use tar::{Archive, EntryType};

use crate::texts::corpus_file::{CorpusFile, Visit, classify, inner_path};

/// The end of messages about archives that cannot be read.
pub const BROKEN: &str = "broken, or not a .tar.gz, .tar.zst, .tar or .zip archive; fetch it again, or set corpus.source to \
     a folder";

/// The length of tar's blocks (POSIX.1-1988, `ustar`).
pub const BLOCK: usize = 512;

/// Calls `visit` with every file of the uncompressed archive. `LICENSE.txt` is a note, or a text if `licences` is true.
///
/// # Errors
/// When the archive is broken, or `visit` fails.
pub fn visit_tar(tar: impl Read, licences: bool, visit: &mut Visit<'_>) -> Result<()> {
    let mut archive = Archive::new(tar);
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
    // The tar format ends before the compressed stream, whose checksum is at its end.
    io::copy(&mut archive.into_inner(), &mut io::sink()).context(BROKEN)?;
    Ok(())
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

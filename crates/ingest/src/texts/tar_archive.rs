//! The files of a tar archive. Nothing is extracted to disk.

use std::io::Read;

use anyhow::{Result, anyhow};
use tar::{EntryType, Header};

use crate::texts::admission::Admission;
use crate::texts::corpus_file::{CorpusFile, LinkKind, Visit, classify, inner_path, is_text, symbolic_link};
use crate::texts::metered::{BROKEN, failed};
use crate::texts::tar_blocks::Blocks;
use crate::texts::tar_pax::Pax;

/// What extended headers say about the entry behind them.
#[derive(Default)]
struct Extended {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Pax,
}

/// Calls `visit` with every file of the uncompressed archive.
///
/// # Errors
/// When the archive is broken or larger than its bounds, or `visit` fails.
pub fn visit_tar(tar: impl Read, admission: &mut Admission<'_>, visit: &mut Visit<'_>) -> Result<()> {
    let limits = admission.limits();
    let mut blocks = Blocks::new(tar, limits.unpacked_bytes, limits.header_bytes);
    let mut extended = Extended::default();
    while let Some(header) = blocks.header()? {
        let (kind, size) = (header.entry_type(), header.entry_size().map_err(failed)?);
        match kind {
            EntryType::GNULongName => {
                extended.path = Some(without_end(blocks.extended(size, "a long name")?));
            }
            EntryType::GNULongLink => {
                extended.link = Some(without_end(blocks.extended(size, "a long name of a link")?));
            }
            EntryType::XHeader => {
                let bytes = blocks.extended(size, "an extended header")?;
                extended.pax = Pax::parse(&bytes).map_err(|reason| anyhow!("{reason}; {BROKEN}"))?;
            }
            EntryType::XGlobalHeader => blocks.skip(size)?,
            // Neither a folder nor a link has bytes here, whatever its size says (POSIX.1-1988).
            EntryType::Directory => extended = Extended::default(),
            _ => {
                admission.file()?;
                let (found, unread) =
                    entry(&header, std::mem::take(&mut extended), size, &mut blocks, admission)?;
                // A file that is refused may be as large as it likes.
                visit(found)?;
                blocks.skip(unread)?;
            }
        }
    }
    Ok(())
}

/// The entry behind a header, and the number of its bytes that were not read.
fn entry(
    header: &Header,
    extended: Extended,
    size: u64,
    blocks: &mut Blocks<impl Read>,
    admission: &mut Admission<'_>,
) -> Result<(CorpusFile, u64)> {
    let Extended { path, link, pax } = extended;
    let kind = header.entry_type();
    let size = match kind {
        EntryType::Link | EntryType::Symlink => 0,
        _ => pax.size.unwrap_or(size),
    };
    // A pax header is the newer form; where both are there, GNU tar takes the pax header.
    let path = pax.path.or(path).unwrap_or_else(|| header.path_bytes().into_owned());
    let link = pax.link.or(link).or_else(|| header.link_name_bytes().map(|name| name.into_owned()));
    let path = match inner_path(&path) {
        Ok(path) => path,
        Err((path, reason)) => {
            return Ok((CorpusFile::Bad { path, reason: reason.into() }, size));
        }
    };
    let is_plain = matches!(kind, EntryType::Regular | EntryType::Continuous) && !pax.is_sparse;
    if !is_plain {
        let found = match (kind, link) {
            (EntryType::Link, Some(target)) => hard_link(path, &target),
            (EntryType::Symlink, Some(target)) => symbolic_link(path, &target),
            _ => CorpusFile::Bad { path, reason: format!("is {}, not a plain file", kind_name(kind)) },
        };
        return Ok((found, size));
    }
    let mut is_read = false;
    let found = classify(path, size, admission, || {
        is_read = true;
        Ok(Vec::new())
    })?;
    if !is_read {
        return Ok((found, size));
    }
    let read = blocks.bytes(size)?;
    let found = match found {
        CorpusFile::Text { path, .. } => CorpusFile::Text { path, bytes: read },
        CorpusFile::Licence { path, .. } => CorpusFile::Licence { path, bytes: read },
        other => other,
    };
    Ok((found, 0))
}

fn hard_link(path: String, target: &[u8]) -> CorpusFile {
    match inner_path(target) {
        // The second name of something that is no text is none either.
        Ok(target) if is_text(&path) => CorpusFile::Link { path, target, kind: LinkKind::Hard },
        Ok(_) => CorpusFile::Other(path),
        Err((target, reason)) => {
            CorpusFile::Bad { path, reason: format!("is a hard link to {target}, which {reason}") }
        }
    }
}

/// A long name ends with a zero.
fn without_end(mut name: Vec<u8>) -> Vec<u8> {
    if name.last() == Some(&0) {
        name.pop();
    }
    name
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Symlink => "a symbolic link without a target",
        EntryType::Link => "a hard link without a target",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a FIFO",
        EntryType::GNUSparse | EntryType::Regular | EntryType::Continuous => "a sparse file",
        _ => "of an unknown type",
    }
}

//! The names in a zip archive's central directory, which may repeat. The `zip` crate keeps the last of equal names and does not
//! tell.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// The longest end record: its fields and a comment (APPNOTE 6.3.10, section 4.3.16).
const LONGEST_END: u64 = 22 + 65_535;

const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const ENTRY: &[u8; 4] = b"PK\x01\x02";

/// The number of an archive's files, and how often names occur that occur more than once.
#[derive(Debug, Default, PartialEq)]
pub struct Directory {
    /// As the end record tells.
    pub files: u64,
    /// Names that occur several times, with their numbers.
    pub repeated: BTreeMap<Vec<u8>, u64>,
}

/// The position of the directory.
struct End {
    files: u64,
    start: u64,
    size: u64,
}

impl Directory {
    /// Reads the number of files first, and asks `admit` whether there may be so many. None if there is no directory where the
    /// end record says, so that the archive is broken or of an unusual form.
    ///
    /// # Errors
    /// When the archive cannot be read, or `admit` fails.
    pub fn read<Z: Read + Seek>(
        zip: &mut Z,
        admit: impl FnOnce(u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(end) = End::find(zip)? else { return Ok(None) };
        admit(end.files)?;
        zip.seek(SeekFrom::Start(end.start))?;
        let mut entries = BufReader::new(zip.by_ref().take(end.size));
        let mut counts = BTreeMap::<Vec<u8>, u64>::new();
        for _ in 0..end.files {
            let Some(name) = name_of_next(&mut entries)? else { return Ok(None) };
            *counts.entry(name).or_default() += 1;
        }
        counts.retain(|_, count| *count > 1);
        Ok(Some(Self { files: end.files, repeated: counts }))
    }
}

impl End {
    fn find(zip: &mut (impl Read + Seek)) -> io::Result<Option<Self>> {
        let length = zip.seek(SeekFrom::End(0))?;
        let from = length.saturating_sub(LONGEST_END);
        zip.seek(SeekFrom::Start(from))?;
        let mut tail = Vec::new();
        zip.by_ref().take(LONGEST_END).read_to_end(&mut tail)?;
        let found = |at: &usize| tail[*at..].starts_with(END) && tail.len() - at >= 22;
        let Some(at) = (0..tail.len().saturating_sub(21)).rev().find(found) else { return Ok(None) };
        let end = &tail[at..];
        let (files, size) = (u64::from(u16_at(end, 10)), u64::from(u32_at(end, 12)));
        let position = from + at as u64;
        if files != u64::from(u16::MAX) && size != u64::from(u32::MAX) {
            return Ok(position.checked_sub(size).map(|start| Self { files, start, size }));
        }
        Self::find_64(zip, position)
    }

    /// The end record with 64 bits, to which the 20 bytes before the other one lead (sections 4.3.14 and 4.3.15).
    fn find_64(zip: &mut (impl Read + Seek), position: u64) -> io::Result<Option<Self>> {
        let Some(locator) = position.checked_sub(20) else { return Ok(None) };
        let mut bytes = [0; 56];
        zip.seek(SeekFrom::Start(locator))?;
        zip.read_exact(&mut bytes[..20])?;
        let record = u64_at(&bytes, 8);
        zip.seek(SeekFrom::Start(record))?;
        if zip.read_exact(&mut bytes).is_err() || !bytes.starts_with(END_64) {
            return Ok(None);
        }
        let (files, size) = (u64_at(&bytes, 32), u64_at(&bytes, 40));
        Ok(record.checked_sub(size).map(|start| Self { files, start, size }))
    }
}

/// The name of the next entry; none if there is none (section 4.3.12).
fn name_of_next(entries: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0; 46];
    match entries.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    if !header.starts_with(ENTRY) {
        return Ok(None);
    }
    let [name, extra, comment] = [28, 30, 32].map(|at| u64::from(u16_at(&header, at)));
    let mut bytes = Vec::new();
    entries.by_ref().take(name).read_to_end(&mut bytes)?;
    io::copy(&mut entries.by_ref().take(extra + comment), &mut io::sink())?;
    Ok(Some(bytes))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

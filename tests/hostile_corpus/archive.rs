//! Archives byte by byte, as no library would write them.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

/// The length of tar's blocks.
pub const BLOCK: usize = 512;

/// A tar archive in memory.
#[derive(Clone, Default)]
pub struct Tar(pub Vec<u8>);

/// An article in the layout of livedoor.
pub fn article(title: &str) -> Vec<u8> {
    format!("http://a/\n2012-05-04T09:55:00+0900\n{title}\n本文\n").into_bytes()
}

/// The paths and bytes of a corpus of two categories with four articles each.
pub fn corpus() -> Vec<(String, Vec<u8>)> {
    let one = |number: usize| {
        let category = ["a", "b"][number % 2];
        (format!("{category}/{category}{number}.txt"), article(&format!("見出し{number}")))
    };
    (0..8).map(one).collect()
}

impl Tar {
    /// The corpus, without the archive's end.
    pub fn corpus() -> Self {
        corpus().into_iter().fold(Self::default(), |tar, (path, bytes)| tar.file(path.as_bytes(), &bytes))
    }

    /// Adds a plain file.
    pub fn file(self, path: &[u8], bytes: &[u8]) -> Self {
        self.entry(path, b'0', b"", bytes)
    }

    /// Adds an entry of any kind, with the name of a link's target.
    pub fn entry(self, path: &[u8], kind: u8, link: &[u8], bytes: &[u8]) -> Self {
        self.header(path, kind, link, &octal(bytes.len() as u64)).bytes(bytes)
    }

    /// Adds a header alone, with a size as it is written there.
    pub fn header(mut self, path: &[u8], kind: u8, link: &[u8], size: &[u8; 12]) -> Self {
        let mut block = [0; BLOCK];
        block[..path.len()].copy_from_slice(path);
        block[100..108].copy_from_slice(b"0000644\0");
        block[124..136].copy_from_slice(size);
        block[136..148].copy_from_slice(&octal(0));
        block[156] = kind;
        block[157..157 + link.len()].copy_from_slice(link);
        block[257..265].copy_from_slice(b"ustar  \0");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0.extend(block);
        self
    }

    /// Adds bytes up to the next block.
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// Adds an extended header with these records.
    pub fn pax(self, records: &[(&str, &str)]) -> Self {
        let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
        self.entry(b"pax", b'x', b"", records.as_bytes())
    }

    /// The archive with its end.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

/// A record whose length counts its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while format!("{length}{rest}").len() != length {
        length += 1;
    }
    format!("{length}{rest}")
}

/// A size in octal digits.
pub fn octal(size: u64) -> [u8; 12] {
    format!("{size:011o}\0").into_bytes().try_into().unwrap()
}

/// A size in base 256, which GNU tar writes if there are too few octal digits.
pub fn base_256(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[0] = 0x80;
    field[4..].copy_from_slice(&size.to_be_bytes());
    field
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

/// A zip archive of the corpus and more.
pub fn zip(more: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let corpus = corpus();
    let files = corpus.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice()));
    for (path, bytes) in files.chain(more.iter().copied()) {
        writer.start_file(path, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Replaces bytes everywhere by others of the same length.
pub fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(from.len()).position(|window| window == from) {
        bytes[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    assert!(at > 0, "nothing to replace");
    bytes
}

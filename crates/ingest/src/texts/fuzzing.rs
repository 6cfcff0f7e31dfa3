//! The readers of archives for cargo-fuzz (`tests/fuzz`), and tests that run them on damaged copies of its seeds.

use std::io::Cursor;

use midashi_config::CorpusLimits;

use crate::texts::admission::Admission;
use crate::texts::tar_archive::visit_tar;
use crate::texts::tar_pax::Pax;
use crate::texts::zip_archive::visit_zip;

#[path = "../../../../tests/fuzz/reader.rs"]
mod reader;

pub use reader::{Counting, Reader};

/// An uncompressed tar archive. A text and a long name of the largest size are held at a time.
pub const TAR: Reader = Reader {
    name: "tar",
    bytes_per_byte: 8,
    bytes: 1 << 17,
    read: |input| {
        let limits = limits();
        let mut admission = Admission::new(&limits, false);
        visit_tar(Cursor::new(input), &mut admission, &mut |_| Ok(())).is_ok()
    },
};

/// The extended header of a tar archive. A record takes five bytes, and in the map 32 for its key and value, in nodes that may
/// be half empty.
pub const PAX: Reader =
    Reader { name: "pax", bytes_per_byte: 32, bytes: 1 << 12, read: |input| Pax::parse(input).is_ok() };

/// A zip archive. A file takes 46 bytes of the directory at least, and some 300 of memory, in lists that double.
pub const ZIP: Reader = Reader {
    name: "zip",
    bytes_per_byte: 64,
    bytes: 1 << 18,
    read: |input| {
        let limits = limits();
        let mut admission = Admission::new(&limits, false);
        visit_zip(Cursor::new(input), &mut admission, &mut Vec::new(), &mut |_| Ok(())).is_ok()
    },
};

/// Bounds that small inputs can reach.
fn limits() -> CorpusLimits {
    CorpusLimits {
        text_bytes: 1 << 16,
        header_bytes: 1 << 14,
        unpacked_bytes: 1 << 20,
        ..CorpusLimits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::reader::replay::replay;
    use super::*;

    #[global_allocator]
    static MEMORY: Counting = Counting;

    #[test]
    fn damaged_tar_archives_do_no_harm() {
        replay(&TAR, 5_000);
    }

    #[test]
    fn damaged_extended_headers_do_no_harm() {
        replay(&PAX, 20_000);
    }

    #[test]
    fn damaged_zip_archives_do_no_harm() {
        replay(&ZIP, 5_000);
    }

    #[test]
    fn long_lists_stay_within_the_bound() {
        let records: String = (0..20_000_u32)
            .map(|key| {
                let record = format!(" {key}=\n");
                let digits = if record.len() < 9 { 1 } else { 2 };
                format!("{}{record}", record.len() + digits)
            })
            .collect();
        assert!(PAX.run(records.as_bytes()));
    }
}

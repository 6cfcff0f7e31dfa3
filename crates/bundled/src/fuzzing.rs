//! The reader of packed encoders for cargo-fuzz (`tests/fuzz`), and tests of it with its seeds.

#[path = "../../../tests/fuzz/reader.rs"]
mod reader;

pub use self::reader::{Counting, Reader};
use crate::checkpoint::parts;
use crate::packed::PackedEncoder;

/// A packed encoder, and the files of the checkpoint that is made from it, whose numbers are only counted. A tensor takes
/// 25 bytes of the file at least, and 40 of memory in a map of at most twice the size and 120 in the list of tensors.
pub const PACKED: Reader = Reader {
    name: "packed",
    bytes_per_byte: 64,
    bytes: 1 << 16,
    read: |input| {
        PackedEncoder::parse(input).is_ok_and(|encoder| {
            parts(&encoder)
                .is_ok_and(|(tensors, pieces)| tensors > 0 && pieces == encoder.vocabulary().pieces.len())
        })
    },
};

#[cfg(test)]
mod tests {
    use super::reader::replay::replay;
    use super::*;

    #[global_allocator]
    static MEMORY: Counting = Counting;

    #[test]
    fn damaged_packed_encoders_stay_within_the_bounds() {
        replay(&PACKED, 5_000);
    }
}

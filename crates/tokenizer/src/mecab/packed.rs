//! A packed dictionary for the fuzzer, which works on small inputs: `char.bin` is a quarter of a megabyte of almost equal
//! numbers.

use super::categories::CHARACTERS;
use super::compiled::CompiledDictionary;
use super::entries::MAGIC;

/// Unpacks a dictionary. Layout: the lengths (u16) of `sys.dic`, `unk.dic`, `matrix.bin` and of the start of `char.bin` up
/// to its characters; these four; then pairs of a count (u16) and the 32 bits of so many characters. The last pair is for
/// all remaining characters. The lengths within the `.dic` files are corrected, because wrong ones would end every run.
pub(crate) fn unpack(mut input: &[u8]) -> CompiledDictionary {
    /// Up to `length` bytes from the front of `input`.
    fn take<'a>(input: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (bytes, rest) = input.split_at(length.min(input.len()));
        *input = rest;
        bytes
    }
    let lengths: [usize; 4] = std::array::from_fn(|_| {
        take(&mut input, 2).iter().rev().fold(0, |high, &low| high << 8 | usize::from(low))
    });
    let mut files = lengths.map(|length| take(&mut input, length).to_vec());
    for file in &mut files[..2] {
        let length = file.len() as u32;
        if let Some(magic) = file.first_chunk_mut() {
            *magic = (length ^ MAGIC).to_le_bytes();
        }
    }
    let start = files[3].len();
    let end = start + 4 * CHARACTERS;
    let (runs, _) = input.as_chunks::<6>();
    for [low, high, info @ ..] in runs {
        let count = usize::from(u16::from_le_bytes([*low, *high]));
        let count = count.min((end - files[3].len()) / 4);
        files[3].extend(info.repeat(count));
    }
    if let Some([_, _, info @ ..]) = runs.last() {
        let left = (end - files[3].len()) / 4;
        files[3].extend(info.repeat(left));
    }
    CompiledDictionary { folder: "fuzz".into(), files }
}

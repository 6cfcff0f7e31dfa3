//! Pieces whose characters stand for bytes, as in GPT-2's byte-level BPE.

use std::collections::HashMap;

use super::wanted::Wanted;

/// The alphabet of 256 characters that stand for bytes.
#[derive(Debug)]
pub(super) struct ByteAlphabet(HashMap<char, u8>);

impl ByteAlphabet {
    /// GPT-2's alphabet (`bytes_to_unicode` in its `encoder.py`): printable bytes of Latin-1 stand for themselves, the
    /// others are U+0100 and the characters after it, in their order.
    pub(super) fn new() -> Self {
        let mut next = 0x100;
        let mut character = |byte: u8| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
            _ => {
                next += 1;
                char::from_u32(next - 1).unwrap_or_default()
            }
        };
        Self((0..=u8::MAX).map(|byte| (character(byte), byte)).collect())
    }

    /// Whether a piece is kept: the whole characters in its bytes are. A part of a character at its start or end may be
    /// one of a kept character.
    pub(super) fn keeps(&self, wanted: &Wanted, piece: &str) -> bool {
        let bytes: Option<Vec<u8>> = piece.chars().map(|character| self.0.get(&character).copied()).collect();
        // A piece outside of the alphabet is an added token or a mark of the model's own.
        bytes.is_none_or(|bytes| bytes.utf8_chunks().all(|chunk| wanted.keeps(chunk.valid())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_judged_by_the_characters_of_its_bytes() {
        let (alphabet, wanted) = (ByteAlphabet::new(), Wanted::default());
        let spelled = |bytes: &[u8]| -> String {
            let character = |byte: &u8| alphabet.0.iter().find(|(_, known)| *known == byte).unwrap().0;
            bytes.iter().map(character).collect()
        };
        assert_eq!(spelled(" A".as_bytes()), "ĠA");
        assert_eq!(spelled("\n".as_bytes()), "Ċ");
        let tokyo = "東京".as_bytes();
        for kept in [tokyo, &tokyo[..4], &tokyo[1..], &tokyo[1..2], b" the"] {
            assert!(alphabet.keeps(&wanted, &spelled(kept)), "{kept:?}");
        }
        for dropped in ["한국", "เมือง", "привет"] {
            assert!(!alphabet.keeps(&wanted, &spelled(dropped.as_bytes())), "{dropped}");
        }
    }
}

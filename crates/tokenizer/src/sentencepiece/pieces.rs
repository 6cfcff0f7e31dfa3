//! The pieces of a SentencePiece model, with their kinds and scores.

use std::collections::HashMap;
use std::sync::Arc;

use super::proto::PieceProto;
use super::trie::Trie;

/// What a piece is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A piece that the training found.
    Normal,
    /// The piece for what no other piece spells.
    Unknown,
    /// A piece that no text contains, such as `</s>`.
    Control,
    /// A piece that is always kept whole.
    UserDefined,
    /// A piece that takes part in the training of others and is not used.
    Unused,
    /// One byte of a character that no piece spells.
    Byte,
}

impl Kind {
    /// The kind with this number in the model file.
    fn of(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => return None,
        })
    }

    /// Whether pieces of this kind are looked for in texts.
    fn is_in_texts(self) -> bool {
        matches!(self, Self::Normal | Self::UserDefined | Self::Unused)
    }
}

/// What is wrong with a model's pieces.
#[derive(Debug)]
pub(crate) struct BadPiece {
    /// Where.
    pub(super) place: String,
    /// What was found there.
    pub(crate) found: String,
    /// What was expected there.
    pub(crate) expected: String,
}

/// A piece.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) text: Arc<str>,
    pub(crate) score: f32,
    pub(crate) kind: Kind,
}

/// All pieces of a model, by their ids.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: Vec<Piece>,
    ids: HashMap<Arc<str>, u32>,
    /// The pieces that are looked for in texts.
    in_texts: Trie,
    has_user_defined: bool,
    pub(crate) unknown: u32,
    /// The ids of the 256 bytes, if characters that no piece spells are spelled in bytes.
    pub(super) bytes: Option<Vec<u32>>,
}

impl Pieces {
    /// Checks the pieces of a model file as SentencePiece does.
    pub(super) fn new(protos: Vec<PieceProto>, byte_fallback: bool) -> Result<Self, BadPiece> {
        let bad = |place: String, found: String, expected: &str| BadPiece {
            place,
            found,
            expected: expected.to_owned(),
        };
        let mut pieces: Vec<Piece> = Vec::with_capacity(protos.len());
        let mut ids = HashMap::with_capacity(protos.len());
        let mut unknown = None;
        for (id, proto) in (0_u32..).zip(protos) {
            let place = || format!("piece {id}");
            let text: Arc<str> = proto.piece.unwrap_or_default().into();
            let number = proto.kind.unwrap_or(1);
            let kind =
                Kind::of(number).ok_or_else(|| bad(place(), format!("type {number}"), "a type of 1 to 6"))?;
            let score = proto.score.unwrap_or_default();
            if text.is_empty() || !score.is_finite() {
                let found = format!("{text:?} with score {score}");
                return Err(bad(place(), found, "a piece that is not empty, with a finite score"));
            }
            if ids.insert(text.clone(), id).is_some() {
                return Err(bad(place(), format!("{text:?} for the second time"), "every piece once"));
            }
            if kind == Kind::Unknown && unknown.replace(id).is_some() {
                return Err(bad(place(), "a second unknown piece".to_owned(), "one unknown piece"));
            }
            if kind == Kind::Byte && !byte_fallback {
                return Err(bad(place(), format!("byte {text:?}"), "no bytes without byte_fallback"));
            }
            pieces.push(Piece { text, score, kind });
        }
        let end = || "pieces".to_owned();
        let unknown =
            unknown.ok_or_else(|| bad(end(), "no unknown piece".to_owned(), "a piece of type 2"))?;
        let byte = |byte: u8| {
            let text = byte_piece(byte);
            let id = ids.get(text.as_str()).copied();
            let id = id.filter(|&id| pieces.get(id as usize).is_some_and(|piece| piece.kind == Kind::Byte));
            id.ok_or_else(|| bad(end(), format!("no byte {text}"), "all 256 bytes with byte_fallback"))
        };
        let bytes =
            if byte_fallback { Some((0..=u8::MAX).map(byte).collect::<Result<Vec<_>, _>>()?) } else { None };
        let sorted = (0_u32..).zip(&pieces).filter(|(_, piece)| piece.kind.is_in_texts());
        let mut sorted: Vec<(&str, u32)> = sorted.map(|(id, piece)| (&*piece.text, id)).collect();
        sorted.sort_unstable();
        let in_texts = Trie::new(&sorted);
        let has_user_defined = pieces.iter().any(|piece| piece.kind == Kind::UserDefined);
        Ok(Self { ids, in_texts, has_user_defined, unknown, bytes, pieces })
    }

    /// All pieces, by their ids.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Piece> {
        self.pieces.iter()
    }

    /// The piece with this id; none beyond the last.
    pub(crate) fn get(&self, id: u32) -> Option<&Piece> {
        self.pieces.get(id as usize)
    }

    /// The id of a piece of any kind, or of the unknown piece.
    pub(super) fn id(&self, text: &str) -> u32 {
        self.ids.get(text).copied().unwrap_or(self.unknown)
    }

    /// The id of a piece that is looked for in texts.
    pub(super) fn id_in_texts(&self, text: &str) -> Option<u32> {
        let id = self.ids.get(text).copied()?;
        self.get(id).is_some_and(|piece| piece.kind.is_in_texts()).then_some(id)
    }

    /// Score and kind of the piece with this id.
    pub(super) fn score(&self, id: u32) -> (f32, Kind) {
        self.get(id).map_or((0.0, Kind::Unknown), |piece| (piece.score, piece.kind))
    }

    /// The pieces that `text` starts with, shortest first: length in bytes, and id.
    pub(super) fn prefixes(&self, text: &str) -> impl Iterator<Item = (usize, u32)> {
        self.in_texts.prefixes(text)
    }

    /// Length in bytes of the longest user-defined piece that `text` starts with.
    pub(super) fn user_defined_prefix(&self, text: &str) -> Option<usize> {
        if !self.has_user_defined {
            return None;
        }
        let found = self.prefixes(text).filter(|&(_, id)| self.score(id).1 == Kind::UserDefined);
        found.last().map(|(length, _)| length)
    }
}

/// The spelling of a byte's piece.
pub(crate) fn byte_piece(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proto(piece: &str, kind: i32) -> PieceProto {
        PieceProto { piece: Some(piece.to_owned()), score: Some(0.0), kind: Some(kind) }
    }

    fn pieces(texts: &[(&str, i32)]) -> Result<Pieces, BadPiece> {
        let protos = [("<unk>", 2)].iter().chain(texts).map(|&(text, kind)| proto(text, kind));
        Pieces::new(protos.collect(), false)
    }

    #[test]
    fn control_pieces_are_not_looked_for() {
        let pieces =
            pieces(&[("東京都", 1), ("東", 1), ("京", 1), ("東京", 1), ("東北", 1), ("東京<", 3)]).unwrap();
        let found: Vec<_> = pieces.prefixes("東京都庁").collect();
        assert_eq!(found, [(3, 2), (6, 4), (9, 1)]);
        assert_eq!(pieces.prefixes("東").collect::<Vec<_>>(), [(3, 2)]);
        assert_eq!(pieces.prefixes("").count() + pieces.prefixes("西").count(), 0);
    }

    #[test]
    fn bad_pieces_are_named() {
        for (texts, expected) in [
            (&[("a", 1), ("a", 1)][..], "for the second time"),
            (&[("a", 7)], "type 7"),
            (&[("", 1)], "\"\" with score 0"),
            (&[("[UNK]", 2)], "a second unknown piece"),
            (&[("<0x00>", 6)], "byte \"<0x00>\""),
        ] {
            let found = pieces(texts).unwrap_err();
            assert!(found.found.contains(expected), "{found:?}");
        }
        assert!(Pieces::new(vec![proto("a", 1)], false).unwrap_err().found.contains("no unknown piece"));
        let without = Pieces::new(vec![proto("<unk>", 2), proto("<0x00>", 6)], true).unwrap_err();
        assert!(without.found.contains("no byte <0x01>"), "{without:?}");
    }
}

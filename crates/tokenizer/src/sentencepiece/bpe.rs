//! SentencePiece's BPE (Sennrich et al. 2016, `bpe_model.cc`): the two neighbours whose union has the largest score are
//! joined, until no union is a piece.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

use super::pieces::{Kind, Pieces};

/// A part of the text, in a list linked by positions.
struct Symbol {
    /// Its bytes; empty if it was joined to the one before.
    bytes: Range<usize>,
    before: Option<usize>,
    after: Option<usize>,
    /// Whether it is a user-defined piece, which is joined to nothing.
    is_frozen: bool,
}

/// Two neighbours whose union is a piece.
#[derive(PartialEq)]
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of the union, to find out that one of the two was joined meanwhile.
    length: usize,
}

impl Eq for Pair {}

impl Ord for Pair {
    /// The larger score comes first, and the left one of equal scores.
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A text while its parts are joined.
struct Joining<'a> {
    text: &'a str,
    pieces: &'a Pieces,
    symbols: Vec<Symbol>,
    pairs: BinaryHeap<Pair>,
    /// Unused pieces, and the end of the left of the two parts that they were joined from, relative to their start.
    taken_apart: HashMap<&'a str, usize>,
}

/// Cuts a text into pieces, an unknown character into the unknown piece: their bytes and ids.
pub(super) fn cut(text: &str, pieces: &Pieces) -> Vec<(Range<usize>, u32)> {
    let mut joining = Joining {
        text,
        pieces,
        symbols: symbols(text, pieces),
        pairs: BinaryHeap::new(),
        taken_apart: HashMap::new(),
    };
    for right in 1..joining.symbols.len() {
        joining.consider(Some(right - 1), Some(right));
    }
    while let Some(pair) = joining.pairs.pop() {
        joining.join(&pair);
    }
    let mut cut = Vec::new();
    for symbol in &joining.symbols {
        if !symbol.bytes.is_empty() {
            joining.output(symbol.bytes.clone(), &mut cut);
        }
    }
    cut
}

/// The characters and user-defined pieces of a text.
fn symbols(text: &str, pieces: &Pieces) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = Vec::with_capacity(text.len());
    let mut start = 0;
    while let Some(rest) = text.get(start..)
        && let Some(first) = rest.chars().next()
    {
        let user_defined = pieces.user_defined_prefix(rest);
        let end = start + user_defined.unwrap_or(first.len_utf8());
        let before = symbols.len().checked_sub(1);
        let after = (end < text.len()).then_some(symbols.len() + 1);
        symbols.push(Symbol { bytes: start..end, before, after, is_frozen: user_defined.is_some() });
        start = end;
    }
    symbols
}

impl Joining<'_> {
    /// Remembers two neighbours if their union is a piece.
    fn consider(&mut self, left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        let (Some(first), Some(second)) = (self.symbols.get(left), self.symbols.get(right)) else { return };
        if first.is_frozen || second.is_frozen {
            return;
        }
        let bytes = first.bytes.start..second.bytes.end;
        let Some(union) = self.text.get(bytes.clone()) else { return };
        let Some(id) = self.pieces.id_in_texts(union) else { return };
        let (score, kind) = self.pieces.score(id);
        if kind == Kind::Unused {
            self.taken_apart.insert(union, first.bytes.len());
        }
        self.pairs.push(Pair { score, left, right, length: bytes.len() });
    }

    /// Joins the two neighbours, unless one of them was joined to another before.
    fn join(&mut self, pair: &Pair) {
        let (Some(left), Some(right)) = (self.symbols.get(pair.left), self.symbols.get(pair.right)) else {
            return;
        };
        let (bytes, before, after) = (left.bytes.start..right.bytes.end, left.before, right.after);
        let lengths = left.bytes.len() + right.bytes.len();
        if left.bytes.is_empty() || right.bytes.is_empty() || lengths != pair.length {
            return;
        }
        if let Some(left) = self.symbols.get_mut(pair.left) {
            left.bytes = bytes;
            left.after = after;
        }
        if let Some(right) = self.symbols.get_mut(pair.right) {
            right.bytes = 0..0;
        }
        if let Some(after) = after.and_then(|after| self.symbols.get_mut(after)) {
            after.before = Some(pair.left);
        }
        self.consider(before, Some(pair.left));
        self.consider(Some(pair.left), after);
    }

    /// Adds a part of the text to `cut`; an unused piece as the parts that it was joined from.
    fn output(&self, bytes: Range<usize>, cut: &mut Vec<(Range<usize>, u32)>) {
        let text = self.text.get(bytes.clone()).unwrap_or_default();
        let id = self.pieces.id(text);
        match self.taken_apart.get(text) {
            Some(&left) if self.pieces.score(id).1 == Kind::Unused => {
                self.output(bytes.start..bytes.start + left, cut);
                self.output(bytes.start + left..bytes.end, cut);
            }
            _ => cut.push((bytes, id)),
        }
    }
}

//! A trie of the bytes of pieces.

use std::ops::Range;

/// The largest number stands for a node where no piece ends.
const NONE: u32 = u32::MAX;

/// A trie. Nodes are numbered breadth first, so that the children of a node lie together, in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct Trie {
    /// The byte that leads to a node.
    bytes: Vec<u8>,
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    children: Range<u32>,
    /// The id of the piece that ends here.
    id: u32,
}

impl Trie {
    /// The trie of pieces with their ids. The pieces are in the order of their bytes and each is there once.
    pub(super) fn new(sorted: &[(&str, u32)]) -> Self {
        let mut trie = Self::default();
        // For each node, the pieces that start with its bytes, and how many bytes those are.
        let mut starting = vec![(0..sorted.len(), 0)];
        trie.push(0);
        let mut at = 0;
        while let Some((range, depth)) = starting.get(at).cloned() {
            let first_child = trie.nodes.len();
            let (mut id, mut from) = (NONE, range.start);
            while let Some((text, piece)) = sorted.get(from).filter(|_| from < range.end) {
                let Some(&byte) = text.as_bytes().get(depth) else {
                    id = *piece;
                    from += 1;
                    continue;
                };
                let same = sorted.get(from..range.end).unwrap_or_default();
                let count = same.partition_point(|(text, _)| text.as_bytes().get(depth) <= Some(&byte));
                trie.push(byte);
                starting.push((from..from + count, depth + 1));
                from += count;
            }
            let index = |node: usize| u32::try_from(node).unwrap_or(NONE);
            let children = index(first_child)..index(trie.nodes.len());
            if let Some(node) = trie.nodes.get_mut(at) {
                *node = Node { children, id };
            }
            at += 1;
        }
        trie
    }

    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
        self.nodes.push(Node { children: 0..0, id: NONE });
    }

    /// The pieces that `text` starts with, shortest first: length in bytes, and id.
    pub(super) fn prefixes(&self, text: &str) -> impl Iterator<Item = (usize, u32)> {
        let mut node = self.nodes.first();
        let mut bytes = text.bytes().enumerate();
        std::iter::from_fn(move || {
            loop {
                let (at, byte) = bytes.next()?;
                let Range { start, end } = node?.children;
                let children = self.bytes.get(start as usize..end as usize)?;
                let child = start as usize + children.binary_search(&byte).ok()?;
                node = self.nodes.get(child);
                if let Some(id) = node.map(|node| node.id).filter(|&id| id != NONE) {
                    return Some((at + 1, id));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_shortest_first() {
        let mut pieces = [("東京都", 1), ("東", 2), ("京", 3), ("東京", 4), ("東北", 5), ("a", 6), ("ab", 7)];
        pieces.sort_unstable();
        let trie = Trie::new(&pieces);
        let found = |text: &str| trie.prefixes(text).collect::<Vec<_>>();
        assert_eq!(found("東京都庁"), [(3, 2), (6, 4), (9, 1)]);
        assert_eq!(found("東"), [(3, 2)]);
        assert_eq!(found("abc"), [(1, 6), (2, 7)]);
        assert_eq!((found(""), found("西"), Trie::new(&[]).prefixes("a").count()), (vec![], vec![], 0));
    }
}

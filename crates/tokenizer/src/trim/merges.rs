//! What the merges of BPE need: a piece is made of smaller ones, which therefore stay with it.

use std::collections::HashSet;

/// A merge: its left and right piece, and what they become.
pub(super) struct Merge {
    pub(super) left: String,
    pub(super) right: String,
    pub(super) result: String,
}

/// Adds to `kept` the pieces of which those in it can be merged.
///
/// Then a merge remains if and only if its result does, and every merge that made a kept piece remains.
pub(super) fn close(merges: &[Merge], kept: &mut HashSet<String>) {
    // Results are made of earlier merges, so that from the last to the first, one pass is nearly always enough.
    loop {
        let before = kept.len();
        for merge in merges.iter().rev() {
            if kept.contains(&merge.result) {
                kept.insert(merge.left.clone());
                kept.insert(merge.right.clone());
            }
        }
        if kept.len() == before {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_kept_piece_are_kept() {
        let merge = |left: &str, right: &str| Merge {
            left: left.to_owned(),
            right: right.to_owned(),
            result: format!("{left}{right}"),
        };
        let merges = [merge("c", "d"), merge("a", "b"), merge("ab", "c"), merge("ab", "cd"), merge("x", "y")];
        let mut kept = HashSet::from(["abcd".to_owned()]);
        close(&merges, &mut kept);
        let expected = ["abcd", "ab", "cd", "a", "b", "c", "d"];
        assert_eq!(kept, expected.into_iter().map(str::to_owned).collect());
    }
}

//! Which texts of the corpus are used.

use midashi_artifacts::{Split, TokenizedCorpus};

/// The indices of a split's texts in the corpus.
pub fn in_split(corpus: &TokenizedCorpus, split: Split) -> Vec<usize> {
    (0..corpus.texts.len()).filter(|&text| corpus.texts[text].split == split).collect()
}

/// `count` items at equal distances. In texts sorted by category, each category keeps its share.
pub fn evenly_spaced<T: Clone>(items: &[T], count: usize) -> Vec<T> {
    let count = count.min(items.len());
    (0..count).map(|at| items[at * items.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_texts_are_evenly_spaced_over_the_split() {
        assert_eq!(evenly_spaced(&[5, 6, 7, 8, 9, 10], 3), [5, 7, 9]);
        assert_eq!(evenly_spaced(&[5, 6], 10), [5, 6], "no more than there are");
        assert!(evenly_spaced::<usize>(&[5, 6], 0).is_empty());
    }
}

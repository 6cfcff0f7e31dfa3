//! Texts without some of their words, as ERASER asks for them (DeYoung et al. 2020).

use midashi_artifacts::{Replacement, TokenizedText, Unit};
use midashi_bert::TextIds;

/// How units are taken from a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// Each of their tokens is replaced.
    Masked,
    /// Their tokens are left out.
    Removed,
}

/// Which units of a text are taken, one flag for each.
pub type Erased = Vec<bool>;

/// Positions of each unit's tokens, in the order of the text; special tokens are in none.
pub fn units_of(text: &TokenizedText, unit: Unit) -> Vec<Vec<usize>> {
    let mut units: Vec<(i32, Vec<usize>)> = Vec::new();
    for (position, word) in text.word_ids.iter().enumerate() {
        let Some(word) = *word else { continue };
        match units.last_mut() {
            Some((last, positions)) if unit == Unit::Words && *last == word => positions.push(position),
            _ => units.push((word, vec![position])),
        }
    }
    units.into_iter().map(|(_, positions)| positions).collect()
}

/// Ids and token types of the text without the `erased` units; special tokens stay.
pub fn erase(
    text: TextIds<'_>,
    units: &[Vec<usize>],
    erased: &[bool],
    how: How,
    replacement: &Replacement,
) -> (Vec<i32>, Vec<i32>) {
    let mut taken = vec![false; text.input_ids.len()];
    for (positions, _) in units.iter().zip(erased).filter(|(_, erased)| **erased) {
        positions.iter().for_each(|&position| taken[position] = true);
    }
    let tokens = text.input_ids.iter().zip(text.token_type_ids).zip(taken);
    match how {
        How::Masked => {
            tokens.map(|((&id, &kind), taken)| (if taken { replacement.id } else { id }, kind)).unzip()
        }
        How::Removed => tokens.filter(|(_, taken)| !taken).map(|((&id, &kind), _)| (id, kind)).unzip(),
    }
}

/// The heaviest `share` of the units, at least one; of equally heavy ones the first.
pub fn heaviest(weights: &[f64], share: f64) -> Erased {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&one, &other| weights[other].total_cmp(&weights[one]));
    let count = (share * weights.len() as f64).ceil() as usize;
    let mut chosen = vec![false; weights.len()];
    order.into_iter().take(count).for_each(|unit| chosen[unit] = true);
    chosen
}

/// The units that `erased` leaves.
pub fn others(erased: &[bool]) -> Erased {
    erased.iter().map(|erased| !erased).collect()
}

#[cfg(test)]
mod tests {
    use midashi_artifacts::{CategoryId, Split};

    use super::*;

    /// `[CLS] a ##b c [SEP] c [SEP]`, a pair whose second text goes on counting words.
    fn text() -> TokenizedText {
        TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Test,
            original: String::new(),
            text: String::new(),
            input_ids: vec![2, 10, 11, 12, 3, 12, 3],
            token_type_ids: vec![0, 0, 0, 0, 0, 1, 1],
            tokens: vec![],
            word_ids: vec![None, Some(0), Some(0), Some(1), None, Some(2), None],
            offsets: vec![],
            original_offsets: vec![],
        }
    }

    #[test]
    fn units_are_words_or_tokens_and_never_special() {
        assert_eq!(units_of(&text(), Unit::Words), [vec![1, 2], vec![3], vec![5]]);
        assert_eq!(units_of(&text(), Unit::Tokens), [[1], [2], [3], [5]]);
    }

    #[test]
    fn erased_units_are_replaced_or_left_out_token_by_token() {
        let text = text();
        let ids = TextIds { input_ids: &text.input_ids, token_type_ids: &text.token_type_ids };
        let replacement = Replacement { id: 4, token: "[MASK]".into() };
        let units = units_of(&text, Unit::Words);
        let erase = |erased: &[bool], how| erase(ids, &units, erased, how, &replacement);
        let masked = erase(&[true, false, true], How::Masked);
        assert_eq!(masked, (vec![2, 4, 4, 12, 3, 4, 3], text.token_type_ids.clone()));
        let removed = erase(&[true, false, true], How::Removed);
        assert_eq!(removed, (vec![2, 12, 3, 3], vec![0, 0, 0, 1]));
    }

    #[test]
    fn the_heaviest_share_is_rounded_up_and_ties_go_to_the_first() {
        assert_eq!(heaviest(&[0.1, 0.3, 0.3, -1.0], 0.1), [false, true, false, false]);
        assert_eq!(heaviest(&[0.1, 0.3, 0.3, -1.0], 0.5), [false, true, true, false]);
        assert_eq!(others(&[true, false]), [false, true]);
    }
}

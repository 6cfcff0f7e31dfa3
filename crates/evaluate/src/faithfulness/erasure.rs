//! Texts without some of their units, as ERASER defines them (DeYoung et al. 2020).

use midashi_artifacts::Replacement;
use midashi_text::{Encoding, Unit};

/// Shares of a text's units that are erased. ERASER uses 1, 5, 10, 20 and 50 %; the first two round to the
/// same single word in a headline.
pub const SHARES: [f64; 3] = [0.1, 0.2, 0.5];

/// How units are erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Each of their tokens is replaced.
    Masked,
    /// Their tokens are removed.
    Removed,
}

/// Which units of a text are erased: one flag per unit.
pub type Selection = Vec<bool>;

/// Positions of each unit's tokens, in the order of the text. Special tokens belong to no unit.
pub fn units_of(text: &Encoding, unit: Unit) -> Vec<Vec<usize>> {
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

/// The weight of each unit: the sum over its tokens.
pub fn sums_by_unit(units: &[Vec<usize>], weights: &[f32]) -> Vec<f64> {
    units.iter().map(|positions| positions.iter().map(|&at| f64::from(weights[at])).sum()).collect()
}

/// Each unit's number divided evenly among its tokens; 0 for special tokens.
pub fn divided_among_tokens(units: &[Vec<usize>], numbers: &[f64], tokens: usize) -> Vec<f32> {
    let mut divided = vec![0.0; tokens];
    for (positions, number) in units.iter().zip(numbers) {
        positions.iter().for_each(|&at| divided[at] = (number / positions.len() as f64) as f32);
    }
    divided
}

/// The text without the units of `selection`. Special tokens stay. The author's text and the tokens' spelling, which the
/// model does not read, are left out.
pub fn erase(
    text: &Encoding,
    units: &[Vec<usize>],
    selection: &[bool],
    mode: Mode,
    replacement: &Replacement,
) -> Encoding {
    let text = Encoding {
        input_ids: text.input_ids.clone(),
        token_type_ids: text.token_type_ids.clone(),
        word_ids: text.word_ids.clone(),
        offsets: text.offsets.clone(),
        ..Encoding::default()
    };
    let mut erased = vec![false; text.len()];
    for (positions, _) in units.iter().zip(selection).filter(|(_, selected)| **selected) {
        positions.iter().for_each(|&position| erased[position] = true);
    }
    match mode {
        Mode::Masked => {
            let ids = text.input_ids.iter().zip(erased);
            let input_ids = ids.map(|(&id, erased)| if erased { replacement.id } else { id }).collect();
            Encoding { input_ids, ..text }
        }
        Mode::Removed => {
            let kept: Vec<usize> = (0..text.len()).filter(|&at| !erased[at]).collect();
            text.only(&kept)
        }
    }
}

/// For each of [`SHARES`] the units with the highest weights.
pub fn top_shares(weights: &[f64]) -> Vec<Selection> {
    SHARES.iter().map(|&share| top_share(weights, share)).collect()
}

/// The `share` of the units with the highest weights, rounded up. Ties go to the earlier unit.
fn top_share(weights: &[f64], share: f64) -> Selection {
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&one, &other| weights[other].total_cmp(&weights[one]));
    let count = (share * weights.len() as f64).ceil() as usize;
    let mut selection = vec![false; weights.len()];
    order.into_iter().take(count).for_each(|unit| selection[unit] = true);
    selection
}

/// The units that `selection` does not hold.
pub fn complement(selection: &[bool]) -> Selection {
    selection.iter().map(|selected| !selected).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[CLS] a ##b c [SEP] c [SEP]`, a pair whose second text continues the word ids.
    fn text() -> Encoding {
        Encoding {
            input_ids: vec![2, 10, 11, 12, 3, 12, 3],
            token_type_ids: vec![0, 0, 0, 0, 0, 1, 1],
            word_ids: vec![None, Some(0), Some(0), Some(1), None, Some(2), None],
            ..Encoding::default()
        }
    }

    #[test]
    fn units_are_words_or_tokens_and_never_special() {
        assert_eq!(units_of(&text(), Unit::Words), [vec![1, 2], vec![3], vec![5]]);
        assert_eq!(units_of(&text(), Unit::Tokens), [[1], [2], [3], [5]]);
    }

    #[test]
    fn erased_units_are_replaced_or_removed_token_by_token() {
        let text = text();
        let replacement = Replacement { id: 4, token: "[MASK]".into() };
        let units = units_of(&text, Unit::Words);
        let erase = |selection: &[bool], mode| {
            let erased = erase(&text, &units, selection, mode, &replacement);
            (erased.input_ids, erased.token_type_ids, erased.word_ids.len())
        };
        let masked = erase(&[true, false, true], Mode::Masked);
        assert_eq!(masked, (vec![2, 4, 4, 12, 3, 4, 3], text.token_type_ids.clone(), 7));
        let removed = erase(&[true, false, true], Mode::Removed);
        assert_eq!(removed, (vec![2, 12, 3, 3], vec![0, 0, 0, 1], 4));
    }

    #[test]
    fn the_top_share_is_rounded_up_and_ties_go_to_the_first() {
        assert_eq!(top_share(&[0.1, 0.3, 0.3, -1.0], 0.1), [false, true, false, false]);
        assert_eq!(top_share(&[0.1, 0.3, 0.3, -1.0], 0.5), [false, true, true, false]);
        assert_eq!(complement(&[true, false]), [false, true]);
    }
}

//! A text's words with their weights, and the text without some of them.

use midashi_text::{Encoding, Error, Part, Piece, Unit, parts, shaped};
use serde::{Deserialize, Serialize};

/// How a word is switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Its tokens are replaced by the mask token.
    #[default]
    Mask,
    /// Its tokens are removed.
    Delete,
}

/// The words of a text, as they can be coloured and switched off.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// Words, or tokens where the tokenizer has no words.
    pub unit: Unit,
    /// In the order of the text.
    pub words: Vec<Word>,
}

/// One word.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Word {
    /// As its author wrote it; empty for a token without a source in the text.
    pub text: String,
    /// The text for display: invisible characters by their code points, an empty text by the tokens' spelling.
    pub shown: String,
    /// First character in the text and the one after the last, counted in Unicode scalar values.
    pub characters: (usize, usize),
    /// The tokens as the vocabulary spells them.
    pub tokens: Vec<String>,
    /// Whether it is switched off.
    pub off: bool,
    /// Sum of its tokens' weights; none if it is switched off.
    pub weight: Option<f32>,
    /// Share of the absolute weights of all tokens, special tokens included.
    pub share: Option<f32>,
    /// `weight` relative to the strongest word, in [-1, 1]; negative only for methods with a sign.
    pub strength: Option<f32>,
    /// Places of its tokens in the encoding.
    #[serde(skip)]
    pub places: Vec<usize>,
}

impl Words {
    /// The words of a text, all switched on and without weights.
    ///
    /// # Errors
    /// When a token's characters are not in the text.
    pub fn of(encoding: &Encoding) -> Result<Self, Error> {
        let unit = Unit::of([encoding]);
        // Pieces have the tokens of the text in the order of the encoding.
        let mut places = (0..encoding.len()).filter(|&at| encoding.word_ids[at].is_some());
        let (mut words, mut start) = (Vec::new(), 0);
        for part in parts(encoding, &vec![0.0; encoding.len()])? {
            match part {
                Part::Uncoloured(text) => start += text.chars().count(),
                Part::Unread(_) => {}
                Part::Word(pieces) => {
                    let at_once = if unit == Unit::Words { pieces.len().max(1) } else { 1 };
                    for pieces in pieces.chunks(at_once) {
                        let word = Word::of(pieces, start, &mut places);
                        start = word.characters.1;
                        words.push(word);
                    }
                }
            }
        }
        Ok(Self { unit, words })
    }

    /// Switches the words at these places off.
    ///
    /// # Errors
    /// A place where there is no word.
    pub fn switch_off(&mut self, places: &[usize]) -> Result<(), usize> {
        for &place in places {
            self.words.get_mut(place).ok_or(place)?.off = true;
        }
        Ok(())
    }

    /// The text without the words that are off, and the places that its tokens had. `mask` is needed for
    /// [`Switch::Mask`] only.
    pub fn remaining(&self, encoding: &Encoding, switch: Switch, mask: i32) -> (Encoding, Vec<usize>) {
        let off: Vec<usize> =
            self.words.iter().filter(|word| word.off).flat_map(|word| word.places.clone()).collect();
        let all = 0..encoding.len();
        match switch {
            Switch::Mask => {
                let mut masked = encoding.clone();
                off.into_iter().for_each(|at| masked.input_ids[at] = mask);
                (masked, all.collect())
            }
            Switch::Delete => {
                let kept: Vec<usize> = all.filter(|at| !off.contains(at)).collect();
                (encoding.only(&kept), kept)
            }
        }
    }

    /// Sets the weights of all words that are on. `weights` has one item for each token of the text.
    pub fn weigh(&mut self, weights: &[f64]) {
        let total: f64 = weights.iter().map(|weight| weight.abs()).sum();
        let weight = |word: &Word| word.places.iter().map(|&at| weights[at]).sum::<f64>();
        let on = || self.words.iter().filter(|word| !word.off);
        let strongest = on().map(|word| weight(word).abs()).fold(0.0, f64::max);
        let relative = |weight: f64, whole: f64| if whole > 0.0 { (weight / whole) as f32 } else { 0.0 };
        for word in self.words.iter_mut().filter(|word| !word.off) {
            let weight = weight(word);
            word.weight = Some(weight as f32);
            word.share = Some(relative(weight, total));
            word.strength = Some(relative(weight, strongest));
        }
    }
}

impl Word {
    /// `pieces` that follow one another from the character `start` on; their tokens are at the next of `places`.
    fn of(pieces: &[Piece], start: usize, places: &mut impl Iterator<Item = usize>) -> Self {
        let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        let tokens: Vec<String> = pieces.iter().flat_map(|piece| piece.tokens.clone()).collect();
        let shown = match pieces {
            _ if text.is_empty() => shaped(&tokens.concat()),
            [Piece { stand_in: Some(stand_in), .. }] => stand_in.clone(),
            _ => text.clone(),
        };
        Self {
            characters: (start, start + text.chars().count()),
            places: places.take(tokens.len()).collect(),
            text,
            shown,
            tokens,
            off: false,
            weight: None,
            share: None,
            strength: None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `モデル 夏`: a word of two tokens, a space, a word of one.
    fn encoding() -> Encoding {
        let tokens = ["[CLS]", "モ", "##デル", "夏", "[SEP]"];
        Encoding {
            original: "モデル 夏".into(),
            text: "モデル 夏".into(),
            input_ids: vec![2, 10, 11, 12, 3],
            token_type_ids: vec![0; 5],
            tokens: tokens.map(str::to_owned).to_vec(),
            word_ids: vec![None, Some(0), Some(0), Some(1), None],
            offsets: vec![(0, 0), (0, 1), (1, 3), (4, 5), (0, 0)],
            original_offsets: vec![(0, 0), (0, 1), (1, 3), (4, 5), (0, 0)],
        }
    }

    #[test]
    fn words_know_their_tokens_and_characters() {
        let words = Words::of(&encoding()).unwrap();
        let found: Vec<_> =
            words.words.iter().map(|word| (&*word.text, word.characters, word.places.clone())).collect();
        assert_eq!(found, [("モデル", (0, 3), vec![1, 2]), ("夏", (4, 5), vec![3])]);
    }

    #[test]
    fn a_word_is_masked_or_removed_with_all_its_tokens() {
        let mut words = Words::of(&encoding()).unwrap();
        words.switch_off(&[0]).unwrap();
        let (masked, places) = words.remaining(&encoding(), Switch::Mask, 4);
        assert_eq!((masked.input_ids, places), (vec![2, 4, 4, 12, 3], vec![0, 1, 2, 3, 4]));
        let (removed, places) = words.remaining(&encoding(), Switch::Delete, 4);
        assert_eq!((removed.input_ids, places), (vec![2, 12, 3], vec![0, 3, 4]));
        assert_eq!(words.switch_off(&[1, 2]), Err(2));
    }

    #[test]
    fn weights_are_sums_and_a_word_that_is_off_has_none() {
        let mut words = Words::of(&encoding()).unwrap();
        words.weigh(&[0.25, 0.25, 0.25, -1.0, 0.25]);
        let numbers = |word: &Word| [word.weight, word.share, word.strength].map(Option::unwrap);
        assert_eq!(numbers(&words.words[0]), [0.5, 0.25, 0.5]);
        assert_eq!(numbers(&words.words[1]), [-1.0, -0.5, -1.0]);
        let mut words = Words::of(&encoding()).unwrap();
        words.switch_off(&[1]).unwrap();
        words.weigh(&[0.5, 0.25, 0.25, 0.0, 0.0]);
        assert_eq!(numbers(&words.words[0]), [0.5, 0.5, 1.0]);
        assert_eq!(words.words[1].weight, None);
    }
}

//! Texts of a request to ids, within the limits.

use midashi_classifier::{Encoded, Length, Reading};
use midashi_text::Encoding;

use crate::error::{ApiError, ErrorType};
use crate::inputs::{Sequence, TruncationDirection};
use crate::limits::Limits;

/// Longer than any text that the limit on characters lets through.
const UNLIMITED: usize = 1 << 30;

/// What happens to a text that is longer than the model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// It is refused.
    Refused,
    /// It is cut.
    Cut(TruncationDirection),
}

/// Checks the number of texts and their lengths in characters.
///
/// # Errors
/// When there is no text, or a limit is exceeded.
pub fn check(sequences: &[Sequence], limits: &Limits) -> Result<(), ApiError> {
    if sequences.is_empty() || sequences.iter().any(Sequence::is_empty) {
        return Err(ApiError::new(ErrorType::Empty, "`inputs` cannot be empty"));
    }
    let (count, most) = (sequences.len(), limits.max_texts);
    if count > most {
        let message = format!("batch size {count} > maximum allowed batch size {most}");
        return Err(ApiError::new(ErrorType::Validation, message));
    }
    let longest = sequences.iter().map(Sequence::characters).max().unwrap_or_default();
    if longest > limits.max_characters {
        let message = format!(
            "`inputs` must have at most {} characters. Given: {longest}; shorten the text, or start the server with a \
             greater --max-characters",
            limits.max_characters
        );
        return Err(ApiError::new(ErrorType::Validation, message));
    }
    Ok(())
}

/// Tokenises a text.
///
/// # Errors
/// When it is too long and may not be cut, or has no words.
pub fn encode(sequence: &Sequence, reading: &Reading, too_long: TooLong) -> Result<Encoded, ApiError> {
    let most = reading.max_length();
    let length = match reading.length() {
        // No text is too long for a model that reads long texts in windows.
        Length::Windows(windowing) => Length::Windows(windowing),
        // A text is cut at its end while it is tokenised, so that the rest of a long one costs nothing.
        Length::AtMost(most) if too_long == TooLong::Cut(TruncationDirection::Right) => Length::AtMost(most),
        Length::AtMost(_) => Length::AtMost(UNLIMITED),
    };
    let encoded = match sequence {
        Sequence::Single(text) => reading.encode(text, length),
        Sequence::Pair(first, second) => reading.encode_pair(first, second, length),
    };
    let encoded = encoded.map_err(|error| ApiError::new(ErrorType::Tokenizer, error.to_string()))?;
    let mut encoded = encoded.ok_or_else(|| {
        let message = "the tokenizer finds no tokens in `inputs`; expected a text with words";
        ApiError::new(ErrorType::Tokenizer, message)
    })?;
    let found = encoded.encoding.len();
    if found > most && length.windowing().is_none() {
        if too_long == TooLong::Refused {
            let message = format!("`inputs` must have less than {most} tokens. Given: {found}");
            return Err(ApiError::new(ErrorType::Validation, message));
        }
        encoded.encoding = without_beginning(&encoded.encoding, found - most);
        encoded.truncated = true;
    }
    Ok(encoded)
}

/// The encoding without `excess` tokens at its beginning. Special tokens stay. Of a pair, the second text loses its
/// beginning first, as it loses its end first when texts are cut there.
fn without_beginning(encoding: &Encoding, excess: usize) -> Encoding {
    let is_word = |at: &usize| encoding.word_ids[*at].is_some();
    let kind = |at: &usize| encoding.token_type_ids[*at];
    let places: Vec<usize> = (0..encoding.len()).filter(is_word).collect();
    let last_kind = places.last().map(kind);
    let (second, first): (Vec<usize>, Vec<usize>) =
        places.into_iter().partition(|at| Some(kind(at)) == last_kind);
    let mut is_kept = vec![true; encoding.len()];
    second.into_iter().chain(first).take(excess).for_each(|at| is_kept[at] = false);
    let kept: Vec<usize> = (0..encoding.len()).filter(|&at| is_kept[at]).collect();
    encoding.only(&kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[CLS]`, tokens of the first text from 10, `[SEP]`, tokens of the second from 20, `[SEP]`.
    fn pair(first: i32, second: i32) -> Encoding {
        let special = |id: i32, kind: i32| (id, kind, None);
        let words =
            |from: i32, count: i32, kind: i32| (from..from + count).map(move |id| (id, kind, Some(id)));
        let tokens: Vec<(i32, i32, Option<i32>)> = [special(2, 0)]
            .into_iter()
            .chain(words(10, first, 0))
            .chain([special(3, 0)])
            .chain(words(20, second, 1))
            .chain([special(3, 1)])
            .collect();
        Encoding {
            input_ids: tokens.iter().map(|&(id, ..)| id).collect(),
            token_type_ids: tokens.iter().map(|&(_, kind, _)| kind).collect(),
            word_ids: tokens.iter().map(|&(.., word)| word).collect(),
            tokens: tokens.iter().map(|(id, ..)| id.to_string()).collect(),
            offsets: vec![(0, 0); tokens.len()],
            original_offsets: vec![(0, 0); tokens.len()],
            ..Encoding::default()
        }
    }

    #[test]
    fn a_pair_loses_the_beginning_of_its_second_text_first() {
        let ids = |excess| without_beginning(&pair(2, 3), excess).input_ids;
        assert_eq!(ids(0), [2, 10, 11, 3, 20, 21, 22, 3]);
        assert_eq!(ids(2), [2, 10, 11, 3, 22, 3]);
        assert_eq!(ids(4), [2, 11, 3, 3]);
        assert_eq!(without_beginning(&pair(3, 0), 1).input_ids, [2, 11, 12, 3, 3], "a title without a body");
    }
}

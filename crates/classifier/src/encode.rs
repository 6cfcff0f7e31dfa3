//! Texts as the model reads them.

use midashi_config::TextChoice;
use midashi_tokenizer::{Encoded, Encoder, Length, Tokenizer};

use crate::Result;

/// Encodes `text` as the stage `tokenize` does, to the given `length`; none if the text has no words. For a model
/// that reads title and body, the first line is the title.
///
/// # Errors
/// When the tokenizer rejects the text or the length.
pub(crate) fn encode_text(
    encoder: &mut Encoder<'_>,
    text: &str,
    choice: TextChoice,
    length: Length,
) -> Result<Option<Encoded>> {
    let (first, second) = match choice {
        TextChoice::Title | TextChoice::Body => (text, None),
        TextChoice::TitleAndBody => {
            let (title, body) = text.split_once('\n').unwrap_or((text, ""));
            (title, Some(body))
        }
    };
    let mut encoded = encoder.encode_to(first, second, length)?;
    // A title without a body is shown without the separator.
    encoded.encoding.original = text.to_owned();
    Ok(encoded.encoding.has_words().then_some(encoded))
}

/// Checks that windows have room for more than the tokens that they share.
pub(crate) fn check_length(tokenizer: &Tokenizer, text: TextChoice, length: Length) -> Result<()> {
    let check = |windowing| tokenizer.check_windowing(windowing, text == TextChoice::TitleAndBody);
    Ok(length.windowing().map_or(Ok(()), check)?)
}

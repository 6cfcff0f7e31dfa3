//! Texts as the model reads them.

use midashi_config::TextChoice;
use midashi_tokenizer::{Encoded, Encoder};

use crate::Result;

/// Encodes `text` as the stage `tokenize` does, to at most `max_length` tokens; none if the text has no words. For a model
/// that reads title and body, the first line is the title.
///
/// # Errors
/// When the tokenizer rejects the text or the length.
pub(crate) fn encode_text(
    encoder: &mut Encoder<'_>,
    text: &str,
    choice: TextChoice,
    max_length: usize,
) -> Result<Option<Encoded>> {
    let mut encoded = match choice {
        TextChoice::Title | TextChoice::Body => encoder.encode(text, max_length)?,
        TextChoice::TitleAndBody => {
            let (title, body) = text.split_once('\n').unwrap_or((text, ""));
            encoder.encode_pair(title, body, max_length)?
        }
    };
    // A title without a body is shown without the separator.
    encoded.encoding.original = text.to_owned();
    Ok(encoded.encoding.has_words().then_some(encoded))
}

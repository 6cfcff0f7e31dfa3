//! All titles through the tokenizer, on every thread of the pool.

use anyhow::{Context, Result};
use midashi_pipeline::Progress;
use midashi_pipeline::artifact::{Article, Corpus, TokenizedText};
use midashi_tokenizer::{Encoder, Tokenizer};
use rayon::prelude::*;

/// Titles between two reports of progress: enough to keep all threads busy.
const CHUNK: usize = 4096;

/// The texts in the order of the corpus.
pub struct Encoded {
    /// As they go into `tokens.arrow`.
    pub texts: Vec<TokenizedText>,
    /// How many lost their end because they were too long.
    pub truncated: usize,
}

/// Encodes the titles to at most `max_length` tokens.
///
/// # Errors
/// When the tokenizer refuses a title or the length.
pub fn titles(corpus: &Corpus, tokenizer: &Tokenizer, max_length: usize) -> Result<Encoded> {
    let mut progress = Progress::new("tokenize", corpus.articles.len() as u64, "titles");
    let mut all = Encoded { texts: Vec::with_capacity(corpus.articles.len()), truncated: 0 };
    for articles in corpus.articles.chunks(CHUNK) {
        let encoded = articles
            .par_iter()
            .map_init(|| tokenizer.encoder(), |encoder, article| title(encoder, article, max_length))
            .collect::<Result<Vec<_>>>()?;
        for (text, truncated) in encoded {
            all.texts.push(text);
            all.truncated += usize::from(truncated);
        }
        progress.advance(articles.len() as u64);
    }
    progress.finish();
    Ok(all)
}

/// One title, and whether it was truncated.
fn title(encoder: &mut Encoder<'_>, article: &Article, max_length: usize) -> Result<(TokenizedText, bool)> {
    let encoding = encoder
        .encode(&article.title, max_length)
        .with_context(|| format!("cannot tokenise the title of {}", article.id))?;
    let text = TokenizedText {
        id: article.id.clone(),
        label: article.category,
        split: article.split,
        original: article.title.clone(),
        text: encoding.text,
        input_ids: encoding.input_ids.into_iter().map(u32::cast_signed).collect(),
        tokens: encoding.tokens,
        word_ids: encoding.word_ids.into_iter().map(|word| word.map(u32::cast_signed)).collect(),
        offsets: encoding.offsets,
        original_offsets: encoding.original_offsets,
    };
    Ok((text, encoding.truncated))
}

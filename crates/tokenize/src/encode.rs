//! All texts through the tokenizer, on every thread of the pool.

use anyhow::{Context, Result};
use midashi_artifacts::{Article, Corpus, TokenizedText};
use midashi_config::TextChoice;
use midashi_stage::Progress;
use midashi_tokenizer::{Encoded, Encoder, Tokenizer};
use rayon::prelude::*;

/// Texts between two reports of progress: enough to keep all threads busy.
const CHUNK: usize = 4096;

/// The texts in the order of the corpus.
#[derive(Default)]
pub struct EncodedTexts {
    /// As they go into `tokens.arrow`.
    pub texts: Vec<TokenizedText>,
    /// How many lost their end because they were too long.
    pub truncated: usize,
    /// How many of those are pairs that lost the whole body and the end of the title.
    pub truncated_titles: usize,
}

/// What of an article is read, title first.
pub fn parts(article: &Article, choice: TextChoice) -> impl Iterator<Item = &str> {
    let title = choice.has_title().then_some(article.title.as_str());
    title.into_iter().chain(choice.has_body().then_some(article.body.as_str()))
}

/// Encodes what is chosen of each article to at most `max_length` tokens.
///
/// # Errors
/// When the tokenizer refuses a text or the length.
pub fn texts(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    choice: TextChoice,
    max_length: usize,
) -> Result<EncodedTexts> {
    let mut progress = Progress::new("tokenize", corpus.articles.len() as u64, "texts");
    let mut all =
        EncodedTexts { texts: Vec::with_capacity(corpus.articles.len()), ..EncodedTexts::default() };
    for articles in corpus.articles.chunks(CHUNK) {
        let encoded = articles
            .par_iter()
            .map_init(|| tokenizer.encoder(), |encoder, article| text(encoder, article, choice, max_length))
            .collect::<Result<Vec<_>>>()?;
        for Text { text, truncated, title_truncated } in encoded {
            all.texts.push(text);
            all.truncated += usize::from(truncated);
            all.truncated_titles += usize::from(title_truncated);
        }
        progress.advance(articles.len() as u64);
    }
    progress.finish();
    Ok(all)
}

/// One text, and what it lost.
struct Text {
    text: TokenizedText,
    truncated: bool,
    title_truncated: bool,
}

fn text(encoder: &mut Encoder<'_>, article: &Article, choice: TextChoice, max_length: usize) -> Result<Text> {
    let encoded = match choice {
        TextChoice::Title => encoder.encode(&article.title, max_length),
        TextChoice::Body => encoder.encode(&article.body, max_length),
        TextChoice::TitleAndBody => encoder.encode_pair(&article.title, &article.body, max_length),
    };
    let Encoded { encoding, truncated, first_truncated: title_truncated } =
        encoded.with_context(|| format!("cannot tokenise the text of {}", article.id))?;
    let (id, label, split) = (article.id.clone(), article.category, article.split);
    Ok(Text { text: TokenizedText { id, label, split, encoding }, truncated, title_truncated })
}

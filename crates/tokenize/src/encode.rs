//! Encoding all texts, in parallel.

use anyhow::{Context, Result};
use midashi_artifacts::{Article, Corpus, TokenizedText};
use midashi_config::TextChoice;
use midashi_stage::Progress;
use midashi_tokenizer::{Encoded, Encoder, Length, Tokenizer};
use rayon::prelude::*;

/// Number of texts between two updates of the progress: enough to keep all threads busy.
const CHUNK: usize = 4096;

/// The texts in the order of the corpus.
#[derive(Default)]
pub struct EncodedTexts {
    /// The rows of `tokens.arrow`.
    pub texts: Vec<TokenizedText>,
    /// Number of texts that were too long and lost their end.
    pub truncated: usize,
    /// Number of pairs among them that lost the whole body and the end of the title.
    pub truncated_titles: usize,
}

/// The selected parts of an article, title first.
pub fn parts(article: &Article, choice: TextChoice) -> impl Iterator<Item = &str> {
    let title = choice.has_title().then_some(article.title.as_str());
    title.into_iter().chain(choice.has_body().then_some(article.body.as_str()))
}

/// Encodes the selected parts of each article to the given length, on `threads` threads.
///
/// # Errors
/// When the tokenizer rejects a text or the length, or threads cannot be started.
pub fn texts(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    choice: TextChoice,
    length: Length,
    threads: usize,
) -> Result<EncodedTexts> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.context("cannot start run.threads threads")?;
    let mut progress = Progress::new("tokenize", corpus.articles.len() as u64, "texts");
    let mut all =
        EncodedTexts { texts: Vec::with_capacity(corpus.articles.len()), ..EncodedTexts::default() };
    for articles in corpus.articles.chunks(CHUNK) {
        let encode = |encoder: &mut Encoder<'_>, article| text(encoder, article, choice, length);
        let encoded = pool.install(|| {
            let encoded = articles.par_iter().map_init(|| tokenizer.encoder(), encode);
            encoded.collect::<Result<Vec<_>>>()
        })?;
        for (text, truncated, title_truncated) in encoded {
            all.texts.push(text);
            all.truncated += usize::from(truncated);
            all.truncated_titles += usize::from(title_truncated);
        }
        progress.advance(articles.len() as u64);
    }
    progress.finish();
    Ok(all)
}

/// Encodes one text. Returns whether it was truncated, and whether its title was.
fn text(
    encoder: &mut Encoder<'_>,
    article: &Article,
    choice: TextChoice,
    length: Length,
) -> Result<(TokenizedText, bool, bool)> {
    let (first, second) = match choice {
        TextChoice::Title => (&article.title, None),
        TextChoice::Body => (&article.body, None),
        TextChoice::TitleAndBody => (&article.title, Some(article.body.as_str())),
    };
    let encoded = encoder.encode_to(first, second, length);
    let Encoded { encoding, truncated, first_truncated } =
        encoded.with_context(|| format!("cannot tokenise the text of {}", article.id))?;
    let (id, label, split) = (article.id.clone(), article.category, article.split);
    Ok((TokenizedText { id, label, split, encoding }, truncated, first_truncated))
}

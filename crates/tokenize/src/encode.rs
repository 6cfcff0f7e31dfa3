//! Encoding all texts, in parallel.

use anyhow::{Context, Result};
use midashi_artifacts::{Article, Corpus, TokenizedText};
use midashi_config::TextChoice;
use midashi_stage::Progress;
use midashi_tokenizer::{Encoded, Encoder, Length, Tokenizer};
use rayon::ThreadPool;
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

/// The texts of a corpus, to be encoded.
pub struct TextEncoder<'c> {
    corpus: &'c Corpus,
    choice: TextChoice,
    length: Length,
    pool: ThreadPool,
}

impl<'c> TextEncoder<'c> {
    /// For the selected parts of each article, the given length, and `threads` threads.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn new(corpus: &'c Corpus, choice: TextChoice, length: Length, threads: usize) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Ok(Self { corpus, choice, length, pool: pool.context("cannot start run.threads threads")? })
    }

    /// Encodes the texts.
    ///
    /// # Errors
    /// When the tokenizer rejects a text or the length.
    pub fn encode(&self, tokenizer: &Tokenizer) -> Result<EncodedTexts> {
        let texts = Vec::with_capacity(self.corpus.articles.len());
        let mut all = EncodedTexts { texts, ..EncodedTexts::default() };
        self.for_each(tokenizer, "tokenize", |(text, truncated, title_truncated)| {
            all.texts.push(text);
            all.truncated += usize::from(truncated);
            all.truncated_titles += usize::from(title_truncated);
        })?;
        Ok(all)
    }

    /// The encoded texts that differ from those that `tokenizer` makes.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn changed<'t>(
        &self,
        tokenizer: &Tokenizer,
        texts: &'t [TokenizedText],
    ) -> Result<Vec<&'t TokenizedText>> {
        let (mut texts, mut changed) = (texts.iter(), Vec::new());
        self.for_each(tokenizer, "check", |(again, ..)| {
            changed.extend(texts.next().filter(|text| **text != again))
        })?;
        Ok(changed)
    }

    /// Hands on each encoded text in the order of the corpus, and whether it and its title were truncated.
    fn for_each(
        &self,
        tokenizer: &Tokenizer,
        doing: &'static str,
        mut each: impl FnMut((TokenizedText, bool, bool)),
    ) -> Result<()> {
        let mut progress = Progress::new(doing, self.corpus.articles.len() as u64, "texts");
        for articles in self.corpus.articles.chunks(CHUNK) {
            let encode =
                |encoder: &mut Encoder<'_>, article| text(encoder, article, self.choice, self.length);
            let encoded = self.pool.install(|| {
                let encoded = articles.par_iter().map_init(|| tokenizer.encoder(), encode);
                encoded.collect::<Result<Vec<_>>>()
            })?;
            encoded.into_iter().for_each(&mut each);
            progress.advance(articles.len() as u64);
        }
        progress.finish();
        Ok(())
    }
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

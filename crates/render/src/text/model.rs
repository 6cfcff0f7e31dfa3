//! The fine-tuned model in `model/`, of which only the small files are read, and its tokenizer.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use midashi_artifacts::{CategoryId, Split, TokenizedText};
use midashi_bert::{BertConfig, TextIds};
use midashi_config::{Config, TextChoice};
use midashi_stage::{Error, RunFolder};
use midashi_tokenizer::{Dictionaries, Encoder, Tokenizer};

/// A run's model.
pub struct Model {
    /// Where it is.
    pub folder: PathBuf,
    /// Names of its categories.
    pub categories: Vec<String>,
    /// Its geometry.
    pub bert: BertConfig,
}

/// A text as the model reads it.
pub struct ReadText {
    /// Its tokens; neither id nor label says anything.
    pub tokenized: TokenizedText,
    /// Whether its end was dropped.
    pub truncated: bool,
}

impl Model {
    /// Looks at `model/`.
    ///
    /// # Errors
    /// When it is not there or broken.
    pub fn open(config: &Config) -> Result<Self> {
        let folder = RunFolder::of(config).model();
        if !folder.exists() {
            return Err(Error::MissingArtifact { path: folder, stage: "train" }.into());
        }
        let labels = folder.join("labels.json");
        let text = std::fs::read(&labels).with_context(|| format!("cannot read {}", labels.display()))?;
        let categories = serde_json::from_slice(&text)
            .with_context(|| format!("{}: run `make train` again to remake it", labels.display()))?;
        let bert = BertConfig::read(&folder.join("config.json"))?;
        Ok(Self { folder, categories, bert })
    }

    /// Loads the tokenizer.
    ///
    /// # Errors
    /// When its files are damaged or its dictionary is not installed.
    pub fn tokenizer(&self, config: &Config) -> Result<Tokenizer> {
        Ok(Tokenizer::load(&self.folder, &Dictionaries::below(&config.run.cache), None)?)
    }

    /// Reads texts as the stage `tokenize` does: so many tokens as the model has positions at most, and if it
    /// learned from titles with bodies, a title with its body, which may be empty.
    ///
    /// # Errors
    /// When a text has no tokens.
    pub fn read(&self, texts: &[String], tokenizer: &Tokenizer, config: &Config) -> Result<Vec<ReadText>> {
        let most = config.tokenize.max_length.min(self.bert.max_tokens());
        let mut encoder = tokenizer.encoder();
        texts.iter().map(|text| ReadText::of(text, &mut encoder, config.corpus.text, most)).collect()
    }
}

impl ReadText {
    fn of(text: &str, encoder: &mut Encoder<'_>, choice: TextChoice, most: usize) -> Result<Self> {
        let encoding = match choice {
            TextChoice::Title | TextChoice::Body => encoder.encode(text, most)?,
            TextChoice::TitleAndBody => {
                let (title, body) = text.split_once('\n').unwrap_or((text, ""));
                encoder.encode_pair(title, body, most)?
            }
        };
        ensure!(
            encoding.word_ids.iter().any(Option::is_some),
            "the tokenizer finds no tokens in {text:?}; expected a text with words"
        );
        let ids = |ids: Vec<u32>| ids.into_iter().map(u32::cast_signed).collect();
        let tokenized = TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Test,
            original: text.to_owned(),
            text: encoding.text,
            input_ids: ids(encoding.input_ids),
            token_type_ids: ids(encoding.token_type_ids),
            tokens: encoding.tokens,
            word_ids: encoding.word_ids.into_iter().map(|word| word.map(u32::cast_signed)).collect(),
            offsets: encoding.offsets,
            original_offsets: encoding.original_offsets,
        };
        Ok(Self { tokenized, truncated: encoding.truncated })
    }

    /// What a graph reads.
    pub fn ids(&self) -> TextIds<'_> {
        TextIds { input_ids: &self.tokenized.input_ids, token_type_ids: &self.tokenized.token_type_ids }
    }

    /// The same text with `token` in the place of every token that is not special.
    pub fn hidden(&self, token: u32) -> Vec<i32> {
        let tokens = self.tokenized.input_ids.iter().zip(&self.tokenized.word_ids);
        tokens.map(|(&id, word)| if word.is_some() { token.cast_signed() } else { id }).collect()
    }
}

//! The checkpoint's tokenizer, and what it makes of a text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use midashi_bert::BertConfig;
use midashi_pipeline::Config;
use midashi_tokenizer::{Dictionaries, Encoding, MecabDictionary, Requirements, Tokenizer};

/// A checkpoint's tokenizer and what it was loaded from.
pub struct Loaded {
    pub tokenizer: Tokenizer,
    /// The files read, and the folder of the MeCab dictionary if there is one.
    sources: Vec<PathBuf>,
}

/// Loads the tokenizer as the stage `tokenize` does.
pub fn load(checkpoint: &Path, config: &Config) -> Result<Loaded> {
    let default: MecabDictionary = config.model.dictionary.parse().context("model.dictionary")?;
    let dictionaries = Dictionaries::below(&config.run.cache);
    let requirements = Requirements::of(checkpoint, Some(&default))?;
    let mut sources = requirements.files;
    if let Some(dictionary) = &requirements.dictionary {
        sources.push(dictionaries.folder(dictionary)?);
    }
    Ok(Loaded { tokenizer: Tokenizer::load(checkpoint, &dictionaries, Some(&default))?, sources })
}

/// What the tokenizer is; a checkpoint without one that can be used is still a model.
pub fn describe(report: &mut String, loaded: &Result<Loaded>, model: &BertConfig) -> Result<()> {
    writeln!(report, "tokenizer")?;
    match loaded {
        Ok(Loaded { tokenizer, sources }) => {
            writeln!(report, "  {}", tokenizer.describe())?;
            for (key, value) in tokenizer.settings() {
                writeln!(report, "  {key} = {value}")?;
            }
            for source in sources {
                writeln!(report, "  {}", source.display())?;
            }
        }
        Err(error) => writeln!(report, "  none that can be used: {error:#}")?,
    }
    writeln!(report, "  at most {} tokens a text, special tokens included", model.max_tokens())?;
    Ok(())
}

/// The text as the model reads it.
pub fn encode(tokenizer: &Tokenizer, text: &str, model: &BertConfig) -> Result<Encoding> {
    ensure!(
        tokenizer.vocabulary_size() <= model.vocab_size,
        "the tokenizer knows {} ids but the checkpoint has embeddings for {}; they do not belong together",
        tokenizer.vocabulary_size(),
        model.vocab_size
    );
    Ok(tokenizer.encode(text, model.max_tokens())?)
}

/// One line for each piece: its id, its word, and its characters of the text as given.
pub fn pieces(report: &mut String, text: &str, encoding: &Encoding) -> Result<()> {
    writeln!(report, "\npieces of {text:?}")?;
    writeln!(report, "      id  word  characters  piece")?;
    let rows = encoding.input_ids.iter().zip(&encoding.tokens).zip(&encoding.word_ids);
    for (((id, piece), word), (start, end)) in rows.zip(&encoding.original_offsets) {
        let (word, characters) = match word {
            Some(word) => (word.to_string(), format!("{start}–{end}")),
            None => (String::new(), String::new()),
        };
        writeln!(report, "  {id:>6}  {word:>4}  {characters:>10}  {piece}")?;
    }
    if encoding.truncated {
        writeln!(report, "  The text is longer; its end was dropped.")?;
    }
    Ok(())
}

//! The checkpoint's tokenizer, and the tokens of a text.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use midashi_config::Config;
use midashi_encoder::EncoderConfig;
use midashi_text::shaped;
use midashi_tokenizer::{Dictionaries, Encoded, MecabDictionary, Requirements, Tokenizer};

/// A loaded tokenizer.
pub struct Loaded {
    pub tokenizer: Tokenizer,
    /// The tokenizer's files, and the folder of the MeCab dictionary if it uses one.
    sources: Vec<PathBuf>,
    /// Number of the model's embeddings without a token.
    unused: usize,
}

/// Loads the tokenizer and compares it with the model, as the stage `tokenize` does.
pub fn load(checkpoint: &Path, config: &Config, model: &EncoderConfig) -> Result<Loaded> {
    let default: MecabDictionary = config.model.dictionary.parse().context("model.dictionary")?;
    let dictionaries =
        Dictionaries::below(&config.run.cache).on_unsaved(|note| midashi_stage::errln!("  {note}"));
    let requirements = Requirements::of(checkpoint, Some(&default))?;
    let mut sources = requirements.files;
    if let Some(dictionary) = &requirements.dictionary {
        sources.push(dictionaries.folder(dictionary)?);
    }
    let tokenizer = Tokenizer::load(checkpoint, &dictionaries, Some(&default))?;
    let unused = tokenizer.check_embeddings(model.vocab_size, checkpoint)?;
    Ok(Loaded { tokenizer, sources, unused })
}

/// Reports the tokenizer. A checkpoint without a usable tokenizer is not an error.
pub fn describe(report: &mut String, loaded: &Result<Loaded>, model: &EncoderConfig) -> Result<()> {
    writeln!(report, "tokenizer")?;
    match loaded {
        Ok(Loaded { tokenizer, sources, unused }) => {
            writeln!(report, "  {}", tokenizer.describe())?;
            if *unused > 0 {
                writeln!(report, "  {unused} of the model's {} embeddings have no token", model.vocab_size)?;
            }
            for (key, value) in tokenizer.settings() {
                writeln!(report, "  {key} = {}", shaped(&value.to_string()))?;
            }
            for source in sources {
                writeln!(report, "  {}", shaped(&source.display().to_string()))?;
            }
        }
        Err(error) => writeln!(report, "  none that can be used: {}", shaped(&format!("{error:#}")))?,
    }
    writeln!(report, "  at most {} tokens a text, special tokens included", model.max_tokens())?;
    Ok(())
}

/// Reports a line for each token: id, token type, word and its characters in the text as given (the texts of a pair are
/// joined by a line feed).
pub fn pieces(report: &mut String, texts: &[&str], encoded: &Encoded) -> Result<()> {
    let Encoded { encoding, truncated, .. } = encoded;
    let given: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    writeln!(report, "\npieces of {}", given.join(" and "))?;
    writeln!(report, "      id  type  word  characters  piece")?;
    let rows = encoding.input_ids.iter().zip(&encoding.token_type_ids).zip(&encoding.tokens);
    let rows = rows.zip(&encoding.word_ids).zip(&encoding.original_offsets);
    for ((((id, kind), piece), word), (start, end)) in rows {
        let (word, characters) = match word {
            Some(word) => (word.to_string(), format!("{start}–{end}")),
            None => (String::new(), String::new()),
        };
        writeln!(report, "  {id:>6}  {kind:>4}  {word:>4}  {characters:>10}  {}", shaped(piece))?;
    }
    if *truncated {
        writeln!(report, "  The text is longer; its end was dropped.")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The report of a tokenizer of two words with a model of so many embeddings.
    fn described(rows: usize) -> String {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("pipeline.toml", "");
        write(
            "tokenizer.json",
            r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
                "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
                "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "東": 1}, "unk_token": "[UNK]"}}"#,
        );
        let geometry = r#""model_type": "bert", "hidden_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 64"#;
        write("config.json", &format!(r#"{{{geometry}, "vocab_size": {rows}}}"#));
        let config = Config::load(&folder.path().join("pipeline.toml"), [""; 0]).unwrap();
        let model = EncoderConfig::read(&folder.path().join("config.json")).unwrap();
        let mut report = String::new();
        describe(&mut report, &load(folder.path(), &config, &model), &model).unwrap();
        report
    }

    #[test]
    fn a_tokenizer_is_compared_with_the_models_embeddings() {
        assert!(described(2).starts_with("tokenizer\n  tokenizer.json: words, 2 pieces\n  model = words\n"));
        assert!(
            described(5).contains("\n  3 of the model's 5 embeddings have no token\n"),
            "{}",
            described(5)
        );
        let another = described(1);
        assert!(another.contains("none that can be used: ") && another.contains("has 2 ids"), "{another}");
    }
}

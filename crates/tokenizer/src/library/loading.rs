//! Reads a `tokenizer.json` into the library's tokenizer, checking each part before the library sees it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, PostProcessorWrapper, TokenizerBuilder, TokenizerImpl,
};

use super::normaliser::Normaliser;
use super::panics::contained;
use super::pre_tokeniser::PreTokeniser;
use super::problem::Problem;
use super::value::{part, start_of, typed};
use super::{bounds, depth, model, post_processor};
use crate::error::{Error, Result, as_text};

/// The library's tokenizer with our normaliser and pre-tokenizer.
pub(crate) type LibraryTokenizer =
    TokenizerImpl<ModelWrapper, Normaliser, PreTokeniser, PostProcessorWrapper, DecoderWrapper>;

/// What was read from a file.
pub(crate) struct Loaded {
    pub(crate) tokenizer: LibraryTokenizer,
    /// The id of the unknown token, if there is one.
    pub(crate) unknown_id: Option<u32>,
}

/// The text of a `tokenizer.json`.
pub(crate) fn text_of(file: &Path) -> Result<String> {
    let failed = |source| Error::Read { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    let opened = crate::error::open(file)?;
    let length = File::metadata(&opened).map_err(failed)?.len();
    opened.take(bounds::FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if length > bounds::FILE || bytes.len() as u64 > bounds::FILE {
        let found = format!("{} bytes", length.max(bytes.len() as u64));
        return Err(Problem::new("length", found, format!("{} at most", bounds::FILE)).of(file));
    }
    as_text(file, bytes)
}

/// The JSON of a text that was read from `file`.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Value> {
    depth::check(text).map_err(|problem| problem.of(file))?;
    serde_json::from_str(text)
        .map_err(|error| Problem::new("its JSON", error.to_string(), "a whole object").of(file))
}

/// The tokenizer of this JSON, which was read or made from `file`.
pub(crate) fn load(file: &Path, content: &Value) -> Result<Loaded> {
    let loaded = contained(|| build(content));
    let loaded = loaded.map_err(|message| Error::Json { file: file.to_owned(), message })?;
    loaded.map_err(|problem| problem.of(file))
}

fn build(content: &Value) -> std::result::Result<Loaded, Problem> {
    if let Some(version) = content.get("version").filter(|version| **version != "1.0") {
        return Err(Problem::new("version", start_of(version), "\"1.0\""));
    }
    let model = part(content, "model").ok_or_else(|| Problem::new("its keys", "no model", "a model"))?;
    let library = |error: tokenizers::Error| Problem::new("its parts", error.to_string(), "a tokenizer");
    // Neither truncation nor padding nor the decoder is used: the caller limits the length of each text.
    let mut tokenizer: LibraryTokenizer = TokenizerBuilder::new()
        .with_model(model::read(model)?)
        .with_normalizer(part(content, "normalizer").map(Normaliser::read).transpose()?)
        .with_pre_tokenizer(part(content, "pre_tokenizer").map(PreTokeniser::read).transpose()?)
        .build()
        .map_err(library)?;
    tokenizer.add_tokens(added_tokens(content)?).map_err(library)?;
    if let Some(processor) = part(content, "post_processor") {
        let processor = post_processor::read(processor, |id| tokenizer.id_to_token(id).is_some())?;
        tokenizer.with_post_processor(Some(processor));
    }
    let unknown_id = unknown_id(model, &tokenizer)?;
    Ok(Loaded { tokenizer, unknown_id })
}

fn added_tokens(content: &Value) -> std::result::Result<Vec<AddedToken>, Problem> {
    let Some(tokens) = part(content, "added_tokens") else { return Ok(Vec::new()) };
    let tokens: Vec<AddedToken> = typed(tokens, "added_tokens")?;
    match tokens.iter().find(|token| token.content.len() > bounds::PIECE) {
        Some(token) => {
            let found = format!("a token of {} bytes", token.content.len());
            Err(Problem::new("added_tokens", found, format!("{} bytes at most", bounds::PIECE)))
        }
        None => Ok(tokens),
    }
}

/// The id of the unknown token. The library does not expose it for some models, so it is read from the file: Unigram has an
/// id there, the other models a token.
fn unknown_id(model: &Value, tokenizer: &LibraryTokenizer) -> std::result::Result<Option<u32>, Problem> {
    let id: Option<u32> = part(model, "unk_id").map(|id| typed(id, "model.unk_id")).transpose()?;
    let token: Option<String> =
        part(model, "unk_token").map(|token| typed(token, "model.unk_token")).transpose()?;
    Ok(id.or_else(|| tokenizer.token_to_id(&token?)))
}

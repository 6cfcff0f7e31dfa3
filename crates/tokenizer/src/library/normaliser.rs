//! The normaliser of a `tokenizer.json`: the library's steps, and ours where a step could lengthen a text without bound.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper, Result as LibraryResult};

use super::bounds;
use super::panics::stop;
use super::pattern::BoundedPattern;
use super::problem::Problem;
use super::value::{kind, start_of, text_within, typed};
use crate::sentencepiece::Charsmap;

/// The library's normalisers that need no check.
const HARMLESS: [&str; 9] =
    ["Strip", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Nmt", "ByteLevel"];

/// The steps of a normaliser.
pub(crate) struct Normaliser(Vec<Step>);

struct Step {
    /// The place in the file.
    place: String,
    action: Action,
}

enum Action {
    Replace { pattern: Box<BoundedPattern>, content: String },
    Precompiled { map: Charsmap, library: NormalizerWrapper },
    Other(NormalizerWrapper),
}

/// What is replaced or split: a text itself, or what a pattern matches.
#[derive(Deserialize)]
pub(super) enum Written {
    String(String),
    Regex(String),
}

impl Written {
    pub(super) fn pattern(&self, place: &str) -> Result<BoundedPattern, Problem> {
        let pattern = match self {
            Self::String(text) => BoundedPattern::literal(text),
            Self::Regex(pattern) => BoundedPattern::new(pattern),
        };
        pattern.map_err(|error| Problem::new(&format!("{place}.pattern"), error, "a pattern"))
    }
}

impl Normaliser {
    /// Reads and checks the file's normaliser.
    pub(super) fn read(value: &Value) -> Result<Self, Problem> {
        let mut steps = Vec::new();
        read(value, "normalizer", &mut steps)?;
        Ok(Self(steps))
    }
}

/// Adds the steps of a normaliser, which may be a list of others.
fn read(value: &Value, place: &str, steps: &mut Vec<Step>) -> Result<(), Problem> {
    let kind = kind(value, place)?;
    if kind == "Sequence" {
        let list = value.get("normalizers").and_then(Value::as_array);
        let list = list.ok_or_else(|| Problem::new(place, start_of(value), "a list of \"normalizers\""))?;
        for (number, value) in list.iter().enumerate() {
            read(value, &format!("{place}.normalizers[{number}]"), steps)?;
        }
        return Ok(());
    }
    if steps.len() == bounds::STEPS {
        return Err(Problem::new(place, "more steps", format!("{} at most", bounds::STEPS)));
    }
    let action = action(value, kind, place)?;
    steps.push(Step { place: place.to_owned(), action });
    Ok(())
}

fn action(value: &Value, kind: &str, place: &str) -> Result<Action, Problem> {
    /// The settings of a `Replace`.
    #[derive(Deserialize)]
    struct Replace {
        pattern: Written,
        content: String,
    }
    /// The settings of a `Precompiled`.
    #[derive(Deserialize)]
    struct Precompiled {
        precompiled_charsmap: String,
    }
    let library = || typed::<NormalizerWrapper>(value, place);
    match kind {
        "Replace" => {
            text_within(value, "content", bounds::REPLACEMENT, place)?;
            let Replace { pattern, content } = typed(value, place)?;
            Ok(Action::Replace { pattern: Box::new(pattern.pattern(place)?), content })
        }
        "Precompiled" => {
            let Precompiled { precompiled_charsmap } = typed(value, place)?;
            let map = charsmap(&precompiled_charsmap, &format!("{place}.precompiled_charsmap"))?;
            Ok(Action::Precompiled { map, library: library()? })
        }
        "Prepend" => {
            text_within(value, "prepend", bounds::PREPEND, place)?;
            library().map(Action::Other)
        }
        "BertNormalizer" => typed::<BertNormalizer>(value, place).map(|bert| Action::Other(bert.into())),
        harmless if HARMLESS.contains(&harmless) => library().map(Action::Other),
        other => {
            Err(Problem::new(place, format!("type {other:?}"), "a type that the tokenizers library has"))
        }
    }
}

/// The map, checked as the library needs it.
fn charsmap(written: &str, place: &str) -> Result<Charsmap, Problem> {
    let bytes =
        BASE64_STANDARD.decode(written).map_err(|error| Problem::new(place, error.to_string(), "base64"))?;
    if bytes.is_empty() {
        return Err(Problem::new(place, "an empty map", "a map, or no normaliser of this type"));
    }
    let map = Charsmap::read(&bytes).map_err(|bad| Problem::new(place, bad.found, bad.expected))?;
    map.check_children().map_err(|bad| Problem::new(place, bad.found, bad.expected))?;
    Ok(map)
}

impl Normalizer for Normaliser {
    /// The library drops an error of a normaliser and goes on with the text as it is, so an error ends the call.
    fn normalize(&self, text: &mut NormalizedString) -> LibraryResult<()> {
        self.apply(text).or_else(|error| stop(error.to_string()))
    }
}

impl Normaliser {
    fn apply(&self, text: &mut NormalizedString) -> LibraryResult<()> {
        let longest = bounds::normalised(text.len_original());
        for Step { place, action } in &self.0 {
            let too_long = |bytes: usize| {
                let original = text.len_original();
                format!("{place} makes {bytes} bytes of a text of {original}; {longest} at most are made")
            };
            // Texts that a step can make enormous are measured before it.
            match action {
                Action::Replace { pattern, content } => {
                    let count = pattern.matches(text.get())?.len();
                    let bytes = text.len().saturating_add(count.saturating_mul(content.len()));
                    if bytes > longest {
                        return Err(too_long(bytes).into());
                    }
                    if count > 0 {
                        text.replace(&**pattern, content)?;
                    }
                }
                Action::Precompiled { map, library } => {
                    let bytes = map.longest_result(text.get(), longest);
                    if bytes > longest {
                        return Err(too_long(bytes).into());
                    }
                    library.normalize(text)?;
                }
                Action::Other(library) => library.normalize(text)?,
            }
            if text.len() > longest {
                let (original, bytes) = (text.len_original(), text.len());
                let message = format!(
                    "{place} makes {bytes} bytes of a text of {original}; {longest} at most are made"
                );
                return Err(message.into());
            }
        }
        Ok(())
    }
}

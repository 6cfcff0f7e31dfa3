//! The pre-tokenizer of a `tokenizer.json`: the library's steps, and ours where a step runs a pattern.

use serde::Deserialize;
use serde_json::Value;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::tokenizer::pattern::Invert;
use tokenizers::{
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Result as LibraryResult, SplitDelimiterBehavior,
};

use super::bounds;
use super::normaliser::Written;
use super::pattern::BoundedPattern;
use super::problem::Problem;
use super::value::{kind, start_of, typed};

/// The library's pre-tokenizers that need no check.
const HARMLESS: [&str; 9] = [
    "BertPreTokenizer",
    "Delimiter",
    "CharDelimiterSplit",
    "Metaspace",
    "Whitespace",
    "Punctuation",
    "WhitespaceSplit",
    "Digits",
    "UnicodeScripts",
];

/// The words of GPT-2 (<https://github.com/openai/gpt-2/blob/master/src/encoder.py>), which `ByteLevel` finds.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// The steps of a pre-tokenizer.
pub(crate) struct PreTokeniser(Vec<Step>);

enum Step {
    Split {
        pattern: BoundedPattern,
        behaviour: SplitDelimiterBehavior,
        is_inverted: bool,
    },
    /// The words of `ByteLevel`, each as its bytes.
    ByteWords {
        pattern: BoundedPattern,
        adds_space: bool,
        bytes: ByteLevel,
    },
    Other(PreTokenizerWrapper),
}

impl PreTokeniser {
    /// Reads and checks the file's pre-tokenizer.
    pub(super) fn read(value: &Value) -> Result<Self, Problem> {
        let mut steps = Vec::new();
        read(value, "pre_tokenizer", &mut steps)?;
        Ok(Self(steps))
    }
}

/// Adds the steps of a pre-tokenizer, which may be a list of others.
fn read(value: &Value, place: &str, steps: &mut Vec<Step>) -> Result<(), Problem> {
    let kind = kind(value, place)?;
    if kind == "Sequence" {
        let list = value.get("pretokenizers").and_then(Value::as_array);
        let list = list.ok_or_else(|| Problem::new(place, start_of(value), "a list of \"pretokenizers\""))?;
        for (number, value) in list.iter().enumerate() {
            read(value, &format!("{place}.pretokenizers[{number}]"), steps)?;
        }
        return Ok(());
    }
    if steps.len() == bounds::STEPS {
        return Err(Problem::new(place, "more steps", format!("{} at most", bounds::STEPS)));
    }
    steps.push(step(value, kind, place)?);
    Ok(())
}

fn step(value: &Value, kind: &str, place: &str) -> Result<Step, Problem> {
    /// The settings of a `Split`.
    #[derive(Deserialize)]
    struct Split {
        pattern: Written,
        behavior: SplitDelimiterBehavior,
        invert: bool,
    }
    let library = || typed::<PreTokenizerWrapper>(value, place).map(Step::Other);
    match kind {
        "Split" => {
            let Split { pattern, behavior, invert } = typed(value, place)?;
            let pattern = pattern.pattern(place)?;
            Ok(Step::Split { pattern, behaviour: behavior, is_inverted: invert })
        }
        "ByteLevel" => {
            let settings: ByteLevel = typed(value, place)?;
            if !settings.use_regex {
                return library();
            }
            let bytes = settings.add_prefix_space(false).use_regex(false);
            let pattern =
                BoundedPattern::new(WORDS).map_err(|error| Problem::new(place, error, "a pattern"))?;
            Ok(Step::ByteWords { pattern, adds_space: settings.add_prefix_space, bytes })
        }
        "FixedLength" => match value.get("length") {
            Some(length) if length.as_u64().is_none_or(|length| length == 0) => {
                Err(Problem::new(&format!("{place}.length"), length.to_string(), "1 character or more"))
            }
            _ => library(),
        },
        harmless if HARMLESS.contains(&harmless) => library(),
        other => {
            Err(Problem::new(place, format!("type {other:?}"), "a type that the tokenizers library has"))
        }
    }
}

impl PreTokenizer for PreTokeniser {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> LibraryResult<()> {
        for step in &self.0 {
            match step {
                Step::Split { pattern, behaviour, is_inverted: false } => {
                    text.split(|_, part| part.split(pattern, *behaviour))?;
                }
                Step::Split { pattern, behaviour, is_inverted: true } => {
                    text.split(|_, part| part.split(Invert(pattern), *behaviour))?;
                }
                Step::ByteWords { pattern, adds_space, bytes } => {
                    text.split(|_, mut part| {
                        if *adds_space && !part.get().starts_with(' ') {
                            part.prepend(" ");
                        }
                        part.split(pattern, SplitDelimiterBehavior::Isolated)
                    })?;
                    bytes.pre_tokenize(text)?;
                }
                Step::Other(library) => library.pre_tokenize(text)?,
            }
        }
        Ok(())
    }
}

//! JSON Lines output: one object per text.

use std::io;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::Formatter;

use crate::explained::{Explained, Probability};
use crate::method::{By, Method};
use midashi_text::{Unit, is_shapeless};

/// One line.
#[derive(Serialize)]
struct Document<'a> {
    /// As given.
    text: &'a str,
    /// The most probable category; null for a text without words.
    category: Option<&'a str>,
    /// By category, in the model's order; they sum to 1.
    #[serde(serialize_with = "as_object")]
    probabilities: &'a [Probability],
    /// The method that weighed the tokens.
    method: By,
    /// The layer of the attention, from 0; null for other methods.
    layer: Option<usize>,
    /// The head of the attention, from 0; null for the sum of all heads, and for other methods.
    head: Option<usize>,
    /// Whether the end of the text was truncated.
    truncated: bool,
    /// The windows in which the text was read, if they are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<usize>,
    /// All tokens, special ones included.
    tokens: Vec<Token<'a>>,
    /// The unit of `words`: `"words"`, or `"tokens"` for a tokenizer without words.
    unit: Unit,
    /// The coloured words, in the order of the text.
    words: Vec<Word<'a>>,
}

#[derive(Serialize)]
struct Token<'a> {
    /// As the vocabulary spells it.
    token: &'a str,
    /// The number of its word, from 0; null for special tokens.
    word: Option<i32>,
    /// First character of its source in `text` and the one after the last; null for special tokens.
    characters: Option<(u32, u32)>,
    /// Its weight.
    weight: f32,
}

#[derive(Serialize)]
struct Word<'a> {
    /// As written.
    text: &'a str,
    /// First character of `text` and the one after the last.
    characters: (usize, usize),
    /// Sum of its tokens' weights.
    weight: f32,
    /// Share of the absolute weights of all tokens, special tokens included.
    share: f32,
}

/// One line for each text. Invisible characters are escaped, so that the lines are safe to print.
///
/// # Errors
/// When a number is not finite, which JSON cannot express.
pub fn json(texts: &[Explained], method: Method) -> Result<String> {
    let mut lines = Vec::new();
    for text in texts {
        let mut serializer = serde_json::Serializer::with_formatter(&mut lines, Escaping);
        Document::of(text, method).serialize(&mut serializer).context("cannot write JSON")?;
        lines.push(b'\n');
    }
    String::from_utf8(lines).context("cannot write JSON")
}

impl<'a> Document<'a> {
    fn of(explained: &'a Explained, method: Method) -> Self {
        let text = &explained.text;
        let (layer, head) = match method {
            Method::Attention { layer, head, .. } => (Some(layer), head),
            _ => (None, None),
        };
        let token = |at: usize| Token {
            token: &text.tokens[at],
            word: text.word_ids[at],
            characters: text.word_ids[at].map(|_| text.original_offsets[at]),
            weight: explained.weights[at] as f32,
        };
        let words = explained.coloured().map(|word| Word {
            text: &word.text,
            characters: word.characters,
            weight: word.weight as f32,
            share: word.share as f32,
        });
        Self {
            text: &text.original,
            category: explained.category(),
            probabilities: &explained.probabilities,
            method: method.by(),
            layer,
            head,
            truncated: explained.truncated,
            windows: (explained.windows > 1).then_some(explained.windows),
            tokens: (0..text.tokens.len()).map(token).collect(),
            unit: explained.unit,
            words: words.collect(),
        }
    }
}

fn as_object<S: Serializer>(probabilities: &[Probability], serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(Some(probabilities.len()))?;
    for Probability { category, probability } in probabilities {
        object.serialize_entry(category, probability)?;
    }
    object.end()
}

/// Compact JSON that escapes invisible characters.
struct Escaping;

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            let mut units = [0; 2];
            if is_shapeless(c) {
                c.encode_utf16(&mut units).iter().try_for_each(|unit| write!(writer, "\\u{unit:04x}"))?;
            } else {
                write!(writer, "{c}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;
    use crate::sample::{ATTENTION, HOSTILE, hostile, signed, words};

    fn lines(texts: &[Explained], method: Method) -> Vec<Value> {
        json(texts, method).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_document_says_all_that_is_known_of_a_text() {
        let documents = lines(&[words(), signed()], ATTENTION);
        let share = |weight: f32| f64::from(weight / 1.375);
        let expected = value!({
            "text": "モデル 夏", "category": "<b>",
            "probabilities": {"a": 0.125, "<b>": 0.75, "c\u{202E}": 0.125},
            "method": "attention", "layer": 1, "head": null, "truncated": false,
            "tokens": [
                {"token": "[CLS]", "word": null, "characters": null, "weight": 0.25},
                {"token": "モ", "word": 0, "characters": [0, 1], "weight": 0.25},
                {"token": "##デル", "word": 0, "characters": [1, 3], "weight": 0.125},
                {"token": "夏", "word": 1, "characters": [4, 5], "weight": 0.75},
                {"token": "[SEP]", "word": null, "characters": null, "weight": 0.0},
            ],
            "unit": "words",
            "words": [
                {"text": "モデル", "characters": [0, 3], "weight": 0.375, "share": documents[0]["words"][0]["share"]},
                {"text": "夏", "characters": [4, 5], "weight": 0.75, "share": documents[0]["words"][1]["share"]},
            ],
        });
        assert_eq!(documents[0], expected);
        assert!((documents[0]["words"][1]["share"].as_f64().unwrap() - share(0.75)).abs() < 1e-6);
        assert_eq!(documents.len(), 2);
    }

    #[test]
    fn other_methods_have_no_layer_and_no_head() {
        let document = &lines(&[signed()], Method::IntegratedGradients)[0];
        assert_eq!(document["method"], "integrated_gradients");
        assert_eq!((&document["layer"], &document["head"]), (&Value::Null, &Value::Null));
        assert_eq!(document["words"][1]["weight"], -0.5);
    }

    #[test]
    fn a_line_can_be_looked_at_and_reads_back_as_the_text() {
        let written = json(&[hostile()], ATTENTION).unwrap();
        assert!(!written.trim_end_matches('\n').chars().any(is_shapeless), "{written}");
        let document: Value = serde_json::from_str(&written).unwrap();
        assert_eq!(document["text"], HOSTILE);
        let words = document["words"].as_array().unwrap();
        assert_eq!(words.iter().map(|word| word["text"].as_str().unwrap()).collect::<String>(), HOSTILE);
    }
}

//! The inputs of a request, as text-embeddings-inference reads them for sequence classification.

use std::fmt;

use midashi_text::cleaned;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What is classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// One text.
    Single(String),
    /// A pair of texts, such as title and body.
    Pair(String, String),
}

/// One text or several.
///
/// A string is a text and an array of two strings is a pair. A batch is an array of arrays, each with a text or a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inputs {
    /// `"text"`, `["text"]` or `["first", "second"]`
    Single(Sequence),
    /// `[["text"], ["first", "second"], …]`
    Batch(Vec<Sequence>),
}

/// The end at which a text that is too long is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum TruncationDirection {
    /// The beginning is dropped.
    #[serde(alias = "left")]
    Left,
    /// The end is dropped.
    #[default]
    #[serde(alias = "right")]
    Right,
}

/// What the inputs may be, for messages; text-embeddings-inference's own words.
const EXPECTED: &str = "a string, a pair of strings [string, string] or a batch of mixed strings and pairs \
    [[string], [string, string], ...]";

impl Sequence {
    /// Number of characters.
    pub fn characters(&self) -> usize {
        self.texts().map(|text| text.chars().count()).sum()
    }

    /// Whether it has no character.
    pub fn is_empty(&self) -> bool {
        self.texts().all(str::is_empty)
    }

    /// Its texts.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (first, second) = match self {
            Self::Single(text) => (text, None),
            Self::Pair(first, second) => (first, Some(second)),
        };
        [Some(first), second].into_iter().flatten().map(String::as_str)
    }

    /// The texts of a request, cleaned as those of files and of command lines: every text enters here.
    fn of<E: Error>(texts: Vec<String>) -> Result<Self, E> {
        let count = texts.len();
        let mut texts: Vec<String> = texts.iter().map(|text| cleaned(text).into_owned()).collect();
        match (texts.pop(), texts.pop()) {
            (Some(text), None) => Ok(Self::Single(text)),
            (Some(second), Some(first)) if texts.is_empty() => Ok(Self::Pair(first, second)),
            _ => Err(E::invalid_length(count, &EXPECTED)),
        }
    }
}

impl Inputs {
    /// The texts.
    pub fn sequences(&self) -> &[Sequence] {
        match self {
            Self::Single(sequence) => std::slice::from_ref(sequence),
            Self::Batch(sequences) => sequences,
        }
    }

    /// The answers to the texts in the form of the inputs: one for one text, an array for a batch.
    pub fn shaped<T>(&self, mut answers: Vec<T>) -> Shaped<T> {
        match self {
            Self::Single(_) => match answers.pop() {
                Some(answer) => Shaped::Single(answer),
                None => Shaped::Batch(answers),
            },
            Self::Batch(_) => Shaped::Batch(answers),
        }
    }
}

/// Answers in the form of the inputs.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub enum Shaped<T> {
    /// The answer to one text.
    Single(T),
    /// The answers to a batch.
    Batch(Vec<T>),
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
enum Item {
    Text(String),
    Texts(Vec<String>),
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Inputs, E> {
        Sequence::of(vec![text.to_owned()]).map(Inputs::Single)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inputs, A::Error> {
        // The first item decides whether the array is a pair or a batch.
        match items.next_element::<Item>()? {
            None => Ok(Inputs::Batch(Vec::new())),
            Some(Item::Text(first)) => {
                let mut texts = vec![first];
                while let Some(text) = items.next_element::<String>()? {
                    texts.push(text);
                }
                Sequence::of(texts).map(Inputs::Single)
            }
            Some(Item::Texts(first)) => {
                let mut batch = vec![Sequence::of(first)?];
                while let Some(texts) = items.next_element::<Vec<String>>()? {
                    batch.push(Sequence::of(texts)?);
                }
                Ok(Inputs::Batch(batch))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Inputs, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    fn single(text: &str) -> Sequence {
        Sequence::Single(text.into())
    }

    fn pair(first: &str, second: &str) -> Sequence {
        Sequence::Pair(first.into(), second.into())
    }

    #[test]
    fn inputs_have_the_forms_of_text_embeddings_inference() {
        assert_eq!(read(r#""春""#), Ok(Inputs::Single(single("春"))));
        assert_eq!(read(r#"["春"]"#), Ok(Inputs::Single(single("春"))));
        assert_eq!(read(r#"["春", "夏"]"#), Ok(Inputs::Single(pair("春", "夏"))));
        assert_eq!(
            read(r#"[["春"], ["夏", "秋"]]"#),
            Ok(Inputs::Batch(vec![single("春"), pair("夏", "秋")]))
        );
        assert_eq!(read("[]"), Ok(Inputs::Batch(vec![])), "refused later, as empty");
    }

    #[test]
    fn texts_are_cleaned_as_those_of_files() {
        let (marked, clean) = (r"\ufeff\ufeff春\r夏\r\n秋\ufeff", "春\n夏\n秋\u{feff}");
        assert_eq!(read(&format!(r#""{marked}""#)), Ok(Inputs::Single(single(clean))));
        assert_eq!(read(&format!(r#"["{marked}"]"#)), Ok(Inputs::Single(single(clean))));
        assert_eq!(read(&format!(r#"["{marked}", "{marked}"]"#)), Ok(Inputs::Single(pair(clean, clean))));
        assert_eq!(
            read(&format!(r#"[["{marked}"], ["冬", "{marked}"]]"#)),
            Ok(Inputs::Batch(vec![single(clean), pair("冬", clean)]))
        );
    }

    #[test]
    fn other_forms_are_refused_with_the_expected_ones() {
        for (json, found) in [
            (r#"["a", "b", "c"]"#, "invalid length 3"),
            (r#"[["a", "b", "c"]]"#, "invalid length 3"),
            (r#"[["a"], []]"#, "invalid length 0"),
            ("3", "invalid type: integer `3`"),
            ("null", "invalid type: null"),
        ] {
            let message = read(json).unwrap_err();
            assert!(message.starts_with(found), "{json}: {message}");
            assert!(message.contains("expected a string, a pair of strings"), "{json}: {message}");
        }
        assert!(read(r#"[["a"], "b"]"#).unwrap_err().contains("expected a sequence"));
        assert!(read(r#"[3]"#).unwrap_err().contains("expected a string or an array of strings"));
    }
}

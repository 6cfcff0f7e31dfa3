//! The strings of a page in English and Japanese.
//!
//! Strings in the page and in charts are written in both languages, and the style sheet shows one of them. The script
//! uses the same table.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use minijinja::HtmlEscape;
use serde::{Deserialize, Serialize};

/// All strings, by their keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Strings(pub BTreeMap<String, Bilingual>);

/// A text in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bilingual {
    /// In English.
    pub en: String,
    /// In Japanese.
    pub ja: String,
}

/// A string with its values, for the template function `tell`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// Its key.
    pub key: String,
    /// Its named values.
    pub values: Vec<(String, Word)>,
}

/// A value in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The same in both languages.
    Text(String),
    /// Different in each language.
    Sentence(Sentence),
    /// Several, separated by commas.
    List(Vec<Word>),
}

impl Sentence {
    /// The string `key` with `values`.
    pub fn new(key: &str, values: Vec<(&str, Word)>) -> Self {
        let values = values.into_iter().map(|(name, word)| (name.to_owned(), word));
        Self { key: key.to_owned(), values: values.collect() }
    }
}

impl Strings {
    /// The strings that all pages share, those of `table`, which is JSON, and those of `templates`. A template's strings
    /// are JSON in a comment at its start: `{# strings {…} #}`.
    ///
    /// # Errors
    /// When they are not a table of strings, or a key occurs twice.
    pub fn read<'a>(table: &'a str, templates: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Self> {
        let mut strings = BTreeMap::new();
        let comments = templates
            .into_iter()
            .filter_map(|template| Some(template.strip_prefix("{# strings\n")?.split_once("#}")?.0));
        for json in comments.chain([table, include_str!("../strings.json")]) {
            let table: BTreeMap<String, Bilingual> =
                serde_json::from_str(json).context("the page's strings")?;
            for (key, text) in table {
                ensure!(!strings.contains_key(&key), "the string {key} is defined twice");
                strings.insert(key, text);
            }
        }
        Ok(Self(strings))
    }

    /// The string `key` with `{name}` replaced by the value of that name.
    ///
    /// # Errors
    /// When there is no such string, or a value is missing or unused.
    pub fn say(&self, key: &str, values: &[(&str, String)]) -> anyhow::Result<Bilingual> {
        self.get(key)?.map(|text| filled(text, values).with_context(|| format!("the string {key}")))
    }

    /// The same as markup, with `` `code` `` as such; values are markup.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn markup(&self, key: &str, values: &[(&str, String)]) -> anyhow::Result<String> {
        let text = self.get(key)?.map(|text| {
            let text = with_code(&HtmlEscape(text).to_string());
            filled(&text, values).with_context(|| format!("the string {key}"))
        })?;
        Ok(text.in_elements("span", ""))
    }

    fn get(&self, key: &str) -> anyhow::Result<&Bilingual> {
        self.0.get(key).with_context(|| format!("there is no string {key}"))
    }

    /// A sentence as markup.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn tell(&self, sentence: &Sentence) -> anyhow::Result<String> {
        let values = sentence.values.iter().map(|(name, word)| Ok((name.as_str(), self.word(word)?)));
        self.markup(&sentence.key, &values.collect::<anyhow::Result<Vec<_>>>()?)
    }

    fn word(&self, word: &Word) -> anyhow::Result<String> {
        match word {
            Word::Text(text) => Ok(HtmlEscape(text).to_string()),
            Word::Sentence(sentence) => self.tell(sentence),
            Word::List(words) => {
                let words = words.iter().map(|word| self.word(word)).collect::<anyhow::Result<Vec<_>>>()?;
                Ok(words.join(&self.markup("list.comma", &[])?))
            }
        }
    }

    /// All strings in English, the language of a page without a script.
    pub fn english(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, said)| (key.clone(), said.en.clone())).collect()
    }
}

impl Bilingual {
    /// The texts, which are markup already, each in an element of its language. The style sheet shows one of the
    /// two. A text that is the same in both languages is written once.
    pub fn in_elements(&self, element: &str, attributes: &str) -> String {
        let one = |language: &str, text: &str| {
            format!("<{element} class=\"said\" lang=\"{language}\"{attributes}>{text}</{element}>")
        };
        match (self.en == self.ja, attributes.is_empty()) {
            (true, true) => self.en.clone(),
            (true, false) => format!("<{element}{attributes}>{}</{element}>", self.en),
            (false, _) => one("en", &self.en) + &one("ja", &self.ja),
        }
    }

    fn map(&self, of_one: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<Self> {
        Ok(Self { en: of_one(&self.en)?, ja: of_one(&self.ja)? })
    }
}

fn filled(text: &str, values: &[(&str, String)]) -> anyhow::Result<String> {
    let mut filled = String::new();
    let mut used = vec![false; values.len()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').with_context(|| format!("{text:?} has {{ without }}"))?;
        let at = values.iter().position(|(known, _)| *known == name);
        let at = at.with_context(|| format!("{text:?} has no value for {name}"))?;
        used[at] = true;
        filled += before;
        filled += &values[at].1;
        rest = after;
    }
    if let Some(unused) = used.iter().position(|used| !used) {
        bail!("{text:?} does not use the value {}", values[unused].0);
    }
    Ok(filled + rest)
}

/// Text between backticks becomes code.
fn with_code(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 0 { part.to_owned() } else { format!("<code>{part}</code>") })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strings() -> Strings {
        serde_json::from_str(
            r#"{"a": {"en": "{n} < `{m}`", "ja": "`{m}` > {n}"}, "b": {"en": "F1", "ja": "F1"}}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_string_has_both_languages_with_its_values() {
        let values = [("n", "1".to_owned()), ("m", "<b>2</b>".to_owned())];
        assert_eq!(strings().say("a", &values).unwrap().en, "1 < `<b>2</b>`");
        assert_eq!(
            strings().markup("a", &values).unwrap(),
            "<span class=\"said\" lang=\"en\">1 &lt; <code><b>2</b></code></span>\
             <span class=\"said\" lang=\"ja\"><code><b>2</b></code> &gt; 1</span>"
        );
        assert_eq!(strings().markup("b", &[]).unwrap(), "F1", "the same text is written once");
    }

    #[test]
    fn a_sentence_has_its_words_in_each_language() {
        let table: Strings = serde_json::from_str(
            r#"{"s": {"en": "of {w}", "ja": "{w}の"}, "w": {"en": "one", "ja": "一"}, "list.comma": {"en": ", ", "ja": "、"}}"#,
        )
        .unwrap();
        let one = || Word::Sentence(Sentence::new("w", vec![]));
        let told =
            table.tell(&Sentence::new("s", vec![("w", Word::List(vec![one(), Word::Text("<2>".into())]))]));
        let told = told.unwrap();
        assert!(
            told.starts_with(
                "<span class=\"said\" lang=\"en\">of <span class=\"said\" lang=\"en\">one</span>"
            )
        );
        assert!(told.contains("&lt;2&gt;") && told.ends_with("の</span>"), "{told}");
    }

    #[test]
    fn missing_strings_and_values_are_named() {
        let error =
            |key: &str, values: &[(&str, String)]| format!("{:#}", strings().say(key, values).unwrap_err());
        assert!(error("c", &[]).contains("no string c"));
        assert!(error("a", &[("n", String::new())]).contains("no value for m"));
        assert!(error("b", &[("n", String::new())]).contains("does not use the value n"));
    }
}

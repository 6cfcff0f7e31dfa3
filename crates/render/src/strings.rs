//! What the page says, in both of its languages: every sentence once, in `templates/strings.json`.
//!
//! A string that stands in the page stands there in both languages, and the style sheet shows one of
//! them; a chart's words likewise. What the script says it takes from the same table.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use minijinja::HtmlEscape;
use serde::{Deserialize, Serialize};

/// All strings, by their keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Strings(BTreeMap<String, Said>);

/// One string in both languages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// In English.
    pub en: String,
    /// In Japanese.
    pub ja: String,
}

/// A string with its values, to be said by a template (`tell`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentence {
    /// Its key in the table.
    pub key: String,
    /// Its values by their names.
    pub values: Vec<(String, Word)>,
}

/// A value in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The same in both languages.
    Text(String),
    /// What each language says in its own words.
    Said(Sentence),
    /// Several, with commas between them.
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
    /// The table that the program was built with.
    ///
    /// # Errors
    /// When it is no table of strings.
    pub fn read() -> anyhow::Result<Self> {
        serde_json::from_str(include_str!("../templates/strings.json")).context("strings.json")
    }

    /// The string `key` with `{name}` replaced by the value of that name.
    ///
    /// # Errors
    /// When there is no such string, or values and names do not fit.
    pub fn say(&self, key: &str, values: &[(&str, String)]) -> anyhow::Result<Said> {
        let said = self.0.get(key).with_context(|| format!("strings.json has no {key}"))?;
        said.map(|text| filled(text, values).with_context(|| format!("strings.json: {key}")))
    }

    /// The same as markup, with `` `code` `` as such; values are markup.
    ///
    /// # Errors
    /// As [`Self::say`].
    pub fn markup(&self, key: &str, values: &[(&str, String)]) -> anyhow::Result<String> {
        let said = self.0.get(key).with_context(|| format!("strings.json has no {key}"))?;
        let said = said.map(|text| {
            let text = with_code(&HtmlEscape(text).to_string());
            filled(&text, values).with_context(|| format!("strings.json: {key}"))
        })?;
        Ok(said.in_elements("span", ""))
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
            Word::Said(sentence) => self.tell(sentence),
            Word::List(words) => {
                let words = words.iter().map(|word| self.word(word)).collect::<anyhow::Result<Vec<_>>>()?;
                Ok(words.join(&self.markup("list.comma", &[])?))
            }
        }
    }

    /// All strings in English, which a page without a script speaks.
    pub fn english(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(key, said)| (key.clone(), said.en.clone())).collect()
    }
}

impl Said {
    /// Both languages, which are markup already, in elements of which the style sheet shows one; what is the
    /// same in both stands once.
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
        let at = at.with_context(|| format!("{text:?} asks for {name}, which was not given"))?;
        used[at] = true;
        filled += before;
        filled += &values[at].1;
        rest = after;
    }
    if let Some(unused) = used.iter().position(|used| !used) {
        bail!("{text:?} does not use {}", values[unused].0);
    }
    Ok(filled + rest)
}

/// Every other part between backticks is code.
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
    fn a_string_is_said_in_both_languages_with_its_values() {
        let values = [("n", "1".to_owned()), ("m", "<b>2</b>".to_owned())];
        assert_eq!(strings().say("a", &values).unwrap().en, "1 < `<b>2</b>`");
        assert_eq!(
            strings().markup("a", &values).unwrap(),
            "<span class=\"said\" lang=\"en\">1 &lt; <code><b>2</b></code></span>\
             <span class=\"said\" lang=\"ja\"><code><b>2</b></code> &gt; 1</span>"
        );
        assert_eq!(strings().markup("b", &[]).unwrap(), "F1", "what is the same stands once");
    }

    #[test]
    fn a_sentence_says_its_words_in_each_language() {
        let table: Strings = serde_json::from_str(
            r#"{"s": {"en": "of {w}", "ja": "{w}の"}, "w": {"en": "one", "ja": "一"}, "list.comma": {"en": ", ", "ja": "、"}}"#,
        )
        .unwrap();
        let one = || Word::Said(Sentence::new("w", vec![]));
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
    fn what_does_not_fit_is_an_error_by_name() {
        let error =
            |key: &str, values: &[(&str, String)]| format!("{:#}", strings().say(key, values).unwrap_err());
        assert!(error("c", &[]).contains("has no c"));
        assert!(error("a", &[("n", String::new())]).contains("asks for m"));
        assert!(error("b", &[("n", String::new())]).contains("does not use n"));
    }

    #[test]
    fn every_string_asks_for_the_same_values_in_both_languages() {
        let names = |text: &str| {
            let names = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        for (key, said) in &Strings::read().unwrap().0 {
            assert_eq!(names(&said.en), names(&said.ja), "{key}");
            assert_eq!(said.en.matches('`').count() % 2, 0, "{key}");
            assert_eq!(said.ja.matches('`').count() % 2, 0, "{key}");
        }
    }
}

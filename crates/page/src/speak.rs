//! Strings in templates: the functions `say` and `tell`.

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, HtmlEscape};
use serde::Deserialize;

use crate::strings::{Sentence, Strings};

/// Adds the functions `say` and `tell` to templates. `say(key, name=value, …)` is a string in both languages with its
/// named values, and `tell(sentence)` is a [`Sentence`].
pub fn add_strings(environment: &mut Environment<'_>, strings: &Strings) {
    let (said, told) = (strings.clone(), strings.clone());
    environment.add_function("say", move |key: &str, values: Kwargs| say(&said, key, &values));
    environment.add_function("tell", move |sentence: Value| tell(&told, sentence));
}

/// The template function `say`: a string in both languages, with its named values.
fn say(strings: &Strings, key: &str, values: &Kwargs) -> Result<Value, Error> {
    let markup = |name| {
        let value: Value = values.get(name)?;
        let text = value.to_string();
        Ok((name, if value.is_safe() { text } else { HtmlEscape(&text).to_string() }))
    };
    let values = values.args().map(markup).collect::<Result<Vec<_>, Error>>()?;
    let said = strings.markup(key, &values);
    let said = said.map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("{error:#}")))?;
    Ok(Value::from_safe_string(said))
}

/// The template function `tell`: a sentence in both languages.
fn tell(strings: &Strings, sentence: Value) -> Result<Value, Error> {
    let said = strings.tell(&Sentence::deserialize(sentence)?);
    let said = said.map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("{error:#}")))?;
    Ok(Value::from_safe_string(said))
}

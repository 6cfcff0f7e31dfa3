//! Renders the page: sections, data, style sheet and script put into the template.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use midashi_page::{STYLE, environment, template_error};
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Error, ErrorKind, HtmlEscape, context};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::artifacts::Artifacts;
use crate::data::data_block;
use crate::explorer::Explorer;
use crate::sections::classification::Verdict;
use crate::sections::{SECTIONS, Section};
use crate::strings::{Sentence, Strings};

/// Templates besides the sections'. The ending of a name switches HTML escaping on.
const TEMPLATES: [(&str, &str); 3] = [
    ("report.html", include_str!("../templates/report.html")),
    ("macros.html", include_str!("../templates/macros.html")),
    ("explorer.html", include_str!("../templates/explorer.html")),
];
/// The parts are one script, because the page's policy allows it by its digest. The comments mark it as CDATA, so
/// that the page stays well-formed XML.
const SCRIPT: &str = concat!(
    "//<![CDATA[\n\"use strict\";\n",
    include_str!("../templates/explorer/language.js"),
    include_str!("../templates/tables.js"),
    include_str!("../templates/explorer/data.js"),
    include_str!("../templates/explorer/view.js"),
    include_str!("../templates/explorer/texts.js"),
    include_str!("../templates/explorer/list.js"),
    include_str!("../templates/explorer/export.js"),
    include_str!("../templates/explorer/heads.js"),
    include_str!("../templates/explorer/explorer.js"),
    "//]]>\n",
);

/// The whole report as one HTML file.
///
/// The page's policy forbids loading anything. It allows the page's own style and script by their digests, so colours
/// are classes and never `style` attributes.
///
/// # Errors
/// When the artifacts do not belong together, or a template fails.
pub fn html(title: &str, run: &str, artifacts: &Artifacts, explorer: &Explorer) -> anyhow::Result<String> {
    let strings = Strings::read(SECTIONS.iter().map(|section| section.template))?;
    let mut environment = environment()?;
    let (said, told) = (strings.clone(), strings.clone());
    environment.add_function("say", move |key: &str, values: Kwargs| say(&said, key, &values));
    environment.add_function("tell", move |sentence: Value| tell(&told, sentence));
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(template_error)?;
    }
    let mut sections = Vec::new();
    for Section { name, template, data } in SECTIONS {
        environment.add_template_owned(format!("sections/{name}.html"), template).map_err(template_error)?;
        sections.extend(data(artifacts, &strings)?.map(|data| context! { name, data }));
    }
    let template = environment.get_template("report.html").map_err(template_error)?;
    let values = context! {
        title,
        run,
        metrics => Serde(&artifacts.metrics),
        verdict => Serde(Verdict::of(&artifacts.metrics)),
        sections,
        style => STYLE,
        style_digest => BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        script => SCRIPT,
        script_digest => BASE64_STANDARD.encode(Sha256::digest(SCRIPT)),
        strings => strings.english(),
        strings_data => data_block(&strings)?,
        explorer_data => data_block(explorer)?,
    };
    template.render(values).map_err(template_error)
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn strings() -> Strings {
        Strings::read(SECTIONS.iter().map(|section| section.template)).unwrap()
    }

    #[test]
    fn every_string_that_the_page_uses_exists() {
        let templates = TEMPLATES.iter().map(|(_, template)| *template);
        let sections = SECTIONS.iter().map(|section| section.template);
        let sources = templates.chain(sections).chain([SCRIPT]).collect::<String>();
        let marks = ["say(\"", "data-string=\"", "data-label=\"", "dataset.string = \""];
        let named = marks.iter().flat_map(|mark| sources.split(mark).skip(1));
        // Templates also build keys; only the beginning of such a key is there, and it ends in a dot.
        let keys = named.filter_map(|rest| rest.split('"').next());
        let keys: Vec<&str> = keys.filter(|key| key.contains('.') && !key.ends_with('.')).collect();
        let english = strings().english();
        let missing: Vec<_> = keys.iter().filter(|key| !english.contains_key(**key)).collect();
        assert!(keys.len() > 120 && missing.is_empty(), "{} keys, missing: {missing:?}", keys.len());
    }

    #[test]
    fn every_section_has_a_heading() {
        let english = strings().english();
        for Section { name, .. } in SECTIONS {
            assert!(english.contains_key(&format!("{name}.heading")), "{name}");
        }
    }

    #[test]
    fn every_string_has_the_same_values_in_both_languages() {
        let names = |text: &str| {
            let names = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        for (key, text) in strings().0 {
            assert_eq!(names(&text.en), names(&text.ja), "{key}");
            assert_eq!(text.en.matches('`').count() % 2, 0, "{key}");
            assert_eq!(text.ja.matches('`').count() % 2, 0, "{key}");
        }
    }
}

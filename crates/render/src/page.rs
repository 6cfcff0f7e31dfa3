//! The page: report, charts and style sheet put through the template.

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use midashi_page::{STYLE, environment, template_error};
use minijinja::value::{Kwargs, Serde, Value};
use minijinja::{Error, ErrorKind, HtmlEscape, context};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::charts;
use crate::report::Report;
use crate::strings::{Sentence, Strings};

const TEMPLATES: [(&str, &str); 12] = [
    // The names' ending switches HTML escaping on.
    ("report.html", include_str!("../templates/report.html")),
    ("macros.html", include_str!("../templates/macros.html")),
    ("sections/run.html", include_str!("../templates/sections/run.html")),
    ("sections/training.html", include_str!("../templates/sections/training.html")),
    ("sections/classification.html", include_str!("../templates/sections/classification.html")),
    ("sections/confusion.html", include_str!("../templates/sections/confusion.html")),
    ("sections/calibration.html", include_str!("../templates/sections/calibration.html")),
    ("sections/errors.html", include_str!("../templates/sections/errors.html")),
    ("sections/duplicates.html", include_str!("../templates/sections/duplicates.html")),
    ("sections/faithfulness.html", include_str!("../templates/sections/faithfulness.html")),
    ("sections/words.html", include_str!("../templates/sections/words.html")),
    ("explorer.html", include_str!("../templates/explorer.html")),
];
/// One script, since the page's policy knows it by its digest. In a comment its lines say that no markup is in
/// it, so that the page stays well-formed XML.
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
/// The page's policy allows nothing to be loaded, and no style and script but its own, which it knows
/// by their digests; so colours are classes, never `style` attributes.
///
/// # Errors
/// When a chart or the template fails.
pub fn html(report: &Report) -> anyhow::Result<String> {
    let strings = Strings::read()?;
    let mut environment = environment()?;
    let said = strings.clone();
    environment.add_function("say", move |key: &str, values: Kwargs| say(&said, key, &values));
    let told = strings.clone();
    environment.add_function("tell", move |sentence: Value| tell(&told, sentence));
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(template_error)?;
    }
    let template = environment.get_template("report.html").map_err(template_error)?;
    let training = &report.training;
    let calibration = report.metrics.calibration.as_ref();
    let values = context! {
        report => Serde(report),
        style => STYLE,
        style_digest => BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        script => SCRIPT,
        script_digest => BASE64_STANDARD.encode(Sha256::digest(SCRIPT)),
        strings => strings.english(),
        strings_data => data_block(&strings)?,
        explorer_data => data_block(&report.explorer)?,
        charts => context! {
            loss => charts::loss(training, &strings).context("cannot draw the loss")?,
            accuracy => charts::accuracy(training, &strings).context("cannot draw the accuracy")?,
            rates => charts::learning_rates(training, &strings).context("cannot draw the learning rates")?,
            lengths => charts::lengths(&report.lengths, &strings).context("cannot draw the token lengths")?,
            reliability => calibration
                .map(|calibration| charts::reliability(calibration, &strings))
                .transpose()
                .context("cannot draw the reliability diagram")?,
        },
    };
    template.render(values).map_err(template_error)
}

/// The string `key` in both languages, with values by their names.
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

/// A sentence in both languages.
fn tell(strings: &Strings, sentence: Value) -> Result<Value, Error> {
    let said = strings.tell(&Sentence::deserialize(sentence)?);
    let said = said.map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("{error:#}")))?;
    Ok(Value::from_safe_string(said))
}

/// JSON that can stand in a `script` element, whatever its strings hold: outside strings JSON has
/// none of these characters.
fn data_block(value: &impl Serialize) -> anyhow::Result<String> {
    let json = serde_json::to_string(value).context("cannot write the page's data")?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_end_its_element() {
        let block = data_block(&"</script><!--&").unwrap();
        assert_eq!(block, r#""\u003c/script\u003e\u003c!--\u0026""#);
        assert_eq!(serde_json::from_str::<String>(&block).unwrap(), "</script><!--&");
    }

    #[test]
    fn whatever_the_page_says_is_in_the_table_of_strings() {
        let strings = Strings::read().unwrap();
        let sources = TEMPLATES.iter().map(|(_, template)| *template).chain([SCRIPT]).collect::<String>();
        let marks = ["say(\"", "data-string=\"", "data-label=\"", "dataset.string = \""];
        let named = marks.iter().flat_map(|mark| sources.split(mark).skip(1));
        // Templates put keys together too; of those only the beginning is there, which ends in a dot.
        let keys = named.filter_map(|rest| rest.split('"').next());
        let keys: Vec<&str> = keys.filter(|key| key.contains('.') && !key.ends_with('.')).collect();
        let english = strings.english();
        let missing: Vec<_> = keys.iter().filter(|key| !english.contains_key(**key)).collect();
        assert!(keys.len() > 120 && missing.is_empty(), "{} keys, missing: {missing:?}", keys.len());
    }
}

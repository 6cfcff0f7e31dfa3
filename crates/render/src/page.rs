//! The page: report, charts and style sheet put through the template.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::charts;
use crate::printable::{lines, printable};
use crate::report::Report;

/// The style sheet.
pub const STYLE: &str = include_str!("../templates/report.css");
const TEMPLATES: [(&str, &str); 2] = [
    // The names' ending switches HTML escaping on.
    ("report.html", include_str!("../templates/report.html")),
    ("explorer.html", include_str!("../templates/explorer.html")),
];
/// One script, since the page's policy knows it by its digest. Comments say that there is no markup in
/// it, so that the page is well-formed XML.
const SCRIPT: &str = concat!(
    "//<![CDATA[\n\"use strict\";\n",
    include_str!("../templates/explorer/language.js"),
    include_str!("../templates/explorer/data.js"),
    include_str!("../templates/explorer/view.js"),
    include_str!("../templates/explorer/texts.js"),
    include_str!("../templates/explorer/list.js"),
    include_str!("../templates/explorer/export.js"),
    include_str!("../templates/explorer/heads.js"),
    include_str!("../templates/explorer/explorer.js"),
    "//]]>\n",
);
/// What the page says, in every language it speaks.
const STRINGS: &str = include_str!("../templates/strings.json");

/// Shades in the style sheet: `l0` is none, `l10` the full colour.
const LEVELS: f64 = 10.0;

/// The whole report as one HTML file.
///
/// The page's policy allows nothing to be loaded, and no style and script but its own, which it knows
/// by their digests; so colours are classes, never `style` attributes.
///
/// # Errors
/// When a chart or the template fails.
pub fn html(report: &Report) -> anyhow::Result<String> {
    let mut environment = environment()?;
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(template_error)?;
    }
    let strings: Strings = serde_json::from_str(STRINGS).context("strings.json")?;
    let english: BTreeMap<String, String> =
        strings.iter().map(|(key, said)| (key.clone(), said.en.clone())).collect();
    let template = environment.get_template("report.html").map_err(template_error)?;
    let values = context! {
        report => Serde(report),
        style => STYLE,
        style_digest => BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        script => SCRIPT,
        script_digest => BASE64_STANDARD.encode(Sha256::digest(SCRIPT)),
        strings => english,
        strings_data => data_block(&strings)?,
        explorer_data => data_block(&report.explorer)?,
        loss_chart => charts::loss(&report.training).context("cannot draw the loss")?,
        lengths_chart => charts::lengths(&report.lengths).context("cannot draw the token lengths")?,
    };
    template.render(values).map_err(template_error)
}

/// Templates' filters; whatever stands in a template is escaped, unless the template says that it is markup.
///
/// # Errors
/// When the syntax is refused.
pub fn environment() -> anyhow::Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(template_error)?);
    environment.add_filter("number", |value: u64| grouped(value));
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("percent", |share: f64| format!("{:.1}%", 100.0 * share));
    environment.add_filter("mebibytes", |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20)));
    environment.add_filter("level", |share: f64| (LEVELS * share).round().clamp(0.0, LEVELS) as u64);
    environment.add_filter("printable", |text: &str| printable(text));
    environment.add_filter("lines", |text: &str| lines(text));
    Ok(environment)
}

/// Strings by their key.
type Strings = BTreeMap<String, Said>;

/// One string in every language.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    en: String,
    ja: String,
}

/// JSON that can stand in a `script` element, whatever its strings hold: outside strings JSON has
/// none of these characters.
fn data_block(value: &impl Serialize) -> anyhow::Result<String> {
    let json = serde_json::to_string(value).context("cannot write the page's data")?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

/// minijinja tells template, line and cause only in its alternate form.
pub fn template_error(error: minijinja::Error) -> anyhow::Error {
    anyhow!("cannot fill a template: {error:#}")
}

/// 1234567 as 1,234,567.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let numbers = [0, 999, 1_000, 7_367, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "7,367", "1,234,567"]);
    }

    #[test]
    fn data_cannot_end_its_element() {
        let block = data_block(&"</script><!--&").unwrap();
        assert_eq!(block, r#""\u003c/script\u003e\u003c!--\u0026""#);
        assert_eq!(serde_json::from_str::<String>(&block).unwrap(), "</script><!--&");
    }

    #[test]
    fn whatever_the_page_says_is_in_the_table_of_strings() {
        let strings: Strings = serde_json::from_str(STRINGS).unwrap();
        let sources = [SCRIPT, TEMPLATES[0].1, TEMPLATES[1].1].concat();
        let marks = ["say(\"", "data-string=\"", "data-label=\""];
        let named = marks.iter().flat_map(|mark| sources.split(mark).skip(1));
        // Templates put keys together too; those have no dot yet.
        let keys = named.filter_map(|rest| rest.split('"').next()).filter(|key| key.contains('.'));
        let keys: Vec<&str> = keys.collect();
        let missing: Vec<_> = keys.iter().filter(|key| !strings.contains_key(**key)).collect();
        assert!(keys.len() > 40 && missing.is_empty(), "{} keys, missing: {missing:?}", keys.len());
    }
}

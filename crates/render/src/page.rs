//! The page: report, charts and style sheet put through the template.

use anyhow::{Context, anyhow};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, context};
use sha2::{Digest, Sha256};

use crate::charts;
use crate::report::Report;

const STYLE: &str = include_str!("../templates/report.css");
const TEMPLATE: &str = include_str!("../templates/report.html");

/// Shades in the style sheet: `l0` is none, `l10` the full colour.
const LEVELS: f64 = 10.0;

/// The whole report as one HTML file.
///
/// The page's policy allows nothing to be loaded and no style but its own, which it knows by its
/// digest; so colours are classes, never `style` attributes.
///
/// # Errors
/// When a chart or the template fails.
pub fn html(report: &Report) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(template_error)?);
    environment.add_filter("number", |value: u64| grouped(value));
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("percent", |share: f64| format!("{:.1}%", 100.0 * share));
    environment.add_filter("mebibytes", |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20)));
    environment.add_filter("level", |share: f64| (LEVELS * share).round().clamp(0.0, LEVELS) as u64);
    environment.add_filter("printable", printable);
    environment.add_filter("lines", lines);
    // The name's ending switches HTML escaping on.
    environment.add_template("report.html", TEMPLATE).map_err(template_error)?;
    let template = environment.get_template("report.html").map_err(template_error)?;
    let values = context! {
        report => Serde(report),
        style => STYLE,
        style_digest => BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        loss_chart => charts::loss(&report.training).context("cannot draw the loss")?,
        lengths_chart => charts::lengths(&report.lengths).context("cannot draw the token lengths")?,
    };
    template.render(values).map_err(template_error)
}

/// minijinja tells template, line and cause only in its alternate form.
fn template_error(error: minijinja::Error) -> anyhow::Error {
    anyhow!("cannot fill the report's template: {error:#}")
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

/// Control characters have no place in HTML; their pictures (U+2400 to U+2421) do.
fn printable(text: &str) -> String {
    let picture = |c: char| match c {
        '\0'..='\u{1F}' => char::from_u32(0x2400 + c as u32).unwrap_or(char::REPLACEMENT_CHARACTER),
        '\u{7F}' => '\u{2421}',
        '\u{80}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    text.chars().map(picture).collect()
}

/// The same for a text whose line feeds end lines.
fn lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let numbers = [0, 999, 1_000, 7_367, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "7,367", "1,234,567"]);
    }

    #[test]
    fn control_characters_get_a_picture() {
        assert_eq!(lines("a\n\tb"), "a\n␉b");
        assert_eq!(printable("a\u{1B}[0m\u{7F}\u{85}見\u{202E}"), "a␛[0m␡\u{FFFD}見\u{202E}");
    }
}

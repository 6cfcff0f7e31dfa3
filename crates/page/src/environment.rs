//! The template environment: filters for numbers and for text.

use anyhow::anyhow;
use midashi_text::{lines, printable, visible};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, UndefinedBehavior};

/// Shades in the style sheet, from `l0` (none) to `l10` (the full colour).
const LEVELS: f64 = 10.0;

/// An environment with the filters of all pages. Values are escaped unless a template marks them as safe.
///
/// # Errors
/// When minijinja refuses the syntax.
pub fn environment() -> anyhow::Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(template_error)?);
    environment.add_filter("number", |value: u64| grouped(value));
    environment.add_filter("fixed", |value: f64, digits: usize| format!("{value:.digits$}"));
    environment.add_filter("percent", |share: f64| format!("{:.1}%", 100.0 * share));
    environment.add_filter("points", |share: f64| format!("{:+.1}", 100.0 * share));
    environment.add_filter("p_value", p_value);
    environment.add_filter("mebibytes", |bytes: u64| format!("{:.0}", bytes as f64 / f64::from(1 << 20)));
    environment.add_filter("level", |share: f64| (LEVELS * share).round().clamp(0.0, LEVELS) as u64);
    environment.add_filter("printable", |text: &str| printable(text));
    environment.add_filter("visible", |text: &str| visible(text));
    environment.add_filter("excerpt", |text: &str| visible(&excerpt(text)));
    environment.add_filter("lines", |text: &str| lines(text));
    Ok(environment)
}

/// The whole reason why a template failed. minijinja gives template, line and cause only in its alternate form, and for
/// each included template separately.
pub fn template_error(error: Error) -> anyhow::Error {
    let causes: Vec<String> = anyhow::Chain::new(&error).map(|cause| format!("{cause:#}")).collect();
    anyhow!("cannot fill a template: {}", causes.join(": "))
}

/// Groups digits: 1234567 becomes 1,234,567.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let group = |(at, digit): (usize, char)| {
        let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// A p-value as papers write it.
fn p_value(p: f64) -> String {
    if p < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {p:.4}") }
}

/// The beginning of a text, short enough for a table.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
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
    fn small_p_values_are_bounds() {
        assert_eq!([0.0414, 0.0001, 1e-9].map(p_value), ["p = 0.0414", "p = 0.0001", "p < 0.0001"]);
    }

    #[test]
    fn only_long_texts_are_cut() {
        assert_eq!(excerpt(&"見".repeat(120)), "見".repeat(120));
        assert_eq!(excerpt(&"見".repeat(121)), "見".repeat(120) + "…");
    }
}

//! The strings of the report, besides those that all pages share.

use midashi_page::Strings;

/// The strings of `templates/strings.json` and of `templates` ([`Strings::read`]).
///
/// # Errors
/// When they are not a table of strings, or a key occurs twice.
pub fn read<'a>(templates: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Strings> {
    Strings::read(include_str!("../templates/strings.json"), templates)
}

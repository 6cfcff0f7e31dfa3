//! The explained texts: the explorer, or the gallery on a page without scripts.

use minijinja::Value;
use minijinja::value::Serde;

use crate::artifacts::Artifacts;
use crate::gallery::Gallery;
use midashi_page::Strings;

/// The gallery.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Some(Value::from(Serde(Gallery::of(artifacts)?))))
}

//! Section `[render]`: the report.

use serde::{Deserialize, Serialize};

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Render {
    /// Title of the report.
    pub title: String,
}

impl Default for Render {
    fn default() -> Self {
        Self { title: "Midashi".into() }
    }
}

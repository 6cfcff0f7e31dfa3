//! A URL as messages show it.

use std::fmt::{Display, Formatter};

/// A URL without its secrets. Errors hold no other form of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownUrl(String);

impl From<&str> for ShownUrl {
    fn from(url: &str) -> Self {
        Self(midashi_config::shown(url))
    }
}

impl From<&String> for ShownUrl {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}

impl Display for ShownUrl {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

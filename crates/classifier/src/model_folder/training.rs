//! `midashi.json`: the part of the training that a classification depends on.

use midashi_config::{Compat, Head, TextChoice, Tokenize};
use serde::{Deserialize, Serialize};

use crate::TrunkRecord;

/// The contents of `midashi.json`. Folders of older versions lack some keys; the defaults are what these versions did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// What computes the categories' scores.
    #[serde(default)]
    pub head: Head,
    /// The part of an article that the model was trained on. With [`TextChoice::TitleAndBody`] the first line of a text
    /// is the title.
    #[serde(default)]
    pub text: TextChoice,
    /// Longest input in tokens, special tokens included.
    #[serde(default = "default_max_length")]
    pub max_length: usize,
    /// The frozen layers; none where all layers were trained.
    pub trunk: Option<TrunkRecord>,
    /// Written only when an option is on.
    #[serde(default, skip_serializing_if = "Compat::is_off")]
    pub compat: Compat,
}

fn default_max_length() -> usize {
    Tokenize::default().max_length
}

/// The head of the configuration as the graphs have it, for so many `labels`.
pub fn encoder_head(head: Head, labels: usize) -> midashi_encoder::Head {
    midashi_encoder::Head { labels, pooler: head == Head::Pooler }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_older_version_is_read() {
        let record: Training = serde_json::from_str(r#"{"trunk": null}"#).unwrap();
        let Training { head, text, max_length, .. } = record;
        assert_eq!((head, text, max_length), (Head::Linear, TextChoice::Title, 512));
    }
}

//! `midashi.json`: the part of the training that a classification depends on.

use midashi_config::{Compat, Head, LongTexts, Pooling, TextChoice, Tokenize};
use serde::{Deserialize, Serialize};

use crate::TrunkRecord;

/// The contents of `midashi.json`. Folders of older versions lack some keys; the defaults are what these versions did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Training {
    /// What computes the categories' scores.
    #[serde(default)]
    pub head: Head,
    /// What the head reads. Written only when it is not `[CLS]`.
    #[serde(default, skip_serializing_if = "Pooling::is_cls")]
    pub pooling: Pooling,
    /// The part of an article that the model was trained on. With [`TextChoice::TitleAndBody`] the first line of a text
    /// is the title.
    #[serde(default)]
    pub text: TextChoice,
    /// Longest input in tokens, special tokens included.
    #[serde(default = "default_max_length")]
    pub max_length: usize,
    /// How longer texts were read; written only when in windows.
    #[serde(default, skip_serializing_if = "LongTexts::is_truncate")]
    pub long_texts: LongTexts,
    /// Tokens that windows share; written only when there are any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stride: usize,
    /// The frozen layers; none where all layers were trained.
    pub trunk: Option<TrunkRecord>,
    /// Written only when an option is on.
    #[serde(default, skip_serializing_if = "Compat::is_off")]
    pub compat: Compat,
}

fn is_zero(stride: &usize) -> bool {
    *stride == 0
}

fn default_max_length() -> usize {
    Tokenize::default().max_length
}

/// The head of the configuration as the graphs have it, for so many `labels`.
pub fn encoder_head(head: Head, pooling: Pooling, labels: usize) -> midashi_encoder::Head {
    let kind = match head {
        Head::Linear => midashi_encoder::HeadKind::Linear,
        Head::Native => midashi_encoder::HeadKind::Native,
    };
    let pooling = match pooling {
        Pooling::Cls => midashi_encoder::Pooling::Cls,
        Pooling::Mean => midashi_encoder::Pooling::Mean,
    };
    midashi_encoder::Head { labels, kind, pooling }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_of_an_older_version_is_read() {
        let record: Training = serde_json::from_str(r#"{"trunk": null}"#).unwrap();
        let Training { head, text, max_length, long_texts, stride, .. } = record;
        assert_eq!((head, text, max_length), (Head::Linear, TextChoice::Title, 512));
        assert_eq!((long_texts, stride), (LongTexts::Truncate, 0));
    }
}

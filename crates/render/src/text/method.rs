//! How much each token mattered: by which method, and of attention, in which layer and which head.

use anyhow::{Result, ensure};
use clap::ValueEnum;
use midashi_bert::BertConfig;
use serde::Serialize;

/// What the command line says of it.
#[derive(Clone, Copy, clap::Args)]
pub struct Arguments {
    /// What says how much a word mattered
    #[arg(long, value_name = "METHOD", default_value = "attention", requires = "texts")]
    by: By,
    /// The layer whose attention it is, from 0; otherwise the last
    #[arg(long, requires = "texts")]
    layer: Option<usize>,
    /// The one head whose attention it is, from 0; otherwise the sum of all
    #[arg(long, requires = "texts")]
    head: Option<usize>,
}

/// What says how much a word mattered, in the words of `metrics.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// What [CLS] attends to in one layer
    Attention,
    /// Attention through all layers (Abnar and Zuidema 2020)
    Rollout,
    /// Gradient of the category's logit times the word embeddings, signed
    GradientXInput,
    /// Its mean on the way from hidden words to the text (Sundararajan et al. 2017), signed
    IntegratedGradients,
}

/// A method as one model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What `[CLS]` attends to in `layer`, counted from 0, of which `is_last` says whether it is the last: in one
    /// head, or summed over all `heads`.
    Attention { layer: usize, is_last: bool, head: Option<usize>, heads: usize },
    /// Attention rollout.
    Rollout,
    /// Gradient × input.
    GradientXInput,
    /// Integrated gradients.
    IntegratedGradients,
}

impl Method {
    /// What is asked for, if a model of this geometry has it.
    ///
    /// # Errors
    /// When it has no such layer or head, or a layer or head is asked for where there is none.
    pub fn new(Arguments { by, layer, head }: Arguments, bert: &BertConfig) -> Result<Self> {
        for (option, number, count, of) in [
            ("--layer", layer, bert.num_hidden_layers, "layers"),
            ("--head", head, bert.num_attention_heads, "heads"),
        ] {
            let Some(number) = number else { continue };
            ensure!(
                by == By::Attention,
                "{option} {number}: only attention has {of}; leave it out, or use --by attention"
            );
            ensure!(
                number < count,
                "{option} is {number}; the model has {count} {of}, expected 0 to {}",
                count - 1
            );
        }
        Ok(match by {
            By::Attention => {
                let last = bert.num_hidden_layers - 1;
                let layer = layer.unwrap_or(last);
                Self::Attention { layer, is_last: layer == last, head, heads: bert.num_attention_heads }
            }
            By::Rollout => Self::Rollout,
            By::GradientXInput => Self::GradientXInput,
            By::IntegratedGradients => Self::IntegratedGradients,
        })
    }

    /// Its name.
    pub fn by(self) -> By {
        match self {
            Self::Attention { .. } => By::Attention,
            Self::Rollout => By::Rollout,
            Self::GradientXInput => By::GradientXInput,
            Self::IntegratedGradients => By::IntegratedGradients,
        }
    }

    /// Whether weights speak for the category or, negative, against it.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::GradientXInput | Self::IntegratedGradients)
    }

    /// What a reader is told of it where it explains the answer `category`.
    pub fn describe(self, category: &str) -> String {
        let name = match self {
            Self::Attention { layer, is_last, head, heads } => {
                let layer = if is_last { format!("last layer ({layer})") } else { format!("layer {layer}") };
                let head = head.map_or(format!("{heads} heads summed"), |head| format!("head {head}"));
                return format!("attention of [CLS], {layer}, {head}");
            }
            Self::Rollout => return "attention rollout".to_owned(),
            Self::GradientXInput => "gradient × input",
            Self::IntegratedGradients => "integrated gradients",
        };
        format!("{name} for the logit of {category}: what is negative speaks against it")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn method(by: By, layer: Option<usize>, head: Option<usize>) -> Result<Method, String> {
        let config = r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 3,
            "num_attention_heads": 4, "intermediate_size": 4, "max_position_embeddings": 64}"#;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let bert = BertConfig::read(&folder.path().join("config.json")).unwrap();
        Method::new(Arguments { by, layer, head }, &bert).map_err(|error| error.to_string())
    }

    #[test]
    fn attention_is_the_articles_unless_another_layer_or_head_is_asked_for() {
        let last = method(By::Attention, None, None).unwrap();
        assert_eq!(last, Method::Attention { layer: 2, is_last: true, head: None, heads: 4 });
        assert_eq!(last.describe("a"), "attention of [CLS], last layer (2), 4 heads summed");
        let other = method(By::Attention, Some(0), Some(3)).unwrap();
        assert_eq!(other.describe("a"), "attention of [CLS], layer 0, head 3");
    }

    #[test]
    fn a_layer_or_head_that_the_model_or_the_method_lacks_is_refused() {
        assert_eq!(
            method(By::Attention, None, Some(4)).unwrap_err(),
            "--head is 4; the model has 4 heads, expected 0 to 3"
        );
        assert!(method(By::Attention, Some(3), None).unwrap_err().contains("3 layers, expected 0 to 2"));
        assert!(method(By::Rollout, None, Some(0)).unwrap_err().starts_with("--head 0: only attention"));
        assert!(method(By::GradientXInput, Some(0), None).unwrap_err().starts_with("--layer 0"));
    }
}

//! The method that weighs the words, as the command line names it and as one model has it.

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;
use midashi_classifier::ModelFolder;
use serde::Serialize;

/// The method on the command line.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Arguments {
    /// Method that weighs the words; in a table, this adds them. The default is attention where words are coloured. --by
    /// is its former name
    #[arg(long, value_name = "METHOD", alias = "by")]
    explain: Option<By>,
    /// Layer of the attention, counted from 0; the default is the last
    #[arg(long)]
    layer: Option<usize>,
    /// Head of the attention, counted from 0; the default is the sum of all heads
    #[arg(long)]
    head: Option<usize>,
}

/// The methods, named as in `metrics.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Attention of `[CLS]` in one layer
    Attention,
    /// Attention through all layers (Abnar and Zuidema 2020)
    Rollout,
    /// Gradient of the category's logit times the word embeddings, signed
    GradientXInput,
    /// That gradient averaged from the masked text to the text (Sundararajan et al. 2017), signed
    IntegratedGradients,
}

/// A method as one model has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Attention of `[CLS]` in `layer`, counted from 0, in one head or summed over all `heads`.
    Attention { layer: usize, is_last: bool, head: Option<usize>, heads: usize },
    /// Attention rollout.
    Rollout,
    /// Gradient × input.
    GradientXInput,
    /// Integrated gradients.
    IntegratedGradients,
}

impl Method {
    /// The method for `model`, attention unless another is given.
    ///
    /// # Errors
    /// When the model has no such layer or head, or one is given for another method than attention.
    pub fn new(arguments: Arguments, model: &ModelFolder) -> Result<Self> {
        let config = model.config();
        let method = Self::resolve(arguments, config.num_hidden_layers, config.num_attention_heads)?;
        // The message begins with "layer" or "head", which is the option's name.
        midashi_classifier::Method::from(method).check(model).map_err(|error| anyhow!("--{error}"))?;
        Ok(method)
    }

    /// The method for `model`, if one is asked for.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when a layer or head is given without a method.
    pub fn if_given(arguments: Arguments, model: &ModelFolder) -> Result<Option<Self>> {
        if arguments.explain.is_some() {
            return Self::new(arguments, model).map(Some);
        }
        for (option, number) in [("--layer", arguments.layer), ("--head", arguments.head)] {
            if let Some(number) = number {
                bail!(
                    "{option} {number}: a table has no words without --explain attention; add it, or omit {option}"
                );
            }
        }
        Ok(None)
    }

    fn resolve(Arguments { explain, layer, head }: Arguments, layers: usize, heads: usize) -> Result<Self> {
        let by = explain.unwrap_or(By::Attention);
        for (option, number, of) in [("--layer", layer, "layers"), ("--head", head, "heads")] {
            if let Some(number) = number.filter(|_| by != By::Attention) {
                bail!("{option} {number}: only attention has {of}; omit it, or use --explain attention");
            }
        }
        Ok(match by {
            By::Attention => {
                let last = layers - 1;
                let layer = layer.unwrap_or(last);
                Self::Attention { layer, is_last: layer == last, head, heads }
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

    /// Whether negative weights count against the category.
    pub fn is_signed(self) -> bool {
        matches!(self, Self::GradientXInput | Self::IntegratedGradients)
    }

    /// A note for the reader of an explanation of `category`.
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
        format!("{name} for the logit of {category}: negative weights count against it")
    }
}

impl From<Method> for midashi_classifier::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Attention { layer, head, .. } => Self::Attention { layer: Some(layer), head },
            Method::Rollout => Self::Rollout,
            Method::GradientXInput => Self::GradientXInput,
            Method::IntegratedGradients => Self::IntegratedGradients,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn method(by: By, layer: Option<usize>, head: Option<usize>) -> Result<Method, String> {
        Method::resolve(Arguments { explain: Some(by), layer, head }, 3, 4).map_err(|error| error.to_string())
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
    fn a_layer_or_head_of_another_method_is_refused() {
        assert!(method(By::Rollout, None, Some(0)).unwrap_err().starts_with("--head 0: only attention"));
        assert!(method(By::GradientXInput, Some(0), None).unwrap_err().starts_with("--layer 0"));
    }
}

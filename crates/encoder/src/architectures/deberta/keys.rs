//! `config.json` of DeBERTa-v2 and -v3.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::buckets::{Buckets, Logarithmic};
use super::layers::{Convolution, Deberta, Disentangled};
use crate::architectures::architecture::{Description, Keys};
use crate::geometry::{Activation, Geometry};

/// More positions than any published encoder has, of BERT's size or larger. A greater number is damage, and every position
/// costs memory in each graph.
const MAX_POSITIONS: usize = 1 << 16;

/// Keys with the defaults of transformers' `DebertaV2Config` and of its modules.
#[derive(Deserialize)]
struct DebertaKeys {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default)]
    hidden_act: Activation,
    #[serde(default = "positions")]
    max_position_embeddings: usize,
    #[serde(default)]
    type_vocab_size: usize,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "range")]
    initializer_range: f64,
    #[serde(default)]
    pad_token_id: i64,
    #[serde(default)]
    relative_attention: bool,
    #[serde(default = "unset")]
    max_relative_positions: i64,
    #[serde(default = "unset")]
    position_buckets: i64,
    #[serde(default = "none")]
    norm_rel_ebd: String,
    #[serde(default)]
    share_att_key: bool,
    #[serde(default)]
    pos_att_type: PositionAttention,
    #[serde(default = "yes")]
    position_biased_input: bool,
    #[serde(default)]
    conv_kernel_size: usize,
    #[serde(default = "tanh")]
    conv_act: String,
    #[serde(default = "one")]
    conv_groups: usize,
    #[serde(default)]
    pooler_dropout: f64,
    #[serde(default = "gelu")]
    pooler_hidden_act: String,
    pooler_hidden_size: Option<usize>,
    attention_head_size: Option<usize>,
    embedding_size: Option<usize>,
}

/// `pos_att_type`: `["p2c", "c2p"]`, or `p2c|c2p` as in Microsoft's files.
#[derive(Deserialize)]
#[serde(untagged, expecting = "pos_att_type is neither a text like \"p2c|c2p\" nor a list of names")]
enum PositionAttention {
    Text(String),
    List(Vec<String>),
}

impl Default for PositionAttention {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl PositionAttention {
    fn names(&self) -> Vec<String> {
        match self {
            Self::Text(text) => text.split('|').map(|name| name.trim().to_lowercase()).collect(),
            Self::List(names) => names.clone(),
        }
    }
}

fn positions() -> usize {
    512
}

fn epsilon() -> f64 {
    1e-7
}

fn range() -> f64 {
    0.02
}

fn unset() -> i64 {
    -1
}

fn none() -> String {
    "none".to_owned()
}

fn yes() -> bool {
    true
}

fn tanh() -> String {
    "tanh".to_owned()
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn one() -> usize {
    1
}

/// Reads the `config.json` of a DeBERTa.
///
/// # Errors
/// What is missing, does not fit together, or is not computed.
pub fn read(published: &Keys) -> Result<Description, String> {
    let keys: DebertaKeys =
        serde_json::from_value(Value::Object(published.clone())).map_err(|error| error.to_string())?;
    let geometry = Geometry {
        vocab_size: keys.vocab_size,
        hidden_size: keys.hidden_size,
        num_hidden_layers: keys.num_hidden_layers,
        num_attention_heads: keys.num_attention_heads,
        intermediate_size: keys.intermediate_size,
        hidden_act: keys.hidden_act,
        max_tokens: keys.max_position_embeddings,
        type_vocab_size: keys.type_vocab_size,
        layer_norm_eps: keys.layer_norm_eps,
        initializer_range: keys.initializer_range,
        pad_token_id: keys.pad_token_id,
    };
    geometry.check()?;
    keys.check(&geometry)?;
    let deberta = Deberta {
        attention: keys.disentangled(&geometry)?,
        has_positions: keys.position_biased_input,
        convolution: keys.convolution()?,
        pooler_activation: activation("pooler_hidden_act", &keys.pooler_hidden_act)?,
        drops_pooler_input: keys.pooler_dropout > 0.0,
    };
    Ok(Description { geometry, architecture: Arc::new(deberta), keys: published.clone() })
}

impl DebertaKeys {
    /// Checks the keys that have only one supported value.
    fn check(&self, geometry: &Geometry) -> Result<(), String> {
        let hidden = self.hidden_size;
        let positions = i64::try_from(self.max_position_embeddings).unwrap_or(i64::MAX);
        for (key, number) in [
            ("max_position_embeddings", positions),
            ("max_relative_positions", self.max_relative_positions),
            ("position_buckets", self.position_buckets),
        ] {
            if number > MAX_POSITIONS as i64 {
                return Err(format!("{key} is {number}; expected at most {MAX_POSITIONS}"));
            }
        }
        if let Some(size) = self.embedding_size.filter(|size| *size != hidden) {
            return Err(format!(
                "embedding_size is {size} and hidden_size {hidden}: the embeddings are projected (embed_proj), \
                 which is not supported; expected equal sizes"
            ));
        }
        if let Some(size) = self.attention_head_size.filter(|size| *size != geometry.head_size()) {
            return Err(format!(
                "attention_head_size is {size}; expected hidden_size / num_attention_heads = {}",
                geometry.head_size()
            ));
        }
        if let Some(size) = self.pooler_hidden_size.filter(|size| *size != hidden) {
            return Err(format!("pooler_hidden_size is {size}; expected hidden_size, which is {hidden}"));
        }
        Ok(())
    }

    fn disentangled(&self, geometry: &Geometry) -> Result<Disentangled, String> {
        if !self.relative_attention {
            return Err("relative_attention is false or missing; only DeBERTa's disentangled attention is \
                        supported, which is relative"
                .to_owned());
        }
        let names = self.pos_att_type.names();
        if let Some(name) = names.iter().find(|name| !["c2p", "p2c"].contains(&name.as_str())) {
            return Err(format!("pos_att_type has {name:?}; expected c2p, p2c or both"));
        }
        let has = |kind: &str| names.iter().any(|name| name == kind);
        if names.is_empty() {
            return Err("pos_att_type is empty; expected c2p, p2c or both".to_owned());
        }
        let normalised =
            match self.norm_rel_ebd.to_lowercase().split('|').map(str::trim).collect::<Vec<_>>()[..] {
                ["none"] => false,
                ["layer_norm"] => true,
                _ => {
                    return Err(format!(
                        "norm_rel_ebd is {:?}; expected \"layer_norm\" or \"none\"",
                        self.norm_rel_ebd
                    ));
                }
            };
        Ok(Disentangled {
            buckets: self.buckets(geometry)?,
            content_to_position: has("c2p"),
            position_to_content: has("p2c"),
            shared: self.share_att_key,
            normalised,
        })
    }

    fn buckets(&self, geometry: &Geometry) -> Result<Buckets, String> {
        // What is below 1 is unset.
        let positive = |number: i64| usize::try_from(number).ok().filter(|number| *number > 0);
        let longest = positive(self.max_relative_positions).unwrap_or(geometry.max_tokens);
        let Some(count) = positive(self.position_buckets) else {
            return Ok(Buckets { span: longest, logarithmic: None });
        };
        let logarithmic = Logarithmic { count, longest };
        let middle = logarithmic.middle();
        if middle == 0 || (geometry.max_tokens > middle + 1 && longest < middle + 2) {
            return Err(format!(
                "position_buckets is {count} and max_relative_positions {longest}: distances over {middle} have \
                 no bucket; expected 2 buckets or more, and fewer than twice as many as positions"
            ));
        }
        Ok(Buckets { span: count, logarithmic: Some(logarithmic) })
    }

    fn convolution(&self) -> Result<Option<Convolution>, String> {
        let kernel = self.conv_kernel_size;
        if kernel == 0 {
            return Ok(None);
        }
        if kernel.is_multiple_of(2) {
            return Err(format!(
                "conv_kernel_size is {kernel}; expected an odd number, or 0 without convolution"
            ));
        }
        if self.conv_groups != 1 {
            return Err(format!("conv_groups is {}; only 1 is supported", self.conv_groups));
        }
        Ok(Some(Convolution { kernel, activation: activation("conv_act", &self.conv_act)? }))
    }
}

/// The function that the key `key` names.
fn activation(key: &str, name: &str) -> Result<Activation, String> {
    Activation::try_from(name.to_owned()).map_err(|message| message.replacen("hidden_act", key, 1))
}

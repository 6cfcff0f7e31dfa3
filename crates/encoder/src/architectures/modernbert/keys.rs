//! `config.json` of ModernBERT, as transformers 4.48 to 5 write it.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::attention::Attention;
use super::encoder::ModernBert;
use super::rotary::Theta;
use crate::architectures::architecture::{Description, Keys};
use crate::geometry::{Activation, Geometry};

/// The keys that the encoder needs, with transformers' defaults.
#[derive(Deserialize)]
struct ModernBertKeys {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default = "gelu")]
    hidden_activation: String,
    #[serde(default = "positions")]
    max_position_embeddings: usize,
    #[serde(default = "epsilon")]
    norm_eps: f64,
    #[serde(default = "range")]
    initializer_range: f64,
    pad_token_id: i64,
    #[serde(default)]
    norm_bias: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    classifier_bias: bool,
    #[serde(default = "gelu")]
    classifier_activation: String,
    /// The width of the window of local layers: as many tokens to both sides together.
    #[serde(default = "window")]
    local_attention: usize,
    /// The kind of each layer, since transformers 5.
    layer_types: Option<Vec<String>>,
    /// Every how many layers one is global, before transformers 5.
    #[serde(default = "three")]
    global_attn_every_n_layers: usize,
    /// Rotary positions of each kind of layer, since transformers 5.
    #[serde(default)]
    rope_parameters: serde_json::Map<String, Value>,
    /// Bases of the rotary positions, before transformers 5.
    #[serde(default = "global_base")]
    global_rope_theta: f64,
    #[serde(default = "local_base")]
    local_rope_theta: f64,
    rope_scaling: Option<Value>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn positions() -> usize {
    8192
}

fn epsilon() -> f64 {
    1e-5
}

fn range() -> f64 {
    0.02
}

fn window() -> usize {
    128
}

fn three() -> usize {
    3
}

fn global_base() -> f64 {
    160_000.0
}

fn local_base() -> f64 {
    10_000.0
}

/// The kind of a layer, as `layer_types` names it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Global,
    Local,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Global => "full_attention",
            Self::Local => "sliding_attention",
        }
    }
}

/// Reads the `config.json` of a ModernBERT.
///
/// # Errors
/// What is missing, does not fit together, or is not computed here.
pub(in crate::architectures) fn read(published: &Keys) -> Result<Description, String> {
    let keys: ModernBertKeys =
        serde_json::from_value(Value::Object(published.clone())).map_err(|error| error.to_string())?;
    let geometry = Geometry {
        vocab_size: keys.vocab_size,
        hidden_size: keys.hidden_size,
        num_hidden_layers: keys.num_hidden_layers,
        num_attention_heads: keys.num_attention_heads,
        intermediate_size: keys.intermediate_size,
        hidden_act: activation("hidden_activation", &keys.hidden_activation)?,
        max_tokens: keys.max_position_embeddings,
        type_vocab_size: 0,
        layer_norm_eps: keys.norm_eps,
        initializer_range: keys.initializer_range,
        pad_token_id: keys.pad_token_id,
    };
    geometry.check()?;
    for (key, size) in [
        ("hidden_size", keys.hidden_size),
        ("intermediate_size", keys.intermediate_size),
        ("max_position_embeddings", keys.max_position_embeddings),
    ] {
        // Matrices are up to three times as large, and so are windows.
        if i64::try_from(size).ok().and_then(|size| size.checked_mul(4)).is_none() {
            return Err(format!("{key} is {size}; no model is that large"));
        }
    }
    if !geometry.head_size().is_multiple_of(2) {
        return Err(format!(
            "a head is {} numbers wide (hidden_size {} / num_attention_heads {}); rotary positions need an even number",
            geometry.head_size(),
            keys.hidden_size,
            keys.num_attention_heads
        ));
    }
    if let Some(scaling) = &keys.rope_scaling {
        return Err(format!("rope_scaling is {scaling}; only unscaled rotary positions are supported"));
    }
    let encoder = ModernBert {
        norm_bias: keys.norm_bias,
        mlp_bias: keys.mlp_bias,
        classifier_bias: keys.classifier_bias,
        classifier_activation: activation("classifier_activation", &keys.classifier_activation)?,
        layers: layers(&keys)?,
    };
    Ok(Description { geometry, architecture: Arc::new(encoder), keys: published.clone() })
}

fn activation(key: &str, name: &str) -> Result<Activation, String> {
    Activation::try_from(name.to_owned()).map_err(|message| message.replacen("hidden_act", key, 1))
}

fn layers(keys: &ModernBertKeys) -> Result<Vec<Attention>, String> {
    let kinds = kinds(keys)?;
    let [global, local] = [(Kind::Global, keys.global_rope_theta), (Kind::Local, keys.local_rope_theta)]
        .map(|(kind, old)| theta(keys, kind, old));
    let (global, local) = (global?, local?);
    // Nothing is further away than the longest text is long.
    let reach = (keys.local_attention / 2).min(keys.max_position_embeddings);
    if reach == 0 && kinds.contains(&Kind::Local) {
        return Err(format!("local_attention is {}; expected at least 2", keys.local_attention));
    }
    let attention = |kind| match kind {
        Kind::Global => Attention { theta: global, bias: keys.attention_bias, reach: None },
        Kind::Local => Attention { theta: local, bias: keys.attention_bias, reach: Some(reach) },
    };
    Ok(kinds.into_iter().map(attention).collect())
}

fn kinds(keys: &ModernBertKeys) -> Result<Vec<Kind>, String> {
    let Some(names) = &keys.layer_types else {
        let every = keys.global_attn_every_n_layers;
        if every == 0 {
            return Err("global_attn_every_n_layers is 0; expected at least 1".to_owned());
        }
        let kind = |layer: usize| if layer.is_multiple_of(every) { Kind::Global } else { Kind::Local };
        return Ok((0..keys.num_hidden_layers).map(kind).collect());
    };
    if names.len() != keys.num_hidden_layers {
        return Err(format!(
            "layer_types has {} entries; expected num_hidden_layers, {}",
            names.len(),
            keys.num_hidden_layers
        ));
    }
    let kind = |name: &String| {
        [Kind::Global, Kind::Local].into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            format!("layer_types contains {name:?}; expected full_attention or sliding_attention")
        })
    };
    names.iter().map(kind).collect()
}

/// The base for layers of this kind: that of `rope_parameters`, or else that of the old key.
fn theta(keys: &ModernBertKeys, kind: Kind, old: f64) -> Result<Theta, String> {
    let place = format!("rope_parameters.{}", kind.name());
    let parameters = match keys.rope_parameters.get(kind.name()) {
        None | Some(Value::Null) => return positive(&place, old),
        Some(Value::Object(parameters)) => parameters,
        Some(other) => return Err(format!("{place} is {other}; expected an object")),
    };
    if let Some(kind) = parameters.get("rope_type").filter(|kind| **kind != "default") {
        return Err(format!("{place}.rope_type is {kind}; only \"default\" is supported"));
    }
    match parameters.get("rope_theta") {
        None | Some(Value::Null) => positive(&place, old),
        Some(base) => {
            let number =
                base.as_f64().ok_or_else(|| format!("{place}.rope_theta is {base}; expected a number"))?;
            positive(&place, number)
        }
    }
}

fn positive(place: &str, base: f64) -> Result<Theta, String> {
    if base > 0.0 && base.is_finite() {
        return Ok(Theta(base));
    }
    Err(format!("the base of the rotary positions of {place} is {base}; expected a positive number"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(changes: &Value) -> Keys {
        // ruri-v3-30m, as it was published.
        let mut config = json!({
            "model_type": "modernbert", "vocab_size": 102_400, "hidden_size": 256, "num_hidden_layers": 10,
            "num_attention_heads": 4, "intermediate_size": 1024, "max_position_embeddings": 8192, "pad_token_id": 3,
            "norm_eps": 1e-5, "norm_bias": false, "attention_bias": false, "mlp_bias": false,
            "classifier_bias": false, "global_attn_every_n_layers": 3, "global_rope_theta": 160_000.0,
            "local_rope_theta": 10_000.0, "local_attention": 128, "hidden_activation": "gelu",
        });
        for (key, value) in changes.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        let Value::Object(mut keys) = config else { return Keys::new() };
        keys.retain(|_, value| !value.is_null());
        keys
    }

    fn attention(changes: &Value) -> Result<Vec<Attention>, String> {
        let keys = serde_json::from_value(Value::Object(keys(changes))).map_err(|error| error.to_string())?;
        layers(&keys)
    }

    #[test]
    fn every_third_layer_is_global_in_old_keys_and_in_new_ones() {
        let old = attention(&json!({})).unwrap();
        let global: Vec<usize> = (0..old.len()).filter(|&layer| old[layer].reach.is_none()).collect();
        assert_eq!(global, [0, 3, 6, 9]);
        assert_eq!((old[1].reach, old[1].theta, old[0].theta), (Some(64), Theta(1e4), Theta(1.6e5)));
        let kind =
            |layer: usize| if layer.is_multiple_of(3) { "full_attention" } else { "sliding_attention" };
        let new = json!({
            "global_attn_every_n_layers": null, "global_rope_theta": null, "local_rope_theta": null,
            "layer_types": (0..10).map(kind).collect::<Vec<_>>(),
            "rope_parameters": {
                "full_attention": {"rope_type": "default", "rope_theta": 160_000.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0}
            },
        });
        assert_eq!(attention(&new).unwrap(), old);
        let defaults =
            json!({"global_attn_every_n_layers": null, "global_rope_theta": null, "local_rope_theta": null});
        assert_eq!(attention(&defaults).unwrap(), old);
        let other =
            attention(&json!({"rope_parameters": {"full_attention": {"rope_theta": 500.0}}})).unwrap();
        assert_eq!((other[0].theta, other[1].theta), (Theta(500.0), Theta(1e4)));
    }

    #[test]
    fn settings_that_are_not_computed_are_refused_by_name() {
        for (changes, parts) in [
            (json!({"hidden_activation": "silu"}), ["hidden_activation is \"silu\"", "gelu"]),
            (json!({"classifier_activation": "silu"}), ["classifier_activation is \"silu\"", "gelu"]),
            (json!({"rope_scaling": {"rope_type": "yarn"}}), ["rope_scaling", "unscaled"]),
            (
                json!({"rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2.0}}}),
                ["rope_parameters.sliding_attention.rope_type is \"linear\"", "default"],
            ),
            (
                json!({"rope_parameters": {"full_attention": {"rope_theta": -1.0}}}),
                ["full_attention", "positive"],
            ),
            (
                json!({"rope_parameters": {"full_attention": {"rope_theta": "10"}}}),
                ["rope_theta", "a number"],
            ),
            (json!({"rope_parameters": {"full_attention": 3}}), ["full_attention is 3", "an object"]),
            (json!({"local_rope_theta": 0.0}), ["sliding_attention is 0", "positive"]),
            (json!({"layer_types": ["full_attention"]}), ["layer_types has 1 entries", "10"]),
            (json!({"layer_types": vec!["linear_attention"; 10]}), ["linear_attention", "sliding_attention"]),
            (json!({"global_attn_every_n_layers": 0}), ["global_attn_every_n_layers", "at least 1"]),
            (json!({"local_attention": 1}), ["local_attention is 1", "at least 2"]),
            (json!({"num_attention_heads": 256}), ["a head is 1 numbers wide", "even"]),
            (json!({"num_attention_heads": 3}), ["hidden_size 256", "num_attention_heads 3"]),
            (
                json!({"intermediate_size": u64::MAX}),
                ["intermediate_size is 18446744073709551615", "at most 262144"],
            ),
            (json!({"vocab_size": null}), ["missing field", "vocab_size"]),
            (json!({"pad_token_id": 102_400}), ["pad_token_id", "102400"]),
        ] {
            let message = read(&keys(&changes)).err().unwrap_or_else(|| "accepted".to_owned());
            assert!(parts.iter().all(|part| message.contains(part)), "{message:?} lacks one of {parts:?}");
        }
        let global = json!({"local_attention": 0, "layer_types": vec!["full_attention"; 10]});
        assert!(read(&keys(&global)).is_ok(), "without local layers there is no window");
    }
}

//! `config.json` of BERT and its family.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::{ALL, Member};
use super::layers::Bert;
use super::own_keys::FIRST_POSITION;
use crate::architectures::architecture::{Description, Keys};
use crate::geometry::{Activation, Geometry};

/// The keys of BERT (Devlin et al. 2019, section 3).
#[derive(Serialize, Deserialize)]
struct BertKeys {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    #[serde(default)]
    hidden_act: Activation,
    max_position_embeddings: usize,
    #[serde(default = "two")]
    type_vocab_size: usize,
    #[serde(default = "default_epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "default_range")]
    initializer_range: f64,
    #[serde(default)]
    pad_token_id: i64,
    /// How positions are encoded; only `absolute` is supported.
    #[serde(default = "absolute")]
    position_embedding_type: String,
    /// Keys that the encoder does not need; they are written with the model for other readers.
    #[serde(flatten)]
    other: Keys,
}

fn two() -> usize {
    2
}

fn default_epsilon() -> f64 {
    1e-12
}

fn default_range() -> f64 {
    0.02
}

fn absolute() -> String {
    "absolute".to_owned()
}

/// The `model_type`s of the family.
pub fn model_types() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|member| member.model_types).copied()
}

/// Reads the `config.json` of a member of the family; `None` for another architecture.
///
/// # Errors
/// What is missing, does not fit together, or computes something else than BERT.
pub fn read(model_type: &str, published: &Keys) -> Option<Result<Description, String>> {
    let member = ALL.into_iter().find(|member| member.model_types.contains(&model_type))?;
    let class = member.head.classes.iter().find(|(name, _)| *name == model_type)?.1;
    Some(describe(member, class, published))
}

fn describe(member: &'static Member, class: &'static str, published: &Keys) -> Result<Description, String> {
    if let Some(reason) = (member.refusal)(published) {
        return Err(reason);
    }
    let keys = under_berts_names(member, published)?;
    let mut geometry = Geometry {
        vocab_size: keys.vocab_size,
        hidden_size: keys.hidden_size,
        num_hidden_layers: keys.num_hidden_layers,
        num_attention_heads: keys.num_attention_heads,
        intermediate_size: keys.intermediate_size,
        hidden_act: keys.hidden_act,
        max_tokens: keys.max_position_embeddings,
        type_vocab_size: if member.has_token_types { keys.type_vocab_size } else { 0 },
        layer_norm_eps: keys.layer_norm_eps,
        initializer_range: keys.initializer_range,
        pad_token_id: keys.pad_token_id,
    };
    let unused = member.unused_positions(geometry.pad_token_id);
    geometry.max_tokens =
        geometry.max_tokens.checked_sub(unused).filter(|left| *left > 0).ok_or_else(|| {
            format!(
                "max_position_embeddings is {}; expected more than pad_token_id + 1 = {unused}",
                geometry.max_tokens
            )
        })?;
    geometry.check()?;
    check(member, &keys)?;
    let first_position = first_position(published, unused)?;
    let keys = match member.name {
        // All keys are written, in one order.
        "bert" => match serde_json::to_value(keys) {
            Ok(Value::Object(keys)) => keys,
            Ok(_) => return Err("is no object".to_owned()),
            Err(error) => return Err(error.to_string()),
        },
        _ => published.clone(),
    };
    Ok(Description { geometry, architecture: Arc::new(Bert::new(member, class, first_position)), keys })
}

/// The value of [`FIRST_POSITION`]. The first row is at most the usual one, after `unused` others, so that enough rows
/// follow it.
fn first_position(published: &Keys, unused: usize) -> Result<Option<usize>, String> {
    let Some(value) = published.get(FIRST_POSITION) else { return Ok(None) };
    let first = value.as_u64().and_then(|first| usize::try_from(first).ok());
    first.filter(|first| *first <= unused).map(Some).ok_or_else(|| {
        format!("{FIRST_POSITION} is {value}; expected a row up to {unused}, from which transformers counts")
    })
}

/// The keys of a member, with BERT's names and the member's defaults.
fn under_berts_names(member: &Member, published: &Keys) -> Result<BertKeys, String> {
    let mut keys = published.clone();
    keys.retain(|key, _| !member.meaningless.contains(&key.as_str()));
    for (key, own) in member.keys {
        if let Some(value) = keys.remove(*own) {
            keys.insert((*key).to_owned(), value);
        }
    }
    keys.entry("pad_token_id").or_insert(member.pad_token_id.into());
    serde_json::from_value(Value::Object(keys)).map_err(|error| error.to_string())
}

fn check(member: &Member, keys: &BertKeys) -> Result<(), String> {
    if member.has_token_types && keys.type_vocab_size == 0 {
        return Err("type_vocab_size is 0; expected at least 1".to_owned());
    }
    if keys.position_embedding_type != "absolute" {
        return Err(format!(
            "position_embedding_type is {:?}; only \"absolute\" is supported",
            keys.position_embedding_type
        ));
    }
    if keys.other.get("is_decoder") == Some(&true.into()) {
        return Err("is_decoder is true; expected an encoder, which reads in both directions".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::config::EncoderConfig;
    fn read(config: Value) -> Result<EncoderConfig, String> {
        serde_json::from_value(config).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn assert_refused(config: Value, parts: &[&str]) {
        let message = read(config).err().unwrap_or_else(|| "accepted".to_owned());
        for part in parts {
            assert!(message.contains(part), "{message:?} does not contain {part:?}");
        }
    }

    fn bert() -> Value {
        json!({
            "model_type": "bert", "vocab_size": 32000, "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072, "max_position_embeddings": 512,
        })
    }

    fn with(mut config: Value, changes: Value) -> Value {
        for (key, value) in changes.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config
    }

    #[test]
    fn roberta_has_fewer_positions_than_rows() {
        let roberta = with(bert(), json!({"model_type": "roberta", "max_position_embeddings": 514}));
        let config = read(roberta.clone()).unwrap();
        assert_eq!((config.max_tokens(), config.pad_token_id), (512, 1));
        let config = read(with(roberta.clone(), json!({"pad_token_id": 3}))).unwrap();
        assert_eq!(config.max_tokens(), 510);
        for positions in [0, 1, 2] {
            let few = with(roberta.clone(), json!({"max_position_embeddings": positions}));
            assert_refused(few, &["max_position_embeddings"]);
        }
    }

    #[test]
    fn settings_of_a_distilbert_have_their_own_names() {
        let published = json!({
            "model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"], "torch_dtype": "float16",
            "vocab_size": 32768,
            "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "activation": "gelu_new",
            "dropout": 0.2, "attention_dropout": 0.3, "max_position_embeddings": 512, "pad_token_id": 0,
            "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": true,
            "tie_weights_": true, "initializer_range": 0.02, "layer_norm_eps": 0.5, "bos_token_id": null,
            "tokenizer_class": "BertJapaneseTokenizer",
        });
        let config = read(published.clone()).unwrap();
        let sizes = (config.hidden_size, config.num_hidden_layers, config.num_attention_heads);
        assert_eq!(sizes, (768, 6, 12));
        assert_eq!((config.intermediate_size, config.max_tokens, config.type_vocab_size), (3072, 512, 0));
        assert_eq!((config.hidden_act, config.layer_norm_eps), (Activation::GeluNew, 1e-12));
        // What is written is what was published, without what is about the file.
        let mut expected = published;
        for key in ["architectures", "torch_dtype", "bos_token_id"] {
            expected.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(serde_json::to_value(config).unwrap(), expected);
    }

    #[test]
    fn an_electra_with_narrow_embeddings_is_refused_with_the_reason() {
        let electra = with(bert(), json!({"model_type": "electra", "embedding_size": 768}));
        assert!(read(electra.clone()).is_ok());
        let narrow = ["embedding_size is 128 and hidden_size 768", "embeddings_project"];
        assert_refused(with(electra.clone(), json!({"embedding_size": 128})), &narrow);
        assert_refused(with(electra, json!({"embedding_size": null})), &narrow);
    }

    #[test]
    fn another_architecture_is_refused_by_name() {
        for name in ["albert", "bigbird", "t5"] {
            let supported = "bert, roberta, xlm-roberta, camembert, luke, distilbert, electra";
            assert_refused(json!({"model_type": name}), &[&format!("{name:?}"), supported]);
        }
        assert_refused(json!({}), &["no model_type", "distilbert"]);
    }

    #[test]
    fn settings_that_bert_does_not_have_are_refused_by_name() {
        for (change, parts) in [
            (json!({"hidden_act": "silu"}), ["\"silu\"", "gelu, "]),
            (
                json!({"position_embedding_type": "relative_key"}),
                ["position_embedding_type", "\"relative_key\""],
            ),
            (json!({"is_decoder": true}), ["is_decoder", "encoder"]),
            (json!({"pad_token_id": -1}), ["pad_token_id", "-1"]),
            (json!({"num_hidden_layers": 1_000_000}), ["num_hidden_layers", "at most 1024"]),
        ] {
            assert_refused(with(bert(), change), &parts);
        }
    }
}

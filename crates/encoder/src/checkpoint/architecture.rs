//! Architectures whose encoder is BERT's under other names: the names each has for settings and tensors.
//!
//! A checkpoint is converted to BERT's names when it is read, so that graphs, training and written models have
//! one architecture. A new architecture is a row here and a reference model in
//! `tests/parity/architecture_reference.py`.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::config::EncoderConfig;
use crate::error::Error;

/// An architecture whose encoder computes the same as BERT's.
#[derive(Debug)]
pub struct Architecture {
    /// Its `model_type`s.
    model_types: &'static [&'static str],
    /// Its name, which is the prefix of its tensors' names when the checkpoint has a head beside the encoder.
    pub name: &'static str,
    /// Parts of BERT's tensor names and their replacements, in the order of replacement.
    parts: &'static [(&'static str, &'static str)],
    /// BERT's keys in `config.json` and the architecture's own.
    keys: &'static [(&'static str, &'static str)],
    /// Keys that it ignores, or that have another meaning in BERT.
    meaningless: &'static [&'static str],
    /// `pad_token_id` if `config.json` has none.
    pad_token_id: i64,
    /// Whether positions count from `pad_token_id + 1`, as in fairseq: the rows before are not used.
    positions_follow_padding: bool,
    /// Whether there are token type embeddings; zeros replace missing ones.
    has_token_types: bool,
    /// The linear layer before tanh and classifier in its own head for classification, which computes what BERT's pooler
    /// does.
    pub pooler: Option<&'static str>,
    /// The tensor of such a layer that another function than tanh follows, and that function.
    pub other_head: Option<(&'static str, &'static str)>,
    /// Why a model with these settings computes something else than BERT, if it does.
    refusal: fn(&Map<String, Value>) -> Option<String>,
}

/// Devlin et al. 2019
const BERT: Architecture = Architecture {
    model_types: &["bert"],
    name: "bert",
    parts: &[],
    keys: &[],
    meaningless: &[],
    pad_token_id: 0,
    positions_follow_padding: false,
    has_token_types: true,
    pooler: None,
    other_head: None,
    refusal: |_| None,
};

/// Liu et al. 2019, and its derivatives in transformers
const ROBERTA: Architecture = Architecture {
    model_types: &["roberta", "xlm-roberta", "camembert"],
    name: "roberta",
    pad_token_id: 1,
    positions_follow_padding: true,
    pooler: Some("classifier.dense"),
    ..BERT
};

/// Sanh et al. 2019
const DISTILBERT: Architecture = Architecture {
    model_types: &["distilbert"],
    name: "distilbert",
    parts: &[
        ("encoder.layer", "transformer.layer"),
        ("attention.self.query", "attention.q_lin"),
        ("attention.self.key", "attention.k_lin"),
        ("attention.self.value", "attention.v_lin"),
        ("attention.output.dense", "attention.out_lin"),
        ("attention.output.LayerNorm", "sa_layer_norm"),
        ("intermediate.dense", "ffn.lin1"),
        ("output.dense", "ffn.lin2"),
        ("output.LayerNorm", "output_layer_norm"),
    ],
    keys: &[
        ("num_hidden_layers", "n_layers"),
        ("num_attention_heads", "n_heads"),
        ("hidden_size", "dim"),
        ("intermediate_size", "hidden_dim"),
        ("hidden_act", "activation"),
        ("hidden_dropout_prob", "dropout"),
        ("attention_probs_dropout_prob", "attention_dropout"),
    ],
    meaningless: &[
        "hidden_act",
        "layer_norm_eps",
        "qa_dropout",
        "seq_classif_dropout",
        "sinusoidal_pos_embds",
        "tie_weights_",
    ],
    has_token_types: false,
    other_head: Some(("pre_classifier.weight", "ReLU")),
    ..BERT
};

/// Clark et al. 2020, with embeddings as wide as the layers
const ELECTRA: Architecture = Architecture {
    model_types: &["electra"],
    name: "electra",
    meaningless: &[
        "embedding_size",
        "summary_activation",
        "summary_last_dropout",
        "summary_type",
        "summary_use_proj",
    ],
    other_head: Some(("classifier.dense.weight", "GELU")),
    refusal: |config| {
        // The default of transformers.
        const EMBEDDING_SIZE: u64 = 128;
        let hidden = config.get("hidden_size")?;
        let embedding = config.get("embedding_size").cloned().unwrap_or_else(|| EMBEDDING_SIZE.into());
        (embedding != *hidden).then(|| {
            format!(
                "embedding_size is {embedding} and hidden_size {hidden}: the embeddings are projected \
                 (embeddings_project), which BERT does not do; expected equal sizes"
            )
        })
    },
    ..BERT
};

const ALL: [&Architecture; 4] = [&BERT, &ROBERTA, &DISTILBERT, &ELECTRA];

/// Keys about the published files: class, code and element type. Tensors are float32 once they are read.
const OF_THE_PUBLICATION: [&str; 5] = ["architectures", "auto_map", "dtype", "torch_dtype", "_name_or_path"];

const POSITIONS: &str = "bert.embeddings.position_embeddings.weight";
const TOKEN_TYPES: &str = "bert.embeddings.token_type_embeddings.weight";

/// Where one of BERT's tensors comes from.
pub enum Source {
    /// From the file, after this many rows that no token uses.
    Stored { rows_before: usize },
    /// It is not in the file: it is zeros.
    Zeros,
}

impl EncoderConfig {
    /// Reads the `config.json` of a BERT, or of an architecture that is BERT under other names.
    ///
    /// # Errors
    /// When the file is missing or damaged, or the model computes something else than BERT.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Architecture::read(path).map(|(_, config)| config)
    }
}

impl Architecture {
    /// Reads `config.json`: its architecture, and its settings under BERT's names.
    ///
    /// # Errors
    /// When the file is missing or damaged, or the model computes something else than BERT.
    pub fn read(path: &Path) -> Result<(&'static Self, EncoderConfig), Error> {
        let wrong = |message: String| Error::Config { path: path.to_owned(), message };
        let text = fs::read(path).map_err(Error::io("read", path))?;
        let config = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        // Checked first: other architectures lack BERT's keys, and their name makes the better message.
        let architecture = Self::of(&config).map_err(wrong)?;
        Ok((architecture, architecture.to_bert(config).map_err(wrong)?))
    }

    /// The architecture that a `config.json` names.
    ///
    /// # Errors
    /// What was found instead of a supported architecture.
    pub fn of(config: &Map<String, Value>) -> Result<&'static Self, String> {
        let known = || ALL.iter().flat_map(|one| one.model_types).copied().collect::<Vec<_>>().join(", ");
        let name = config.get("model_type").and_then(Value::as_str).ok_or_else(|| {
            format!("there is no model_type; expected one of {}; add \"bert\" if it is a BERT", known())
        })?;
        ALL.into_iter().find(|one| one.model_types.contains(&name)).ok_or_else(|| {
            format!("model_type is {name:?}, which is not supported; expected one of {}", known())
        })
    }

    /// `config.json` under BERT's names.
    ///
    /// # Errors
    /// What is missing, does not fit together, or is not BERT.
    pub fn to_bert(&self, mut config: Map<String, Value>) -> Result<EncoderConfig, String> {
        // transformers writes null for keys without a value.
        config.retain(|_, value| !value.is_null());
        if let Some(reason) = (self.refusal)(&config) {
            return Err(reason);
        }
        config.retain(|key, _| {
            !self.meaningless.contains(&key.as_str()) && !OF_THE_PUBLICATION.contains(&key.as_str())
        });
        for (key, own) in self.keys {
            if let Some(value) = config.remove(*own) {
                config.insert((*key).to_owned(), value);
            }
        }
        if !self.has_token_types {
            config.insert("type_vocab_size".to_owned(), 1.into());
        }
        config.entry("pad_token_id").or_insert(self.pad_token_id.into());
        config.insert("model_type".to_owned(), "bert".into());
        let mut config: EncoderConfig =
            serde_json::from_value(Value::Object(config)).map_err(|error| error.to_string())?;
        let unused = self.unused_positions(&config);
        config.max_position_embeddings =
            config.max_position_embeddings.checked_sub(unused).filter(|left| *left > 0).ok_or_else(|| {
                format!(
                    "max_position_embeddings is {}; expected more than pad_token_id + 1 = {unused}",
                    config.max_position_embeddings
                )
            })?;
        config.check()?;
        Ok(config)
    }

    /// The source of BERT's tensor `name`.
    pub fn source(&self, name: &str, config: &EncoderConfig) -> Source {
        match name {
            TOKEN_TYPES if !self.has_token_types => Source::Zeros,
            POSITIONS => Source::Stored { rows_before: self.unused_positions(config) },
            _ => Source::Stored { rows_before: 0 },
        }
    }

    /// The names of BERT's tensor `name` in published checkpoints: with the architecture's prefix and without,
    /// LayerNorm with weight and bias or with gamma and beta.
    pub fn spellings(&self, name: &str) -> Vec<String> {
        let Some(plain) = name.strip_prefix("bert.") else { return vec![name.to_owned()] };
        let own = self.parts.iter().fold(plain.to_owned(), |name, (part, own)| name.replace(part, own));
        [format!("{}.{own}", self.name), own]
            .into_iter()
            .flat_map(|name| {
                let old = name
                    .replace("LayerNorm.weight", "LayerNorm.gamma")
                    .replace("LayerNorm.bias", "LayerNorm.beta");
                [name, old]
            })
            .collect()
    }

    fn unused_positions(&self, config: &EncoderConfig) -> usize {
        match usize::try_from(config.pad_token_id) {
            Ok(padding) if self.positions_follow_padding => padding.saturating_add(1),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(config: Value) -> Result<EncoderConfig, String> {
        let Value::Object(config) = config else { return Err("no object".to_owned()) };
        Architecture::of(&config)?.to_bert(config)
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
    fn settings_of_a_distilbert_are_converted_completely() {
        let config = read(json!({
            "model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"], "torch_dtype": "float16",
            "vocab_size": 32768,
            "dim": 768, "n_layers": 6, "n_heads": 12, "hidden_dim": 3072, "activation": "gelu_new",
            "dropout": 0.2, "attention_dropout": 0.3, "max_position_embeddings": 512, "pad_token_id": 0,
            "qa_dropout": 0.1, "seq_classif_dropout": 0.2, "sinusoidal_pos_embds": true,
            "tie_weights_": true, "initializer_range": 0.02, "layer_norm_eps": 0.5, "bos_token_id": null,
            "tokenizer_class": "BertJapaneseTokenizer",
        }));
        let expected = with(
            bert(),
            json!({
                "vocab_size": 32768, "num_hidden_layers": 6, "type_vocab_size": 1, "hidden_act": "gelu_new",
                "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3, "layer_norm_eps": 1e-12,
                "initializer_range": 0.02, "pad_token_id": 0, "position_embedding_type": "absolute",
                "tokenizer_class": "BertJapaneseTokenizer",
            }),
        );
        assert_eq!(serde_json::to_value(config.unwrap()).unwrap(), expected);
    }

    #[test]
    fn an_electra_with_narrow_embeddings_is_refused_with_the_reason() {
        let electra = with(bert(), json!({"model_type": "electra", "embedding_size": 768}));
        assert!(!read(electra.clone()).unwrap().other.contains_key("embedding_size"));
        let narrow = ["embedding_size is 128 and hidden_size 768", "embeddings_project"];
        assert_refused(with(electra.clone(), json!({"embedding_size": 128})), &narrow);
        assert_refused(with(electra, json!({"embedding_size": null})), &narrow);
    }

    #[test]
    fn another_architecture_is_refused_by_name() {
        for name in ["deberta-v2", "albert", "modernbert", "luke", "t5"] {
            let supported = "bert, roberta, xlm-roberta, camembert, distilbert, electra";
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

    #[test]
    fn tensors_of_a_distilbert_have_their_own_names() {
        let names = |name: &str| DISTILBERT.spellings(name)[0].clone();
        for (bert, own) in [
            ("embeddings.LayerNorm.bias", "embeddings.LayerNorm.bias"),
            ("encoder.layer.3.attention.output.LayerNorm.bias", "transformer.layer.3.sa_layer_norm.bias"),
            ("encoder.layer.3.attention.output.dense.bias", "transformer.layer.3.attention.out_lin.bias"),
            ("encoder.layer.3.output.LayerNorm.bias", "transformer.layer.3.output_layer_norm.bias"),
            ("encoder.layer.3.output.dense.bias", "transformer.layer.3.ffn.lin2.bias"),
        ] {
            assert_eq!(names(&format!("bert.{bert}")), format!("distilbert.{own}"));
        }
    }
}

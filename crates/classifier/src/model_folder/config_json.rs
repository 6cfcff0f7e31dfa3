//! `config.json` of a fine-tuned model, as transformers' class for sequence classification of the architecture reads it.

use midashi_encoder::{EncoderConfig, Head};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

/// Keys of the checkpoint's `config.json` that are about the checkpoint and not about its encoder: its own head and task,
/// the program that wrote it, its own tokenizer class (`tokenizer_config.json` names the model's).
const OF_THE_CHECKPOINT: [&str; 16] = [
    "_commit_hash",
    "_num_labels",
    "classifier_dropout",
    "custom_pipelines",
    "finetuning_task",
    "gradient_checkpointing",
    "id2label",
    "label2id",
    "num_labels",
    "problem_type",
    "quantization_config",
    "sentence_transformers",
    "task_specific_params",
    "tokenizer_class",
    "transformers.js_config",
    "transformers_version",
];

/// The file, keys in this order.
#[derive(Serialize)]
pub struct ConfigJson<'a> {
    architectures: [String; 1],
    #[serde(flatten)]
    encoder: Map<String, Value>,
    /// Dropout before the classifier, and the pooling if it can be chosen.
    #[serde(flatten)]
    head: Map<String, Value>,
    problem_type: &'static str,
    #[serde(serialize_with = "by_id")]
    id2label: &'a [String],
    #[serde(serialize_with = "by_label")]
    label2id: &'a [String],
    /// The weights are float32 whatever the checkpoint held. transformers 5 reads `dtype`, older versions `torch_dtype`.
    dtype: &'static str,
    torch_dtype: &'static str,
}

impl<'a> ConfigJson<'a> {
    /// For an encoder, its head and categories, with the dropout before the classifier.
    pub fn new(encoder: &EncoderConfig, head: Head, labels: &'a [String], classifier_dropout: f64) -> Self {
        let (class, head) = head.native_keys(encoder, classifier_dropout);
        let mut encoder = encoder.written_keys();
        encoder.retain(|key, _| !OF_THE_CHECKPOINT.contains(&key.as_str()) && !head.contains_key(key));
        Self {
            architectures: [class],
            encoder,
            head,
            problem_type: "single_label_classification",
            id2label: labels,
            label2id: labels,
            dtype: "float32",
            torch_dtype: "float32",
        }
    }
}

/// `{"0": "first", "1": "second"}`, in the order of the ids.
fn by_id<S: Serializer>(labels: &&[String], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(labels.len()))?;
    for (id, label) in labels.iter().enumerate() {
        map.serialize_entry(&id.to_string(), label)?;
    }
    map.end()
}

/// `{"first": 0, "second": 1}`, in the order of the ids.
fn by_label<S: Serializer>(labels: &&[String], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(labels.len()))?;
    for (id, label) in labels.iter().enumerate() {
        map.serialize_entry(label, &id)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_are_in_the_order_of_their_ids_and_the_checkpoints_head_is_gone() {
        let encoder: EncoderConfig = serde_json::from_str(
            r#"{"model_type": "bert", "vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 1,
                "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 8,
                "hidden_dropout_prob": 0.1, "id2label": {"0": "LABEL_0"}, "num_labels": 2, "problem_type": "regression",
                "tokenizer_class": "XLMRobertaTokenizer", "transformers_version": "4.0.0", "bos_token_id": 0}"#,
        )
        .unwrap();
        let labels: Vec<String> = (0..11).map(|id| format!("{}", 100 - id)).collect();
        let text = serde_json::to_string(&ConfigJson::new(&encoder, Head::linear(11), &labels, 0.2)).unwrap();
        assert!(
            text.starts_with(r#"{"architectures":["BertForSequenceClassification"],"model_type":"bert""#),
            "{text}"
        );
        assert!(
            text.contains(r#""hidden_dropout_prob":0.1,"bos_token_id":0,"classifier_dropout":0.2"#),
            "{text}"
        );
        assert!(text.contains(r#""9":"91","10":"90"}"#) && text.contains(r#""91":9,"90":10}"#), "{text}");
        assert!(text.contains(r#""problem_type":"single_label_classification""#), "{text}");
        for stale in ["num_labels", "LABEL_0", "regression", "XLMRoberta", "transformers_version"] {
            assert!(!text.contains(stale), "{stale} in {text}");
        }
        // A run that starts from the model reads its configuration again.
        let again: EncoderConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(again.hidden_size, encoder.hidden_size);
    }
}

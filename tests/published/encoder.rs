//! The published encoders of the fixture.

use std::fs;
use std::sync::OnceLock;

use midashi_tests::root;
use serde_json::{Map, Value};

/// Width, feed-forward width, heads and layers of the checkpoints that are run. Four layers of ModernBERT are a global
/// one, two local ones and a global one.
const HIDDEN: u64 = 32;
const INTERMEDIATE: u64 = 48;
const HEADS: u64 = 4;
const LAYERS: u64 = 4;

/// A published encoder.
pub struct Encoder {
    /// Its id on the hub.
    pub id: String,
    /// Whether its `config.json` was not found and is set as in similar models.
    pub is_assumed: bool,
    /// `config.json`.
    pub config: Value,
    /// `tokenizer_config.json`, if it is published.
    pub tokenizer: Option<Value>,
    /// The tokenizer's other files.
    pub files: Vec<String>,
    /// The small SentencePiece model that stands in for the published one.
    pub piece_model: Option<String>,
    /// Parts of the error, if Midashi refuses the checkpoint.
    pub refused: Option<Vec<String>>,
    /// The program that must have split the texts into words.
    pub words: Option<String>,
    /// Numbers of the encoder's tensors and parameters in transformers.
    pub sizes: Option<(usize, usize)>,
}

impl Encoder {
    /// Whether its `config.json` describes an encoder that Midashi computes.
    pub fn is_computed(&self) -> bool {
        self.sizes.is_some()
    }

    /// The kind of its architecture.
    pub fn model_type(&self) -> &str {
        self.config["model_type"].as_str().unwrap()
    }

    /// Its `config.json` with small sizes, and `vocabulary` ids.
    pub fn small_config(&self, vocabulary: usize) -> Value {
        let mut config = self.config.clone();
        let keys = config.as_object_mut().unwrap();
        let layers = ["num_hidden_layers", "n_layers"].into_iter().find_map(|key| keys.get(key)).unwrap();
        let layers = layers.as_u64().unwrap().min(LAYERS);
        let small = [
            (["hidden_size", "dim"], HIDDEN),
            (["intermediate_size", "hidden_dim"], INTERMEDIATE),
            (["num_attention_heads", "n_heads"], HEADS),
            (["num_hidden_layers", "n_layers"], layers),
            (["pooler_hidden_size", "embedding_size"], HIDDEN),
            (["attention_head_size", ""], HIDDEN / HEADS),
            (["vocab_size", ""], u64::try_from(vocabulary).unwrap()),
        ];
        for (names, value) in small {
            for name in names {
                replace(keys, name, value);
            }
        }
        if let Some(Value::Array(kinds)) = keys.get_mut("layer_types") {
            kinds.truncate(usize::try_from(layers).unwrap());
        }
        config
    }
}

fn replace(keys: &mut Map<String, Value>, name: &str, value: u64) {
    if let Some(old) = keys.get_mut(name) {
        *old = value.into();
    }
}

/// All published encoders of the fixture.
pub fn published() -> &'static [Encoder] {
    static PUBLISHED: OnceLock<Vec<Encoder>> = OnceLock::new();
    PUBLISHED.get_or_init(|| {
        let fixture = fs::read(root().join("tests/fixtures/published.json")).unwrap();
        let fixture: Value = serde_json::from_slice(&fixture).unwrap();
        let tokenizers = &fixture["tokenizers"];
        fixture["encoders"].as_array().unwrap().iter().map(|entry| read(entry, tokenizers)).collect()
    })
}

fn read(entry: &Value, tokenizers: &Value) -> Encoder {
    let text = |key: &str| entry[key].as_str().map(str::to_owned);
    let texts = |key: &str| {
        let texts = entry[key].as_array()?;
        Some(texts.iter().map(|text| text.as_str().unwrap().to_owned()).collect::<Vec<_>>())
    };
    let size = |key: &str| entry[key].as_u64().map(|size| usize::try_from(size).unwrap());
    Encoder {
        id: text("id").unwrap(),
        is_assumed: entry["source"]["config"] == "assumed",
        config: entry["config"].clone(),
        tokenizer: text("tokenizer").map(|name| tokenizers[name].clone()),
        files: texts("files").unwrap(),
        piece_model: text("piece_model"),
        refused: texts("refused"),
        words: text("words"),
        sizes: size("tensors").zip(size("parameters")),
    }
}

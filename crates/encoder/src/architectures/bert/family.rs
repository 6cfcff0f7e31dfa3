//! The members of BERT's family: the names that each has for settings and tensors, and its own head.
//!
//! A new member is a row here and a reference model in `tests/parity/architecture_reference.py`.

use serde_json::{Map, Value};

use crate::geometry::Activation;

/// An architecture whose encoder computes the same as BERT's.
#[derive(Debug)]
pub struct Member {
    /// Its `model_type`s.
    pub model_types: &'static [&'static str],
    /// Its name, which is the prefix of its tensors' names when the checkpoint has a head beside the encoder.
    pub name: &'static str,
    /// Parts of BERT's tensor names and their replacements, in the order of replacement.
    pub parts: &'static [(&'static str, &'static str)],
    /// BERT's keys in `config.json` and the architecture's own.
    pub keys: &'static [(&'static str, &'static str)],
    /// Keys that have another meaning in BERT, or none here.
    pub meaningless: &'static [&'static str],
    /// `pad_token_id` if `config.json` has none.
    pub pad_token_id: i64,
    /// Whether positions count from `pad_token_id + 1`, as in fairseq: the rows before are not used.
    pub positions_follow_padding: bool,
    /// Whether there are token type embeddings.
    pub has_token_types: bool,
    /// Its own head for classification.
    pub head: OwnHead,
    /// Why a model with these settings computes something else than BERT, if it does.
    pub refusal: fn(&Map<String, Value>) -> Option<String>,
    /// Changes the written `config.json` for a model that lacks the parts that are not read.
    pub write: fn(&mut Map<String, Value>),
}

/// The head of a member's class for sequence classification.
#[derive(Debug)]
pub struct OwnHead {
    /// The class's prefix for each `model_type`: `Bert` of `BertForSequenceClassification`.
    pub classes: &'static [(&'static str, &'static str)],
    /// The first linear layer; none is the encoder's pooler.
    pub dense: Option<&'static str>,
    /// The function after it.
    pub activation: Activation,
    /// The second linear layer.
    pub classifier: &'static str,
    /// Whether its input has dropout too.
    pub drops_input: bool,
    /// The key of the dropout before the second linear layer.
    pub dropout_key: &'static str,
}

/// Devlin et al. 2019
const BERT: Member = Member {
    model_types: &["bert"],
    name: "bert",
    parts: &[],
    keys: &[],
    meaningless: &[],
    pad_token_id: 0,
    positions_follow_padding: false,
    has_token_types: true,
    head: OwnHead {
        classes: &[("bert", "Bert")],
        dense: None,
        activation: Activation::Tanh,
        classifier: "classifier",
        drops_input: false,
        dropout_key: "classifier_dropout",
    },
    refusal: |_| None,
    write: |_| (),
};

/// Liu et al. 2019, and its derivatives in transformers
const ROBERTA: Member = Member {
    model_types: &["roberta", "xlm-roberta", "camembert"],
    name: "roberta",
    pad_token_id: 1,
    positions_follow_padding: true,
    head: OwnHead {
        classes: &[("roberta", "Roberta"), ("xlm-roberta", "XLMRoberta"), ("camembert", "Camembert")],
        dense: Some("classifier.dense"),
        classifier: "classifier.out_proj",
        drops_input: true,
        ..BERT.head
    },
    ..BERT
};

/// Yamada et al. 2020, without entities: RoBERTa's arithmetic
const LUKE: Member = Member {
    model_types: &["luke"],
    name: "luke",
    pad_token_id: 1,
    positions_follow_padding: true,
    head: OwnHead { classes: &[("luke", "Luke")], ..BERT.head },
    write: |keys| {
        // transformers would draw 500,000 random entity embeddings.
        keys.insert("entity_vocab_size".to_owned(), 1.into());
        keys.insert("use_entity_aware_attention".to_owned(), false.into());
    },
    ..BERT
};

/// Sanh et al. 2019
const DISTILBERT: Member = Member {
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
    ],
    meaningless: &["hidden_act", "layer_norm_eps"],
    has_token_types: false,
    head: OwnHead {
        classes: &[("distilbert", "DistilBert")],
        dense: Some("pre_classifier"),
        activation: Activation::Relu,
        classifier: "classifier",
        drops_input: false,
        dropout_key: "seq_classif_dropout",
    },
    ..BERT
};

/// Clark et al. 2020, with embeddings as wide as the layers
const ELECTRA: Member = Member {
    model_types: &["electra"],
    name: "electra",
    head: OwnHead {
        classes: &[("electra", "Electra")],
        dense: Some("classifier.dense"),
        activation: Activation::Gelu,
        classifier: "classifier.out_proj",
        drops_input: true,
        ..BERT.head
    },
    refusal: |config| {
        // The default of transformers.
        const EMBEDDING_SIZE: u64 = 128;
        let hidden = config.get("hidden_size")?;
        let embedding = config.get("embedding_size").cloned().unwrap_or_else(|| EMBEDDING_SIZE.into());
        (embedding != *hidden).then(|| {
            format!(
                "embedding_size is {embedding} and hidden_size {hidden}: the embeddings are projected \
                 (embeddings_project), which BERT does not do; expected equal sizes; choose an ELECTRA of the base \
                 size, or a small BERT"
            )
        })
    },
    ..BERT
};

/// All members.
pub const ALL: [&Member; 5] = [&BERT, &ROBERTA, &LUKE, &DISTILBERT, &ELECTRA];

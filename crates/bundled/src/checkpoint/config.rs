//! `config.json`.

use serde_json::{Value, json};

use crate::packed::{Geometry, PackedEncoder};

/// The file's content. The keys that the packed file does not state are BERT's: GELU with the error function, dropout
/// of 0.1, weights drawn with a deviation of 0.02.
pub(super) fn config(encoder: &PackedEncoder<'_>) -> Value {
    let Geometry {
        hidden_size,
        layers,
        attention_heads,
        intermediate_size,
        vocabulary_rows,
        positions,
        token_types,
        layer_norm_epsilon,
    } = encoder.geometry();
    json!({
        "architectures": ["BertModel"],
        "model_type": "bert",
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": hidden_size,
        "initializer_range": 0.02,
        "intermediate_size": intermediate_size,
        "layer_norm_eps": shortest(layer_norm_epsilon),
        "max_position_embeddings": positions,
        "num_attention_heads": attention_heads,
        "num_hidden_layers": layers,
        "pad_token_id": encoder.vocabulary().special.padding,
        "torch_dtype": "float32",
        "type_vocab_size": token_types,
        "vocab_size": vocabulary_rows,
    })
}

/// The double with the fewest digits that rounds to `number`: 1e-12, which float32 holds as 9.99999996e-13.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

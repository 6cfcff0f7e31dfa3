//! `tokenizer_config.json`.

use serde_json::{Value, json};

use super::tokenizer::{MASK, text};
use crate::packed::{PackedEncoder, SpecialPieces};

/// The file's content. Without it, transformers takes the tokenizer for BERT's own, because the model is a BERT.
pub(super) fn tokenizer_config(encoder: &PackedEncoder<'_>) -> Value {
    let vocabulary = encoder.vocabulary();
    let SpecialPieces { begin, end, padding, unknown } = vocabulary.special;
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": text(vocabulary, begin),
        "cls_token": text(vocabulary, begin),
        "eos_token": text(vocabulary, end),
        "sep_token": text(vocabulary, end),
        "pad_token": text(vocabulary, padding),
        "unk_token": text(vocabulary, unknown),
        "model_max_length": encoder.geometry().positions,
        "clean_up_tokenization_spaces": false,
    });
    if vocabulary.pieces.iter().any(|piece| piece.text == MASK)
        && let Some(config) = config.as_object_mut()
    {
        config.insert("mask_token".to_owned(), json!(MASK));
    }
    config
}

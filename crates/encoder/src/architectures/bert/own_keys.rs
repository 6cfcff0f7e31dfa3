//! Keys that `config.json` may have beside those of transformers.

/// Our own key: the row of the published position embeddings that the first token uses. RoBERTa's classes in transformers
/// count from `pad_token_id + 1`; rinna's was trained with positions from 0, as its card says.
pub const FIRST_POSITION: &str = "first_position";

//! From `model_type` to an architecture.

use super::architecture::{Description, Keys};
use super::{bert, deberta};

/// What the keys of a `config.json` describe.
///
/// # Errors
/// What was found instead of a supported architecture or setting.
pub(crate) fn read(keys: &Keys) -> Result<Description, String> {
    let known = || bert::model_types().chain([deberta::MODEL_TYPE]).collect::<Vec<_>>().join(", ");
    let name = keys.get("model_type").and_then(serde_json::Value::as_str).ok_or_else(|| {
        format!("there is no model_type; expected one of {}; add \"bert\" if it is a BERT", known())
    })?;
    bert::read(name, keys).or_else(|| deberta::read(name, keys)).unwrap_or_else(|| {
        Err(format!("model_type is {name:?}, which is not supported; expected one of {}", known()))
    })
}

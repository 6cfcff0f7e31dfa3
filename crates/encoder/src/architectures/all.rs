//! From `model_type` to an architecture.

use super::architecture::{Description, Keys};
use super::{bert, deberta, modernbert};

/// What the keys of a `config.json` describe.
///
/// # Errors
/// What was found instead of a supported architecture or setting.
pub(crate) fn read(keys: &Keys) -> Result<Description, String> {
    let known = || {
        let others = [modernbert::MODEL_TYPE, deberta::MODEL_TYPE];
        bert::model_types().chain(others).collect::<Vec<_>>().join(", ")
    };
    let name = keys.get("model_type").and_then(serde_json::Value::as_str).ok_or_else(|| {
        format!("there is no model_type; expected one of {}; add \"bert\" if it is a BERT", known())
    })?;
    match name {
        modernbert::MODEL_TYPE => modernbert::read(keys),
        deberta::MODEL_TYPE => deberta::read(keys),
        _ => bert::read(name, keys).unwrap_or_else(|| {
            Err(format!(
                "model_type is {name:?}, which is not supported; expected one of {}; the guide lists published \
                 encoders that work (Which encoders)",
                known()
            ))
        }),
    }
}

//! Ids in `tokenizer_config.json` and `added_tokens.json`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::kept_ids::KeptIds;
use crate::error::{Result, write};
use crate::settings::{ADDED_TOKENS, SETTINGS, read_json};

/// Gives added tokens in the settings of `folder` their new ids.
pub(super) fn renumber(folder: &Path, kept: &KeptIds) -> Result<()> {
    if let Some(mut settings) = read_json::<Map<String, Value>>(&folder.join(SETTINGS))?
        && let Some(Value::Object(decoder)) = settings.get_mut("added_tokens_decoder")
    {
        let tokens = std::mem::take(decoder).into_iter();
        decoder.extend(
            tokens.filter_map(|(id, token)| Some((kept.new_id(id.parse().ok()?)?.to_string(), token))),
        );
        write(&folder.join(SETTINGS), format!("{:#}\n", Value::Object(settings)))?;
    }
    if let Some(tokens) = read_json::<Map<String, Value>>(&folder.join(ADDED_TOKENS))? {
        let new_id = |id: &Value| kept.new_id(u32::try_from(id.as_u64()?).ok()?);
        let tokens: Map<String, Value> =
            tokens.into_iter().filter_map(|(token, id)| Some((token, json!(new_id(&id)?)))).collect();
        write(&folder.join(ADDED_TOKENS), format!("{:#}\n", Value::Object(tokens)))?;
    }
    Ok(())
}

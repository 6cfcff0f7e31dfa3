//! The head before training.

use anyhow::Result;
use midashi_encoder::{Checkpoint, HeadKind, StoredHead, Weights};

use crate::model::Model;

/// Adds the head of `model` to the weights of its encoder. A classifier is drawn with the `seed`, because the categories
/// are new. The layers before it are the checkpoint's if it has them; the name of the first one there is returned.
///
/// # Errors
/// When the checkpoint's layers cannot be read.
pub fn initialise(
    weights: &mut Weights,
    model: &Model,
    checkpoint: Option<&Checkpoint>,
    seed: u64,
) -> Result<Option<String>> {
    model.head.initialise(&model.config, weights, seed);
    if model.head.kind == HeadKind::Linear {
        return Ok(None);
    }
    let reason = match checkpoint.map(Checkpoint::stored_head).transpose()? {
        Some(StoredHead::Stored { name, tensors }) => {
            midashi_stage::outln!("  head: the checkpoint's {name}, and a new classifier");
            tensors.into_iter().for_each(|(own, tensor)| weights.insert(own, tensor));
            return Ok(Some(name));
        }
        Some(StoredHead::None) => "the checkpoint has none",
        Some(StoredHead::Linear) => {
            "the checkpoint has a linear head, beside which Midashi writes layers without function"
        }
        None => "the model is trained from scratch",
    };
    midashi_stage::outln!("  head: newly initialised, because {reason}");
    Ok(None)
}

//! The head before training.

use anyhow::Result;
use midashi_encoder::{Checkpoint, Pooler, Weights};

use crate::model::Model;

/// Adds the head of `model` to the weights of its encoder. A classifier is drawn with the `seed`, because the categories
/// are new. A pooler is the checkpoint's if it has one; its name there is returned.
///
/// # Errors
/// When the checkpoint's pooler cannot be read.
pub fn initialise(
    weights: &mut Weights,
    model: &Model,
    checkpoint: Option<&Checkpoint>,
    seed: u64,
) -> Result<Option<String>> {
    weights.add_classifier(model.labels.len(), model.config.hidden_size, seed);
    if !model.pooler {
        return Ok(None);
    }
    let reason = match checkpoint.map(Checkpoint::pooler).transpose()? {
        Some(Pooler::Stored { name, tensors }) => {
            midashi_stage::outln!("  pooler: the checkpoint's {name}");
            tensors.into_iter().for_each(|(own, tensor)| weights.insert(own, tensor));
            return Ok(Some(name));
        }
        Some(Pooler::None) => "the checkpoint has none".to_owned(),
        Some(Pooler::Identity) => {
            "the checkpoint has a linear head, beside which Midashi writes a pooler without function"
                .to_owned()
        }
        Some(Pooler::Other { tensor, function }) => {
            format!("{tensor} of the checkpoint is followed by {function} and not by tanh")
        }
        None => "the model is trained from scratch".to_owned(),
    };
    midashi_stage::outln!("  pooler: newly initialised, because {reason}");
    weights.add_pooler(&model.config, seed);
    Ok(None)
}

//! An ordinary checkpoint: `config.json`, `tokenizer.json`, `model.safetensors` and a model card.

mod card;
mod config;
mod json;
mod normaliser;
mod origin;
mod tensors;
mod tokenizer;
mod tokenizer_config;
mod weights;
mod write;

pub use origin::Origin;
#[cfg(any(test, fuzzing))]
pub(crate) use write::parts;
pub use write::write_checkpoint;

//! `model/`: the files of a fine-tuned model, read and written in one place.

mod config_json;
mod existing;
mod files;
mod metadata;
mod new;
mod training;

pub use existing::ModelFolder;
pub use new::NewModel;
pub use training::{Training, encoder_head};

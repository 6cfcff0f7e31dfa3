//! The model's modules, in the form in which PyTorch prints a model of transformers.

mod bert;
mod deberta;
mod modernbert;
mod module;
mod of;

pub use of::of;

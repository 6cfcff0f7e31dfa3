//! BERT and the architectures whose encoder computes the same under other names.

mod family;
mod keys;
mod layers;

pub(super) use keys::{model_types, read};

//! BERT and the architectures whose encoder computes the same under other names.

mod cls_attention;
mod family;
mod keys;
mod layers;
mod own_keys;

pub(super) use keys::{model_types, read};

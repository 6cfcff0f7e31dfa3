//! ModernBERT (Warner et al. 2024, "Smarter, Better, Faster, Longer").

mod attention;
mod blocks;
mod encoder;
mod keys;
mod rotary;

pub(super) use keys::{MODEL_TYPE, read};

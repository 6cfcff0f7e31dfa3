//! ModernBERT (Warner et al. 2024, "Smarter, Better, Faster, Longer").

mod attention;
mod blocks;
mod encoder;
mod keys;
mod rotary;
mod scores;

pub(super) use encoder::MODEL_TYPE;
pub(super) use keys::read;

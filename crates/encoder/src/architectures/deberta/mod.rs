//! DeBERTa-v2 and -v3 (He et al. 2021; He, Gao & Chen 2021), which have one form in transformers.

mod attention;
mod buckets;
mod convolution;
mod keys;
mod layers;

pub(super) use keys::read;
pub(super) use layers::MODEL_TYPE;

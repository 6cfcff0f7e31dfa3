//! The modules of any encoder.

use midashi_encoder::EncoderConfig;

use super::bert;
use super::module::Module;

/// The whole encoder. Dropout is shown as transformers would train with it.
pub fn of(config: &EncoderConfig, has_pooler: bool) -> Module {
    bert::bert(config, has_pooler)
}

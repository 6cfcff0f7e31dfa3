//! The modules of any encoder.

use midashi_encoder::EncoderConfig;

use super::module::Module;
use super::{bert, deberta, modernbert};

/// The whole encoder. Dropout is shown as transformers would train with it.
pub fn of(config: &EncoderConfig, has_pooler: bool) -> Module {
    match config.name() {
        "deberta-v2" => deberta::deberta(config),
        "modernbert" => modernbert::modernbert(config),
        _ => bert::bert(config, has_pooler),
    }
}

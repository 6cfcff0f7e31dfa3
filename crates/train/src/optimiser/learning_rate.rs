//! Learning rate and weight decay of each parameter.

use midashi_config::Train;
use midashi_encoder::LearningRate;

use crate::model::Model;

/// Learning rate and weight decay of the parameter `name`. Biases and layer normalisation do not decay.
pub fn learning_rate(model: &Model, train: &Train, name: &str) -> LearningRate {
    LearningRate {
        rate: rate(model, train, name),
        weight_decay: if model.config.decays(name) { train.weight_decay } else { 0.0 },
    }
}

/// The head's rate, or the encoder's, which decays by `layer_decay` for each layer below the last.
fn rate(model: &Model, train: &Train, name: &str) -> f64 {
    let rates = &train.learning_rate;
    if model.config.is_head(name) {
        return rates.classifier;
    }
    let layers = model.config.num_hidden_layers;
    let below_last = match model.config.layer_of(name) {
        Some(layer) => layers - 1 - layer,
        None if model.config.is_after_layers(name) => 0,
        None => layers,
    };
    rates.encoder * rates.layer_decay.powi(below_last as i32)
}

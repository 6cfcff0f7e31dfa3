//! Learning rate and weight decay of each parameter.

use midashi_config::Train;
use midashi_encoder::LearningRate;

use crate::model::Model;

/// Learning rate and weight decay of the parameter `name`. Biases and layer normalisation do not decay.
pub fn learning_rate(model: &Model, train: &Train, name: &str) -> LearningRate {
    let decays = !name.ends_with(".bias") && !name.contains("LayerNorm");
    LearningRate {
        rate: rate(model, train, name),
        weight_decay: if decays { train.weight_decay } else { 0.0 },
    }
}

/// The head's rate, or the encoder's, which decays by `layer_decay` for each layer below the last.
fn rate(model: &Model, train: &Train, name: &str) -> f64 {
    let rates = &train.learning_rate;
    if name.starts_with("classifier.") || name.starts_with("bert.pooler.") {
        return rates.classifier;
    }
    let layer =
        name.strip_prefix("bert.encoder.layer.").and_then(|rest| rest.split('.').next()?.parse::<i32>().ok());
    let layers = model.config.num_hidden_layers as i32;
    let below_last = layer.map_or(layers, |layer| layers - 1 - layer);
    rates.encoder * rates.layer_decay.powi(below_last)
}

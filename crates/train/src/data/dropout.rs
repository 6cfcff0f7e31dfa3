//! Dropout masks from a counter-based generator: a mask depends only on the seed, the run and its place in
//! the model, so it is the same on every device and in a resumed training.

use midashi_config::Dropout;
use midashi_encoder::{BatchSizes, DropoutMask, Dropped, Graph, dropout_masks};
use ndarray::{ArrayD, IxDyn};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// Upper limit of the masks of a run. The generator's streams below this number belong to the order of
/// the batches, one per epoch.
const PLACES: u64 = 1 << 16;

/// The masks of the `number`-th run of the training graph, counted from 1.
pub fn masks(
    graph: &Graph,
    dropout: Dropout,
    seed: u64,
    number: u64,
    sizes: BatchSizes,
) -> Vec<(String, ArrayD<f32>)> {
    let masks = dropout_masks(graph, sizes);
    let mask = |(place, DropoutMask { name, drops, shape, .. }): (usize, DropoutMask<'_>)| {
        let rate = match drops {
            Dropped::Hidden => dropout.hidden,
            Dropped::Attention => dropout.attention,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number * PLACES + place as u64);
        (name.to_owned(), mask(&mut rng, &shape, rate))
    };
    masks.into_par_iter().enumerate().map(mask).collect()
}

/// 0 with probability `rate`, else 1 / (1 − rate), so that the mean is 1.
fn mask(rng: &mut ChaCha8Rng, shape: &[usize], rate: f64) -> ArrayD<f32> {
    let dropped_below = (rate * f64::from(u32::MAX)) as u32;
    let scale = (1.0 / (1.0 - rate)) as f32;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || if rng.next_u32() < dropped_below { 0.0 } else { scale })
}

#[cfg(test)]
mod tests {
    use midashi_encoder::{Dropout as Drops, EncoderConfig, Head, Start, training};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_share_is_dropped_and_the_mean_stays() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let drawn = mask(&mut rng, &[100, 1000], 0.1);
        let dropped = drawn.iter().filter(|number| **number == 0.0).count();
        assert!((9_700..10_300).contains(&dropped), "{dropped} of 100,000");
        assert!((drawn.mean().unwrap() - 1.0).abs() < 0.01);
        assert!(mask(&mut rng, &[1000], 0.0).iter().all(|number| *number == 1.0));
    }

    #[test]
    fn in_every_architecture_each_kind_has_its_rate() {
        for architecture in ["bert", "modernbert", "deberta-v2"] {
            let config: EncoderConfig = serde_json::from_value(json!({
                "model_type": architecture, "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2,
                "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 64, "pad_token_id": 0,
                "relative_attention": true, "position_buckets": 8, "pos_att_type": "p2c|c2p", "share_att_key": true,
                "norm_rel_ebd": "layer_norm", "hidden_act": "gelu",
                "type_vocab_size": if architecture == "bert" { 2 } else { 0 }
            }))
            .unwrap();
            let drops = Drops { hidden: true, attention: true };
            let graph = training(&config, Head::native(4), Start::InputIds, drops, |_| true).unwrap();
            let sizes = BatchSizes { texts: 4, longest: 32, tokens: 128 };
            let rates = Dropout { hidden: 0.1, attention: 0.6 };
            let mut attention = 0;
            for (name, mask) in masks(&graph, rates, 1, 1, sizes) {
                let dropped = mask.iter().filter(|number| **number == 0.0).count() as f64 / mask.len() as f64;
                // Of the weights, not of the hidden states that they make.
                let is_attention = mask.ndim() >= 4;
                attention += usize::from(is_attention);
                let rate = if is_attention { rates.attention } else { rates.hidden };
                assert!((dropped - rate).abs() < 0.2, "{architecture} {name}: {dropped}, expected {rate}");
            }
            assert_eq!(attention, 2, "{architecture}");
        }
    }
}

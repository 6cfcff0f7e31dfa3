//! The published sizes: `config.json` is read, and the graphs are built.

use std::collections::BTreeMap;

use midashi_encoder::{Dropout, EncoderConfig, Head, Start, classifier, training};

use crate::encoder::{Encoder, published};

const LABELS: usize = 9;

/// Names and shapes of the encoder's and the head's tensors.
fn tensors(config: &EncoderConfig, head: Head) -> BTreeMap<String, Vec<usize>> {
    config.tensors().into_iter().chain(head.tensors(config)).collect()
}

/// Whether the tensor is the last layer's key bias, which has no part in what `[CLS]` attends to: it is in no graph of BERT's
/// family with a head.
fn is_without_part(config: &EncoderConfig, name: &str) -> bool {
    let is_bert = !["modernbert", "deberta-v2"].contains(&config.name());
    let is_last = config.layer_of(name) == Some(config.num_hidden_layers - 1);
    is_bert && is_last && [".key.bias", ".k_lin.bias"].iter().any(|end| name.ends_with(end))
}

fn check(encoder: &Encoder, config: &EncoderConfig) {
    let id = &encoder.id;
    let own = config.tensors();
    let parameters = own.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    assert_eq!(Some((own.len(), parameters)), encoder.sizes, "{id}: numbers of tensors and parameters");

    for head in [Head::linear(LABELS), Head::native(LABELS)] {
        let graph = classifier(config, head, Start::InputIds).unwrap();
        let found: BTreeMap<_, _> =
            graph.parameters().map(|(name, shape)| (name.to_owned(), shape)).collect();
        let mut expected = tensors(config, head);
        expected.retain(|name, _| !is_without_part(config, name));
        assert_eq!(found, expected, "{id}: parameters of the classifier, {head:?}");
    }

    // The gradients of the last layer's tensors, and of all.
    for layers in [Some(1), None] {
        let head = Head::native(LABELS);
        let start = layers.map_or(Start::InputIds, |layers| Start::for_trainable_layers(config, layers));
        let trainable = |name: &str| config.is_trainable(name, layers);
        let graph = training(config, head, start, Dropout::default(), trainable).unwrap();
        let gradients = graph.output_names().filter(|name| name.starts_with("gradient.")).count();
        let trained = |name: &&String| trainable(name) && !is_without_part(config, name);
        let expected = tensors(config, head).keys().filter(trained).count();
        assert_eq!(gradients, expected, "{id}: gradients with {layers:?} trainable layers");
    }
}

#[test]
fn graphs_of_the_published_sizes_have_as_many_parameters_as_in_transformers() {
    for encoder in published().iter().filter(|encoder| encoder.is_computed()) {
        let config = serde_json::from_value(encoder.config.clone());
        check(encoder, &config.unwrap_or_else(|error| panic!("{}: {error}", encoder.id)));
    }
}

//! What practitioners add to the article's recipe.

use midashi_artifacts::Split;
use midashi_tests::{Run, STAGES, Shared, folder};

use crate::runs::{finished, small};

const RECIPE: &str = "corpus.split.validation=0.1 train.dropout.hidden=0.1 train.dropout.attention=0.1 \
    train.learning_rate.schedule=linear train.learning_rate.warmup=0.1 train.weight_decay=0.01 train.max_grad_norm=1 \
    train.label_smoothing=0.1 train.class_weights=balanced train.learning_rate.layer_decay=0.9";

/// A run that was trained with all of it.
fn trained() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = small(artifacts, "recipe").set(RECIPE);
        run.stages(&STAGES[..4]);
        run
    })
}

#[test]
fn dropout_draws_the_same_masks_again() {
    let artifacts = folder();
    let again = small(&artifacts, "again").set(RECIPE);
    again.stages(&STAGES[..4]);
    assert!(trained().bytes("model/model.safetensors") == again.bytes("model/model.safetensors"));
}

#[test]
fn the_learning_rate_warms_up_to_what_is_configured_and_falls_to_0() {
    let steps = trained().training();
    let rates: Vec<f64> =
        steps.iter().filter(|row| row.split == Split::Train).map(|row| row.learning_rate_encoder).collect();
    let highest = rates.iter().copied().fold(0.0, f64::max);
    assert_eq!((rates[0], highest), (0.0, 1e-3));
    assert!(*rates.last().unwrap() < 0.05 * highest);
}

#[test]
fn dropout_and_smoothing_are_part_of_the_loss() {
    assert_ne!(trained().training()[0].loss, finished().training()[0].loss);
}

#[test]
fn a_step_of_accumulated_gradients_is_the_step() {
    let artifacts = folder();
    let run = small(&artifacts, "accumulated")
        .set("corpus.split.validation=0.1 train.gradient_accumulation_steps=3");
    run.stages(&STAGES[..4]);
    let (accumulated, whole) = (run.training(), finished().training());
    assert_eq!(accumulated.len(), whole.len());
    for (found, whole) in accumulated.iter().zip(&whole).take(10) {
        assert_eq!((found.texts, found.tokens), (whole.texts, whole.tokens));
        assert!((found.loss - whole.loss).abs() < 1e-4, "{} and {}", found.loss, whole.loss);
        let (norm, expected) = (found.gradient_norm.unwrap(), whole.gradient_norm.unwrap());
        assert!((norm - expected).abs() < 1e-3 * expected, "{norm} and {expected}");
    }
}

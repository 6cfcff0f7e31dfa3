//! A pooler before the classifier.

use midashi_encoder::{Checkpoint, Head};
use midashi_tests::{Outcome, Run, STAGES, Shared, folder};

use crate::exported::assert_gives_the_predictions;
use crate::runs::{finished, further, small};

/// A finished run with a pooler and everything that could mind it, and what its stages printed.
fn pooled() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|artifacts| {
        let run = small(artifacts, "pooled").set("train.head=native train.dropout.hidden=0.1");
        let outcome = run.stages(&STAGES);
        (run, outcome)
    })
}

#[test]
fn a_model_with_a_pooler_predicts_the_same_everywhere() {
    let (run, outcome) = pooled();
    outcome.says("head: newly initialised, because the model is trained from scratch");
    assert_gives_the_predictions(run);
    assert!(run.text("model/midashi.json").contains("\"head\": \"native\""));
    assert!(run.text("model/config.json").contains("\"classifier_dropout\": 0.1"));
    assert!(run.text("report.html").contains("native"));
}

#[test]
fn a_pooler_is_trained_although_all_layers_are_frozen() {
    let artifacts = folder();
    let run = small(&artifacts, "further")
        .checkpoint(&pooled().0.artifact("model"))
        .set("train.head=native train.trainable_layers=0 train.trunk_precision=int8 train.optimiser=graph");
    run.stages(&STAGES).says("head: the checkpoint's bert.pooler.dense");
    let head = Head::native(run.predictions().categories.len());
    let read = |run: &Run| Checkpoint::open(&run.artifact("model")).unwrap().fine_tuned(head).unwrap();
    let (before, after) = (read(&pooled().0), read(&run));
    for (name, tensor) in before.iter() {
        let is_trained = name.starts_with("bert.pooler.") || name.starts_with("classifier.");
        assert_eq!(after.get(name) != Some(tensor), is_trained, "{name}");
    }
}

#[test]
fn the_pooler_that_is_written_beside_a_linear_head_is_none() {
    let artifacts = folder();
    // The name of older versions.
    let run = further(&artifacts, "from_linear").set("train.head=pooler");
    run.stages(&STAGES[..4]).says("newly initialised, because the checkpoint has a linear head");
    let linear = further(&artifacts, "linear");
    linear.stages(&STAGES[..4]).says("ignored tensors: bert.pooler.dense.bias").does_not_say("head: ");
    // A linear head is read without its pooler, and the weights are those that were trained.
    let head = Head::linear(finished().predictions().categories.len());
    let checkpoint = Checkpoint::open(&finished().artifact("model")).unwrap();
    assert!(!checkpoint.fine_tuned(head).unwrap().has_pooler(checkpoint.config()));
}

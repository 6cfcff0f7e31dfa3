//! The runs that tests share.

use std::path::Path;

use midashi_tests::{Run, STAGES, Shared};

/// A run that takes some seconds.
pub fn small(artifacts: impl AsRef<Path>, name: &str) -> Run {
    Run::sample(artifacts, name).small_model().plain_recipe().set("evaluate.attention_texts=20")
}

/// A finished run.
pub fn finished() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(whole_run)
}

/// The finished run's twin: made of the same configuration in another place.
pub fn twin() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(whole_run)
}

fn whole_run(artifacts: &Path) -> Run {
    let run = small(artifacts, "finished").set("corpus.split.validation=0.1");
    run.stages(&STAGES);
    run
}

/// A run of which the model of the finished run is the checkpoint. It trains the last layer further.
pub fn further(artifacts: impl AsRef<Path>, name: &str) -> Run {
    small(artifacts, name).checkpoint(&finished().artifact("model")).set("train.trainable_layers=1")
}

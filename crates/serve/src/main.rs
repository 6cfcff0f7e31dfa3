//! `midashi-serve`, a tool beside the stages: answers predictions and explanations over HTTP.

mod answer;
mod app;
mod arguments;
mod batch;
mod encode;
mod error;
mod explainer;
mod http;
mod info;
mod inputs;
mod limits;
mod log;
mod metrics;
mod page;
mod panics;
mod patient;
mod precision;
mod predictor;
mod queue;
mod server;
mod tokeniser;
mod words;
mod workers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use midashi_classifier::{Classifier, IdClassifier, ModelFolder, Options, Reading, int8_note};
use midashi_runtime::Engine;
use midashi_stage::RunFolder;

use crate::app::App;
use crate::arguments::Arguments;
use crate::encode::encode;
use crate::info::Info;
use crate::log::say;
use crate::metrics::Metrics;
use crate::precision::Precision;
use crate::queue::Queue;
use crate::tokeniser::TOKENISERS;
use crate::workers::Workers;

/// What is computed when nobody waits any more is finished if it takes no longer.
const LAST: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    midashi_stage::main(serve)
}

fn serve(arguments: &Arguments) -> Result<()> {
    arguments.limits.check()?;
    let config = arguments.config.load_config(arguments.model.is_some())?;
    let limits = arguments.limits.clone();
    let threads = arguments.threads.map_or_else(|| config.threads(), |threads| threads.get());

    let folder = arguments.model.clone().unwrap_or_else(|| RunFolder::of(&config).model());
    let engine_of =
        |threads| Engine::open(&config.run.cache.join("onnxruntime"), config.evaluate.device, threads);
    let engine = engine_of(threads)?;
    let model = ModelFolder::open(&folder)?;
    let reading = Reading::open(&model, &Options::of(&config))?;
    let mut classifier = IdClassifier::open(&model, &engine, arguments.precision.into())?;
    if arguments.precision == Precision::Int8 {
        int8_note().into_iter().for_each(|note| say(&format!("  {note}")));
    }
    let info = Info::new(&folder, &model, &reading, &engine, arguments.precision, &limits);
    let app = Arc::new(App {
        labels: model.labels().to_vec(),
        long_texts: Queue::new(limits.max_queue),
        texts: Queue::new(limits.max_queue),
        questions: Queue::new(limits.max_explanations),
        metrics: Metrics::new(),
        log: arguments.log,
        page: page::page(&info, model.labels())?,
        reading,
        info,
        limits,
    });

    // Explanations get half of the threads, so that they cannot hold predictions up.
    let explaining = engine_of((threads / 2).max(1))?;
    let options = Options::of(&config);
    panics::hide_messages();
    let workers = Workers::new(&app);
    for _ in 0..TOKENISERS {
        workers.start(|app| {
            tokeniser::tokenise(&app.long_texts, |text, too_long| encode(text, &app.reading, too_long));
        });
    }
    workers.start(move |app| {
        predictor::predict(&app.texts, &mut classifier, app.limits.max_batch_tokens, &app.metrics);
    });
    workers.start(move |app| {
        let open = || {
            let model = ModelFolder::open(&folder)?;
            Classifier::with_options(model, &explaining, options.clone())
                .map(|opened| opened.with_reading(&app.reading))
        };
        explainer::explain(&app.questions, open, &app.metrics);
    });
    let served = server::run(arguments.host, arguments.port, &app);
    workers.end(LAST);
    served?;
    say("  ended");
    Ok(())
}

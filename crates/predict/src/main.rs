//! `midashi-predict`, a tool beside the stages: classifies texts with a run's model and shows which words mattered.

mod arguments;
mod explained;
mod formats;
mod method;
#[cfg(test)]
mod sample;
mod texts;

use std::process::ExitCode;

use anyhow::Result;
use midashi_classifier::{Classifier, ModelFolder, Options};
use midashi_config::Config;
use midashi_runtime::Engine;
use midashi_stage::RunFolder;

use crate::arguments::Arguments;
use crate::explained::Explained;
use crate::method::Method;

fn main() -> ExitCode {
    midashi_stage::main(predict)
}

fn predict(arguments: &Arguments) -> Result<()> {
    let config = Config::load(&arguments.config.config, &arguments.config.set)?;
    let texts = texts::read(&arguments.texts)?;

    let model = ModelFolder::open(&RunFolder::of(&config).model())?;
    let method = Method::new(arguments.method, &model)?;
    let engine =
        Engine::open(&config.run.cache.join("onnxruntime"), config.evaluate.device, config.threads())?;
    // Standard output is for the predictions.
    midashi_stage::errln!("  {engine}");
    let mut classifier = Classifier::with_options(model, &engine, Options::of(&config))?;
    let explanations = classifier.explain(&texts, method.into())?;

    let explained =
        explanations.into_iter().map(|explanation| Explained::new(explanation, classifier.labels()));
    let explained = explained.collect::<Result<Vec<_>>>()?;
    formats::write(&explained, method, arguments.format, arguments.output.as_deref())
}

//! `midashi-predict`, a tool beside the stages: classifies texts with a fine-tuned model, for people with the words that
//! mattered, for programs as a table of any size.

mod arguments;
mod columns;
mod explain;
mod explained;
mod finished;
mod formats;
mod input;
mod interrupt;
mod method;
mod output;
mod parts;
mod printable;
#[cfg(test)]
mod sample;
mod shard;
mod summary;
mod table;
mod text;
mod view;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use midashi_classifier::{BulkClassifier, Classifier, MatmulPrecision, ModelFolder, Options, int8_note};
use midashi_config::Config;
use midashi_runtime::Engine;
use midashi_stage::{RunFolder, errln, sha256_of, sha256_of_bytes};
use midashi_table::WriteOptions;
use serde_json::{Value, json};

use crate::arguments::{Arguments, Precision};
use crate::columns::Columns;
use crate::finished::{Finished, MadeFrom};
use crate::formats::{View, terminal};
use crate::input::{Input, Types};
use crate::method::Method;
use crate::output::{Output, TableOutput, is_arrow_stream, shape};
use crate::parts::ShardFile;
use crate::table::Model;
use crate::text::Texts;
use crate::windows::Windows;

/// Raise this when the program gives other predictions for the same model and texts.
const REVISION: u32 = 6;

fn main() -> ExitCode {
    midashi_stage::main(predict)
}

fn predict(arguments: &Arguments) -> Result<()> {
    let output = arguments.output.output(arguments.input.has_files())?;
    let config = arguments.config.load_config(arguments.model.is_some())?;
    let folder = arguments.model.clone().unwrap_or_else(|| RunFolder::of(&config).model());
    let model = ModelFolder::open(&folder)?;
    match output {
        Output::View { view, is_chosen, path } => show(arguments, &config, model, (view, is_chosen), path),
        Output::Table { options, path } => write_table(arguments, &config, model, options, path),
    }
}

/// Shows texts with coloured words.
fn show(
    arguments: &Arguments,
    config: &Config,
    model: ModelFolder,
    (view, is_chosen): (View, bool),
    path: Option<PathBuf>,
) -> Result<()> {
    if let Some(option) = arguments.columns.given().or(arguments.shard.map(|_| "--shard")) {
        bail!("{option} is for tables; choose --format csv, tsv, jsonl, parquet or arrow");
    }
    if arguments.precision == Precision::Int8 {
        bail!("--precision int8 is for tables without --explain: words are weighed by the float32 model");
    }
    let method = Method::new(arguments.method, &model)?;
    let options = Options::of(config);
    let input = Input::open(&arguments.input, None, explain::WINDOW, Types::Plain)?;
    let texts = Texts::find(&input.schema(), &arguments.input, options.text_of(&model))?;
    let engine = engine(config)?;
    let mut classifier = Classifier::with_options(model, &engine, options)?;
    let terminal = terminal(is_chosen, path.is_some());
    let (state, windows) = (input.state(), Windows::new(input, texts, explain::WINDOW));
    view::show(windows, &state, &mut classifier, method, (view, terminal), path.as_deref())
}

/// Writes a table with the input's columns and the predictions.
fn write_table(
    arguments: &Arguments,
    config: &Config,
    model: ModelFolder,
    options: WriteOptions,
    path: Option<PathBuf>,
) -> Result<()> {
    arguments.columns.check(model.labels().len())?;
    let method = Method::if_given(arguments.method, &model)?;
    if method.is_some() && arguments.precision == Precision::Int8 {
        bail!("--precision int8: words are weighed by the float32 model; omit --explain or --precision");
    }
    let read = Options::of(config);
    let finished = finished(arguments, &model, &read, path.as_deref())?;
    let path = path.map(|path| arguments.shard.map_or(path.clone(), |shard| shard.name(&path)));
    if let (Some(finished), Some(path)) = (&finished, &path) {
        finished.check_others()?;
        if finished.is_done() {
            errln!("  {}: up to date", path.display());
            return Ok(());
        }
    }

    let bulk = BulkClassifier::window(read.length_of(&model));
    let window = if method.is_some() { explain::WINDOW } else { bulk };
    let types = if is_arrow_stream(options) { Types::AsRead } else { Types::Plain };
    let input = Input::open(&arguments.input, arguments.shard, window, types)?;
    let texts = Texts::find(&input.schema(), &arguments.input, read.text_of(&model))?;
    let shape = shape(options.format);
    let columns = Columns::new(&input.schema(), model.labels(), &arguments.columns, shape, method.is_some())?;
    TableOutput::check(path.as_deref(), options, columns.schema())?;
    let engine = engine(config)?;
    let model = match method {
        Some(method) => Model::Explaining(Box::new(Classifier::with_options(model, &engine, read)?), method),
        None => {
            let precision = match arguments.precision {
                Precision::F32 => MatmulPrecision::Float32,
                Precision::Int8 => {
                    int8_note().into_iter().for_each(|note| errln!("  {note}"));
                    MatmulPrecision::FineInt8
                }
            };
            Model::Bulk(Box::new(BulkClassifier::open(&model, &engine, &read, precision)?))
        }
    };
    let output = TableOutput::create(path.as_deref(), options, columns.schema())?;
    let (state, windows) = (input.state(), Windows::new(input, texts, window));
    table::write(windows, &state, model, &columns, output)?;
    finished.map_or(Ok(()), |finished| finished.record())
}

/// ONNX Runtime. Standard output is for the predictions.
fn engine(config: &Config) -> Result<Engine> {
    let engine =
        Engine::open(&config.run.cache.join("onnxruntime"), config.evaluate.device, config.threads())?;
    errln!("  {engine}");
    Ok(engine)
}

/// What a shard of the output `whole` is made from; none without a shard, and for texts that cannot be read twice.
fn finished(
    arguments: &Arguments,
    model: &ModelFolder,
    read: &Options,
    whole: Option<&Path>,
) -> Result<Option<Finished>> {
    let (Some(shard), Some(whole)) = (arguments.shard, whole) else { return Ok(None) };
    let Some(inputs) = arguments.input.files_of(shard)? else { return Ok(None) };
    let common = [
        ("version", json!(format!("{}+{REVISION}", env!("CARGO_PKG_VERSION")))),
        ("model", json!(sha256_of(model.path())?)),
        ("list of files", json!(sha256_of_bytes(inputs.all.as_bytes()))),
        ("input options", json!(arguments.input.described())),
        ("columns", json!(format!("{:?}", arguments.columns))),
        ("explain", json!(format!("{:?} {:?}", arguments.method, read.integration))),
        ("precision", json!(format!("{:?}", arguments.precision))),
        ("format", json!(format!("{:?}", arguments.output.output(true)?))),
        ("text", json!(format!("{:?}, {} tokens", read.text_of(model), read.max_length_of(model)))),
    ];
    let digest =
        |file: &ShardFile| Ok(json!({ "path": file.path.display().to_string(), "sha256": file.sha256()? }));
    let digests: Result<Vec<Value>> = inputs.files.iter().map(digest).collect();
    let own = json!({ "shard": shard.to_string(), "parts": inputs.parts, "inputs": digests? });
    let common = common.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Some(Finished::new(shard, whole, MadeFrom { common, own })))
}

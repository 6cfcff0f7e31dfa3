//! A checkpoint of each published encoder, opened and run as the stages do, or refused.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use midashi_config::DeviceChoice;
use midashi_encoder::{
    Batch, Checkpoint, EncoderConfig, Graph, Head, LOGITS, MatmulPrecision, PaddingRule, Start, Storage,
    TextIds, Weights, classifier, logits,
};
use midashi_runtime::Engine;
use midashi_tests::browser::tell;
use midashi_tests::{folder, root};
use midashi_tokenizer::{Dictionaries, MecabDictionary, Requirements, Tokenizer};

use crate::encoder::{Encoder, published};
use crate::stand_in::{self, TEXT, WORDS};

const LABELS: usize = 9;
const MOST_TOKENS: usize = 64;
/// Tokens of the shorter text of the batch.
const SHORT: usize = 3;
/// The encoder whose tokenizer Bandai Namco's DistilBERT was trained with, and which it comes without.
const TEACHER: &str = "tohoku-nlp/bert-base-japanese-whole-word-masking";
/// Largest difference of two logits that are the same up to rounding.
const ROUNDING: f32 = 1e-5;

fn dictionaries() -> Dictionaries {
    Dictionaries::below(&root().join("cache"))
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::open(&root().join("cache/onnxruntime"), DeviceChoice::Cpu, 1).unwrap())
}

/// Tokenizers by what they are made from: many encoders share one, and a MeCab dictionary takes long to load.
type Tokenizers = HashMap<String, Arc<Tokenizer>>;

fn text(error: impl std::error::Error) -> String {
    error.to_string()
}

/// Opens the tokenizer in `folder` as the stage `tokenize` does: what it requires is copied and read from there.
fn tokenizer(
    encoder: &Encoder,
    folder: &Path,
    is_pretokenized: bool,
    tokenizers: &mut Tokenizers,
) -> Result<Arc<Tokenizer>, String> {
    let default = Some(&MecabDictionary::Ipadic);
    let requirements = match is_pretokenized {
        true => Requirements::of_pretokenized(folder),
        false => Requirements::of(folder, default),
    };
    let requirements = requirements.map_err(text)?;
    let (settings, files, model) = (&encoder.tokenizer, &encoder.files, &encoder.piece_model);
    let (class, kind) = (&encoder.config["tokenizer_class"], encoder.model_type());
    let key = format!("{settings:?} {files:?} {model:?} {class} {kind} {is_pretokenized}");
    if let Some(tokenizer) = tokenizers.get(&key) {
        return Ok(tokenizer.clone());
    }
    let copy = tempfile::tempdir().unwrap();
    requirements.copy_files(copy.path(), &dictionaries()).map_err(text)?;
    let tokenizer = Tokenizer::load(copy.path(), &dictionaries(), default).map_err(text)?;
    Ok(tokenizers.entry(key).or_insert(Arc::new(tokenizer)).clone())
}

/// The logits of a graph.
fn run(graph: &Graph, weights: &Weights, batch: &Batch) -> Vec<f32> {
    let parameters = weights.for_graph(graph, |_| true).unwrap();
    let model = graph.to_model("published", |_| Storage::External);
    let mut session = engine().session(&model, parameters).unwrap();
    session.run(batch.inputs()).unwrap().float32(LOGITS).unwrap().iter().copied().collect()
}

/// Writes random weights under the published names, reads them again, and computes logits.
fn classify(encoder: &Encoder, folder: &Path, tokenizer: &Tokenizer, words: bool) -> Result<(), String> {
    let keys = encoder.small_config(tokenizer.vocabulary_size());
    fs::write(folder.join("config.json"), keys.to_string()).unwrap();
    let config: EncoderConfig = serde_json::from_value(keys).map_err(text)?;
    let weights = folder.join("model.safetensors");
    Weights::scratch(&config, 5).write_model(&config, &Weights::default(), &weights).map_err(text)?;
    let mut weights = Checkpoint::open(folder).and_then(|checkpoint| checkpoint.encoder()).map_err(text)?;
    let head = Head::native(LABELS);
    head.initialise(&config, &mut weights, 5);

    tokenizer.check_embeddings(config.vocab_size, folder).map_err(text)?;
    let input = if words { WORDS } else { TEXT };
    let encoding = tokenizer.encode(input, MOST_TOKENS).map_err(text)?.encoding;
    let unknown = encoding.input_ids.iter().filter(|id| Some(**id) == tokenizer.unknown_id()).count();
    if encoding.len() <= SHORT || unknown * 2 > encoding.len() {
        return Err(format!("the tokens of {input:?} are {:?}", encoding.tokens));
    }
    let ids = |tokens: usize| TextIds {
        input_ids: &encoding.input_ids[..tokens],
        token_type_ids: &encoding.token_type_ids[..tokens],
    };
    let batch = |texts: &[TextIds<'_>]| Batch::of_ids(texts, config.pad_token_id, PaddingRule::Masked);
    let (both, short) = (batch(&[ids(encoding.len()), ids(SHORT)]), batch(&[ids(SHORT)]));

    // Padding changes nothing, nor does the last layer for all tokens instead of the first.
    let fast = logits(&config, head, MatmulPrecision::Float32).map_err(text)?;
    let whole = classifier(&config, head, Start::InputIds).map_err(text)?;
    let found = run(&fast, &weights, &both);
    for (found, other) in
        [(&found[..], run(&whole, &weights, &both)), (&found[LABELS..], run(&fast, &weights, &short))]
    {
        let is_same = |(one, other): (&f32, &f32)| (one - other).abs() < ROUNDING;
        if found.len() != other.len() || !found.iter().zip(&other).all(is_same) {
            return Err(format!("the logits are {found:?} and {other:?}"));
        }
    }
    Ok(())
}

/// Opens the checkpoint and runs it.
fn work(encoder: &Encoder, folder: &Path, tokenizers: &mut Tokenizers) -> Result<(), String> {
    EncoderConfig::read(&folder.join("config.json")).map_err(text)?;
    let tokenizer = tokenizer(encoder, folder, false, tokenizers)?;
    classify(encoder, folder, &tokenizer, encoder.words.is_some())
}

fn check(encoder: &Encoder, tokenizers: &mut Tokenizers) -> Result<(), String> {
    let folder = folder();
    fs::write(folder.path().join("config.json"), encoder.config.to_string()).unwrap();
    stand_in::write(encoder, folder.path());
    let outcome = work(encoder, folder.path(), tokenizers);
    let Some(parts) = &encoder.refused else { return outcome };
    let Err(message) = outcome else { return Err(format!("works; expected the error {parts:?}")) };
    if let Some(part) = parts.iter().find(|part| !message.contains(*part)) {
        return Err(format!("{message:?} does not contain {part:?}"));
    }
    // Advice that can be followed is.
    if message.contains("tokenize.pretokenized") {
        let tokenizer = tokenizer(encoder, folder.path(), true, tokenizers)?;
        classify(encoder, folder.path(), &tokenizer, true)?;
    }
    if message.contains("copy the checkpoint's tokenizer files there") {
        let teacher = published().iter().find(|encoder| encoder.id == TEACHER).unwrap();
        stand_in::write(teacher, folder.path());
        let tokenizer = tokenizer(teacher, folder.path(), false, tokenizers)?;
        classify(encoder, folder.path(), &tokenizer, false)?;
    }
    Ok(())
}

/// Whether the tokenizer needs the dictionary that `make setup` does not install.
fn needs_unidic(encoder: &Encoder) -> bool {
    let Some(settings) = &encoder.tokenizer else { return false };
    settings["mecab_kwargs"]["mecab_dic"] == "unidic_lite"
        || settings["tokenizer_class"] == "DistilBertJapaneseTokenizer"
}

#[test]
fn every_published_encoder_works_or_is_refused_with_advice() {
    let has_unidic = dictionaries().folder(&MecabDictionary::UnidicLite).is_ok();
    let (mut tokenizers, mut failures) = (HashMap::new(), Vec::new());
    for encoder in published() {
        if !has_unidic && needs_unidic(encoder) {
            tell(&format!("SKIPPED {}: run make setup DICTIONARY=unidic-lite", encoder.id));
        } else if let Err(message) = check(encoder, &mut tokenizers) {
            failures.push(format!("{}: {message}", encoder.id));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

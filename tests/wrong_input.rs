//! What each stage prints when something is wrong with its input. Every refusal is one line and exit code 2.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use midashi_artifacts::{Split, TokenizedText};
use midashi_tests::{Corpus, Outcome, Run, STAGES, folder};
use safetensors::SafeTensors;

fn run(folder: impl AsRef<Path>) -> Run {
    named(folder, "wrong")
}

fn named(folder: impl AsRef<Path>, name: &str) -> Run {
    Run::sample(folder, name).set(
        "model.scratch.layers=1 model.scratch.hidden_size=16 model.scratch.attention_heads=2 \
         model.scratch.intermediate_size=16 model.scratch.vocabulary_size=2000 train.epochs=1",
    )
}

#[test]
fn a_configuration_that_is_not_there() {
    let folder = folder();
    run(&folder)
        .config(Path::new("nowhere.toml"))
        .stage("fetch")
        .fails_with(["nowhere.toml", "No such file"]);
}

#[test]
fn a_key_that_does_not_exist() {
    let folder = folder();
    let config = folder.path().join("pipeline.toml");
    fs::write(&config, "[train]\nepoch = 3\n").unwrap();
    run(&folder).config(&config).stage("train").fails_with([
        "pipeline.toml",
        "unknown key train.epoch",
        "train.epochs",
    ]);
    run(&folder)
        .set("corpus.sorce=x")
        .stage("ingest")
        .fails_with(["corpus.sorce", "did you mean corpus.source"]);
    run(&folder).set("train.epochs=many").stage("train").fails_with(["train.epochs", "expected an integer"]);
}

#[test]
fn every_program_applies_the_variable_and_then_its_own_overrides() {
    let folder = folder();
    for program in STAGES.iter().chain(&["inspect", "predict", "serve", "sweep", "verify"]) {
        let start = |list: &str| {
            let invocation = run(&folder).stage(program).environment("MIDASHI_SET", list);
            if *program == "inspect" { invocation.arguments(["nowhere"]) } else { invocation }
        };
        start("render.titel='Two words'")
            .fails_with(["SET render.titel=Two words: unknown key", "render.title"]);
        let threads = "run.threads is 1000; expected at most 256";
        start("").set("run.threads=1000").fails_with([threads]);
        let list = "run.threads=1000 tokenize.max_length=1000000000";
        let outcome = start(list).set("run.threads=1").ends();
        outcome.refuses(["tokenize.max_length is 1000000000; expected at most 65536"]);
        outcome.does_not_say(threads);
    }
}

#[test]
fn a_stage_whose_input_is_not_made_yet() {
    for (stage, missing, before) in [
        ("ingest", "sources.json", "make fetch"),
        ("tokenize", "sources.json", "make fetch"),
        ("train", "sources.json", "make fetch"),
        ("evaluate", "tokens.arrow", "make tokenize"),
        ("render", "corpus.parquet", "make ingest"),
    ] {
        let folder = folder();
        run(&folder).stage(stage).fails_with([missing, before]);
    }
}

#[test]
fn a_corpus_that_is_not_there() {
    let folder = folder();
    run(&folder).set("corpus.source=no/such/folder").stage("fetch").fails_with(["no/such/folder"]);
    run(&folder).set("corpus.source=").stage("fetch").fails_with(["corpus.source"]);
}

#[test]
fn a_checkpoint_that_is_not_there() {
    let folder = folder();
    run(&folder).set("model.checkpoint=./no-checkpoint").stage("fetch").fails_with(["no-checkpoint"]);
}

#[test]
fn a_source_that_was_not_fetched() {
    let folder = folder();
    run(&folder).stages(&STAGES[..2]);
    let other = run(&folder).set("model.checkpoint=owner/other");
    for stage in &STAGES[1..4] {
        other.stage(stage).fails_with(["sources.json", "\"scratch\"", "\"owner/other\"", "make fetch"]);
    }
}

#[test]
fn an_archive_that_is_cut_off() {
    let folder = folder();
    let archive = folder.path().join("corpus.tar.gz");
    fs::write(&archive, b"\x1f\x8b\x08\x00not gzip").unwrap();
    let run = run(&folder).reads(&archive);
    run.stages(&["fetch"]);
    run.stage("ingest").fails_with(["corpus.tar.gz"]);
}

#[test]
fn a_text_that_is_not_utf_8() {
    let folder = folder();
    let corpus = Corpus::new()
        .article("a", "見出し", "本文")
        .article("a", "見出し", "本文")
        .article("b", "見出し", "本文")
        .article("b", "見出し", "本文")
        .file("b/bad.txt", b"u\nd\n\x93\xfa\x96{\nbody")
        .write(folder.path().join("texts"));
    let run = run(&folder).reads(&corpus);
    run.stages(&["fetch"]);
    run.stage("ingest").fails_with(["bad.txt", "UTF-8", "corpus.bad_files"]);
    // What is skipped is listed.
    run.stage("ingest").set("corpus.bad_files=skip corpus.split.test=0.5").succeeds().says("bad.txt");
}

#[test]
fn bodies_that_are_not_there() {
    let folder = folder();
    let corpus = Corpus::title_first()
        .article("a", "鯛の群れ", "")
        .article("a", "鯛が来た", "")
        .article("b", "鷹の群れ", "")
        .article("b", "鷹が来た", "")
        .write(folder.path().join("texts"));
    let run = run(&folder).reads(&corpus).set("corpus.layout=title-first corpus.split.test=0.5");
    run.clone().set("corpus.text=title").stages(&STAGES[..2]);
    for choice in ["body", "title+body"] {
        run.stage("tokenize")
            .set(&format!("corpus.text={choice}"))
            .fails_with(["corpus.parquet: no article has a body", "corpus.text = \"title\""]);
    }
}

#[test]
fn a_split_that_leaves_nothing() {
    let folder = folder();
    run(&folder)
        .set("corpus.split.test=0.5 corpus.split.validation=0.5")
        .stage("ingest")
        .fails_with(["corpus.split", "nothing is left for training"]);
}

#[test]
fn layers_that_the_checkpoint_does_not_have() {
    let folder = folder();
    let scratch = run(&folder);
    scratch.stages(&STAGES[..4]);
    let second =
        Run::sample(&folder, "second").checkpoint(&scratch.artifact("model")).set("train.trainable_layers=7");
    second.stages(&STAGES[..3]);
    second.stage("train").fails_with(["train.trainable_layers is 7", "1 layers"]);
    // Frozen layers that were never trained would be noise.
    run(&folder).set("train.trainable_layers=1").stage("train").fails_with(["scratch", "\"all\""]);
}

#[test]
fn a_checkpoint_that_does_not_fit_its_configuration() {
    let folder = folder();
    let scratch = run(&folder);
    scratch.stages(&STAGES[..4]);
    let checkpoint = folder.path().join("checkpoint");
    let use_it =
        |name: &str| Run::sample(&folder, name).checkpoint(&checkpoint).set("train.trainable_layers=1");
    let copy = |names: &[&str]| {
        let _ = fs::remove_dir_all(&checkpoint);
        fs::create_dir(&checkpoint).unwrap();
        for name in names {
            fs::copy(scratch.artifact("model").join(name), checkpoint.join(name)).unwrap();
        }
    };
    let files = ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"];
    let config = || fs::read_to_string(checkpoint.join("config.json")).unwrap();

    copy(&files);
    fs::write(checkpoint.join("config.json"), config().replace("\"hidden_size\": 16", "\"hidden_size\": 32"))
        .unwrap();
    let run = use_it("shape");
    run.stages(&STAGES[..3]);
    run.stage("train").fails_with(["model.safetensors", "word_embeddings.weight", "16]", "32]"]);

    copy(&files);
    let types = config().replace("\"type_vocab_size\": 2", "\"type_vocab_size\": 1");
    fs::write(checkpoint.join("config.json"), types).unwrap();
    use_it("shape").set("corpus.text=title+body").stage("tokenize").fails_with([
        "config.json: type_vocab_size is 1",
        "expected at least 2",
        "corpus.text = \"title\"",
    ]);

    copy(&files);
    let layers = config().replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2");
    fs::write(checkpoint.join("config.json"), layers).unwrap();
    use_it("shape").stage("train").fails_with(["there is no tensor bert.encoder.layer.1."]);

    copy(&files);
    fs::write(checkpoint.join("config.json"), config().replace("\"bert\"", "\"gpt2\"")).unwrap();
    use_it("shape").stage("train").fails_with(["config.json", "gpt2", "expected one of bert"]);

    copy(&files);
    fs::write(checkpoint.join("model.safetensors"), "not safetensors").unwrap();
    use_it("shape").stage("train").fails_with(["model.safetensors", "not a safetensors file"]);

    copy(&["config.json", "model.safetensors"]);
    let run = use_it("no_tokenizer");
    let mut outcome = run.stage("fetch").ends();
    if outcome.code == Some(0) {
        run.stages(&["ingest"]);
        outcome = run.stage("tokenize").ends();
    }
    outcome.refuses(["tokenizer.json", "vocab.txt"]);
}

#[test]
fn a_library_that_is_not_there() {
    let folder = folder();
    run(&folder).stages(&STAGES[..3]);
    run(&folder)
        .environment("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .stage("train")
        .fails_with(["/nowhere/libonnxruntime.so", "no such file"]);
    run(&folder)
        .environment("ORT_DYLIB_PATH", "")
        .stage("train")
        .set(&format!("run.cache={}", folder.path().join("empty").display()))
        .fails_with(["make setup", "ORT_DYLIB_PATH"]);
}

#[test]
fn a_gpu_that_is_not_there() {
    // Where there is one, the stage must succeed; where there is none, it must say so and not
    // fall back.
    let folder = folder();
    run(&folder).stages(&STAGES[..3]);
    let outcome = run(&folder).stage("train").set("train.device=cuda").ends();
    if outcome.code == Some(0) {
        outcome.says("device cuda");
    } else {
        outcome.refuses(["\"cuda\" was requested"]);
    }
    run(&folder).stage("train").set("train.device=cpu").ends().says("device cpu");
}

#[test]
fn a_damaged_artifact_says_how_to_remake_it_and_costs_nothing_else() {
    let folder = folder();
    let run = run(&folder);
    run.stages(&STAGES);
    let (model, tokens) = (run.bytes("model/model.safetensors"), run.bytes("tokens.arrow"));
    for damaged in [&tokens[..tokens.len() / 2], b"", b"ARROW1"] {
        fs::write(run.artifact("tokens.arrow"), damaged).unwrap();
        run.stage("train").fails_with(["tokens.arrow", "make tokenize"]);
    }
    assert!(run.bytes("model/model.safetensors") == model, "the model is still there");
    run.stages(&STAGES);
    assert!(run.bytes("tokens.arrow") == tokens, "remade as it was");
}

#[test]
fn a_learning_rate_that_diverges() {
    let folder = folder();
    let run = run(&folder)
        .set("train.learning_rate.encoder=1e30 train.learning_rate.classifier=1e30 train.epochs=3");
    run.stages(&STAGES[..3]);
    run.stage("train").fails_with(["loss", "diverged", "train.learning_rate"]);
    assert!(!run.artifact("model").exists(), "no model of nonsense is written");
}

/// An embedding of ±3.4e38 is finite, and its numbers less their mean are not.
#[test]
fn a_text_that_the_model_has_no_number_for() {
    let folder = folder();
    let scratch = run(&folder);
    scratch.stages(&STAGES[..4]);
    let corpus = scratch.tokens();
    let ids = |split: Split| -> BTreeSet<i32> {
        let texts = corpus.texts.iter().filter(|text| text.split == split);
        texts.flat_map(|text| text.encoding.input_ids.clone()).collect()
    };
    let (test, train) = (ids(Split::Test), ids(Split::Train));
    let id = *test.difference(&train).next().expect("a piece that no training text has");
    let holds = |text: &&TokenizedText| text.split == Split::Test && text.encoding.input_ids.contains(&id);
    let named = corpus.texts.iter().filter(holds).map(|text| text.id.clone()).collect::<Vec<_>>();

    let checkpoint = folder.path().join("checkpoint");
    fs::create_dir(&checkpoint).unwrap();
    for name in ["config.json", "vocab.txt", "tokenizer_config.json"] {
        fs::copy(scratch.artifact("model").join(name), checkpoint.join(name)).unwrap();
    }
    let mut bytes = scratch.bytes("model/model.safetensors");
    let (header, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let table = metadata.info("bert.embeddings.word_embeddings.weight").unwrap();
    let width = table.shape[1];
    let start = 8 + header + table.data_offsets.0 + id as usize * width * 4;
    for at in 0..width {
        let number = if at % 4 == 0 { -f32::MAX } else { f32::MAX };
        bytes[start + 4 * at..][..4].copy_from_slice(&number.to_le_bytes());
    }
    fs::write(checkpoint.join("model.safetensors"), bytes).unwrap();

    let says_which = |outcome: &Outcome, output: &str| {
        outcome.refuses([output, "expected finite numbers", "midashi-inspect"]);
        assert!(named.iter().any(|id| outcome.stderr.contains(id.as_str())), "{named:?}: {}", outcome.stderr);
    };
    let same = |name: &str| Run::sample(&folder, name).small_model().checkpoint(&checkpoint);
    let frozen = same("frozen").set("train.trainable_layers=1");
    frozen.stages(&STAGES[..3]);
    says_which(&frozen.stage("train").ends(), "hidden_states");
    assert!(!frozen.artifact("features.arrow").exists(), "half a cache");

    let whole = same("whole").set("train.trainable_layers=all");
    whole.stages(&STAGES[..4]);
    says_which(&whole.stage("evaluate").ends(), "logits");
    assert!(!whole.artifact("predictions.parquet").exists());
    let text = corpus.texts.iter().find(holds).unwrap().encoding.original.clone();
    whole
        .stage("predict")
        .arguments(["--format", "json", "--", &text])
        .fails_with(["expected finite numbers"]);
}

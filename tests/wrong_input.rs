//! What each stage says when something is wrong with what it is given. Every refusal is one line
//! and exit code 2.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;

use midashi_tests::{Run, STAGES};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn run(folder: &TempDir) -> Run {
    Run::new("data/sample.toml", folder.path(), "wrong").set(
        "model.scratch.layers=1 model.scratch.hidden_size=16 model.scratch.attention_heads=2 \
         model.scratch.intermediate_size=16 model.scratch.vocabulary_size=2000 train.epochs=1",
    )
}

#[test]
fn a_configuration_that_is_not_there() {
    let folder = folder();
    run(&folder).config(Path::new("nowhere.toml")).stage("fetch").refuses(&["nowhere.toml", "No such file"]);
}

#[test]
fn a_key_that_does_not_exist() {
    let folder = folder();
    let config = folder.path().join("pipeline.toml");
    fs::write(&config, "[train]\nepoch = 3\n").unwrap();
    run(&folder).config(&config).stage("train").refuses(&[
        "pipeline.toml",
        "unknown key train.epoch",
        "train.epochs",
    ]);
    run(&folder)
        .set("corpus.sorce=x")
        .stage("ingest")
        .refuses(&["corpus.sorce", "did you mean corpus.source"]);
    run(&folder).set("train.epochs=many").stage("train").refuses(&["train.epochs", "expected an integer"]);
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
        run(&folder).stage(stage).refuses(&[missing, before]);
    }
}

#[test]
fn a_corpus_that_is_not_there() {
    let folder = folder();
    run(&folder).set("corpus.source=no/such/folder").stage("fetch").refuses(&["no/such/folder"]);
    run(&folder).set("corpus.source=").stage("fetch").refuses(&["corpus.source"]);
}

#[test]
fn a_checkpoint_that_is_not_there() {
    let folder = folder();
    run(&folder).set("model.checkpoint=./no-checkpoint").stage("fetch").refuses(&["no-checkpoint"]);
}

#[test]
fn a_source_that_was_not_fetched() {
    let folder = folder();
    run(&folder).stages(&STAGES[..2]);
    let other = run(&folder).set("model.checkpoint=owner/other");
    for stage in &STAGES[1..4] {
        other.stage(stage).refuses(&["sources.json", "\"scratch\"", "\"owner/other\"", "make fetch"]);
    }
}

#[test]
fn an_archive_that_is_cut_off() {
    let folder = folder();
    let archive = folder.path().join("corpus.tar.gz");
    fs::write(&archive, b"\x1f\x8b\x08\x00not gzip").unwrap();
    let run = run(&folder).set(&format!("corpus.source={}", archive.display()));
    run.stages(&["fetch"]);
    run.stage("ingest").refuses(&["corpus.tar.gz"]);
}

#[test]
fn a_text_that_is_not_utf_8() {
    let folder = folder();
    for (category, name) in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")] {
        fs::create_dir_all(folder.path().join("texts").join(category)).unwrap();
        fs::write(
            folder.path().join("texts").join(category).join(format!("{name}.txt")),
            "u\nd\n見出し\n本文",
        )
        .unwrap();
    }
    let bad = folder.path().join("texts/b/5.txt");
    fs::write(&bad, b"u\nd\n\x93\xfa\x96{\nbody").unwrap();
    let run = run(&folder).set(&format!("corpus.source={}", folder.path().join("texts").display()));
    run.stages(&["fetch"]);
    run.stage("ingest").refuses(&["5.txt", "UTF-8", "corpus.bad_files"]);
    let skipping = run.set("corpus.bad_files=skip corpus.split.test=0.5");
    let outcome = skipping.stage("ingest");
    assert_eq!(outcome.code, Some(0), "{}", outcome.text);
    assert!(outcome.text.contains("5.txt"), "what is skipped is listed:\n{}", outcome.text);
}

#[test]
fn bodies_that_are_not_there() {
    let folder = folder();
    for (category, words) in [("a", ["鯛の群れ", "鯛が来た"]), ("b", ["鷹の群れ", "鷹が来た"])]
    {
        let category = folder.path().join("texts").join(category);
        fs::create_dir_all(&category).unwrap();
        for (at, words) in words.iter().enumerate() {
            let name = format!("{}{at}.txt", category.file_name().unwrap().display());
            fs::write(category.join(name), words).unwrap();
        }
    }
    let texts = folder.path().join("texts");
    let reading = |choice: &str| {
        run(&folder).set(&format!(
            "corpus.source={} corpus.layout=title-first corpus.split.test=0.5 corpus.text={choice}",
            texts.display()
        ))
    };
    reading("title").stages(&STAGES[..2]);
    for choice in ["body", "title+body"] {
        reading(choice)
            .stage("tokenize")
            .refuses(&["corpus.parquet: no article has a body", "corpus.text = \"title\""]);
    }
}

#[test]
fn a_split_that_leaves_nothing() {
    let folder = folder();
    run(&folder)
        .set("corpus.split.test=0.5 corpus.split.validation=0.5")
        .stage("ingest")
        .refuses(&["corpus.split", "nothing is left for training"]);
}

#[test]
fn layers_that_the_checkpoint_does_not_have() {
    let folder = folder();
    let scratch = run(&folder);
    scratch.stages(&STAGES[..4]);
    let model = scratch.artifact("model").display().to_string();
    let second = Run::new("data/sample.toml", folder.path(), "second")
        .set(&format!("model.checkpoint={model} train.trainable_layers=7"));
    second.stages(&STAGES[..3]);
    second.stage("train").refuses(&["train.trainable_layers is 7", "1 layers"]);
    // Frozen layers that were never trained would be noise.
    run(&folder).set("train.trainable_layers=1").stage("train").refuses(&["scratch", "\"all\""]);
}

#[test]
fn a_checkpoint_that_does_not_fit_its_configuration() {
    let folder = folder();
    let scratch = run(&folder);
    scratch.stages(&STAGES[..4]);
    let checkpoint = folder.path().join("checkpoint");
    let use_it = |name: &str| {
        Run::new("data/sample.toml", folder.path(), name)
            .set(&format!("model.checkpoint={} train.trainable_layers=1", checkpoint.display()))
    };
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
    run.stage("train").refuses(&["model.safetensors", "word_embeddings.weight", "16]", "32]"]);

    copy(&files);
    let types = config().replace("\"type_vocab_size\": 2", "\"type_vocab_size\": 1");
    fs::write(checkpoint.join("config.json"), types).unwrap();
    use_it("shape").set("corpus.text=title+body").stage("tokenize").refuses(&[
        "config.json: type_vocab_size is 1",
        "expected at least 2",
        "corpus.text = \"title\"",
    ]);

    copy(&files);
    let layers = config().replace("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 2");
    fs::write(checkpoint.join("config.json"), layers).unwrap();
    use_it("shape").stage("train").refuses(&["there is no tensor bert.encoder.layer.1."]);

    copy(&files);
    fs::write(checkpoint.join("config.json"), config().replace("\"bert\"", "\"gpt2\"")).unwrap();
    use_it("shape").stage("train").refuses(&["config.json", "gpt2", "expected one of bert"]);

    copy(&files);
    fs::write(checkpoint.join("model.safetensors"), "not safetensors").unwrap();
    use_it("shape").stage("train").refuses(&["model.safetensors", "not a safetensors file"]);

    copy(&["config.json", "model.safetensors"]);
    let run = use_it("no_tokenizer");
    let outcome = run.stage("fetch");
    let outcome = if outcome.code == Some(0) {
        run.stages(&["ingest"]);
        run.stage("tokenize")
    } else {
        outcome
    };
    outcome.refuses(&["tokenizer.json", "vocab.txt"]);
}

#[test]
fn a_library_that_is_not_there() {
    let folder = folder();
    run(&folder).stages(&STAGES[..3]);
    run(&folder)
        .environment("ORT_DYLIB_PATH", "/nowhere/libonnxruntime.so")
        .stage("train")
        .refuses(&["/nowhere/libonnxruntime.so", "no such file"]);
    run(&folder)
        .environment("ORT_DYLIB_PATH", "")
        .set(&format!("run.cache={}", folder.path().join("empty").display()))
        .stage("train")
        .refuses(&["make setup", "ORT_DYLIB_PATH"]);
}

#[test]
fn a_gpu_that_is_not_there() {
    // Where there is one, the stage must succeed; where there is none, it must say so and not
    // fall back.
    let folder = folder();
    run(&folder).stages(&STAGES[..3]);
    let outcome = run(&folder).set("train.device=cuda").stage("train");
    if outcome.code == Some(0) {
        assert!(outcome.text.contains("device cuda"), "{}", outcome.text);
    } else {
        outcome.refuses(&["\"cuda\" was asked for"]);
    }
    let outcome = run(&folder).set("train.device=cpu").stage("train");
    assert!(outcome.text.contains("device cpu"), "{}", outcome.text);
}

#[test]
fn a_damaged_artifact_says_how_to_remake_it_and_costs_nothing_else() {
    let folder = folder();
    let run = run(&folder);
    run.stages(&STAGES);
    let model = fs::read(run.artifact("model/model.safetensors")).unwrap();
    let tokens = fs::read(run.artifact("tokens.arrow")).unwrap();
    for damaged in [&tokens[..tokens.len() / 2], b"", b"ARROW1"] {
        fs::write(run.artifact("tokens.arrow"), damaged).unwrap();
        run.stage("train").refuses(&["tokens.arrow", "make tokenize"]);
    }
    assert_eq!(fs::read(run.artifact("model/model.safetensors")).unwrap(), model, "the model is still there");
    run.stages(&STAGES);
    assert_eq!(fs::read(run.artifact("tokens.arrow")).unwrap(), tokens, "remade as it was");
}

#[test]
fn a_learning_rate_that_diverges() {
    let folder = folder();
    let run = run(&folder)
        .set("train.learning_rate.encoder=1e30 train.learning_rate.classifier=1e30 train.epochs=3");
    run.stages(&STAGES[..3]);
    run.stage("train").refuses(&["loss", "diverged", "train.learning_rate"]);
    assert!(!run.artifact("model").exists(), "no model of nonsense is written");
}

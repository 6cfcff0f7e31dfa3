//! A trimmed vocabulary through all stages: everything but ids is as with the whole one.

use std::fs;
use std::path::Path;

use midashi_artifacts::read_checkpoint_ids;
use midashi_encoder::{Checkpoint, EncoderConfig, Weights};
use midashi_tests::{Corpus, Outcome, Run, STAGES, Shared, folder, root};
use midashi_tokenizer::{Dictionaries, Tokenizer};
use ndarray::Axis;
use serde_json::{Value, json};

use crate::exported::assert_gives_the_predictions;
use crate::runs::{finished, small};

/// Encoders with a tokenizer of several scripts. `spare` are rows of the word embeddings that no id uses.
fn encoders() -> [(&'static str, Value); 3] {
    let sizes = json!({
        "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48,
        "max_position_embeddings": 130
    });
    let of = |more: Value| {
        let mut config = sizes.clone();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    let unigram =
        of(json!({"model_type": "xlm-roberta", "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": [2]}));
    let bert = of(json!({"model_type": "bert", "pad_token_id": 0}));
    let bytes = of(json!({
        "model_type": "modernbert", "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "local_attention": 8,
        "global_attn_every_n_layers": 2, "classifier_pooling": "cls"
    }));
    [("unigram", unigram), ("vocab_txt", bert), ("byte_bpe", bytes)]
}

/// Writes a checkpoint with the tokenizer `form` of the tokenizer crate's fixtures, and with 35 rows that have no id where a
/// tokenizer may have such.
fn write_checkpoint(folder: &Path, form: &str, config: &Value) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(root().join("crates/tokenizer/tests/fixtures/trim").join(form)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let tokenizer = Tokenizer::load(folder, &Dictionaries::new(folder), None).unwrap();
    let mut config = config.clone();
    config["vocab_size"] = (tokenizer.vocabulary_size() + 35).into();
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let config: EncoderConfig = serde_json::from_value(config).unwrap();
    let weights = Weights::scratch(&config, 11);
    weights.write_model(&config, &Weights::default(), &folder.join("model.safetensors")).unwrap();
}

/// Two runs that differ only in whether the vocabulary is trimmed, and what the second printed.
fn pair(artifacts: &Path, form: &str, config: &Value, name: &str, set: &str) -> (Run, Run, Outcome) {
    let checkpoint = artifacts.join(format!("checkpoint-{form}"));
    if !checkpoint.exists() {
        write_checkpoint(&checkpoint, form, config);
    }
    let whole = small(artifacts, &format!("{form}-{name}-whole")).checkpoint(&checkpoint).set(set);
    let trimmed = small(artifacts, &format!("{form}-{name}-trimmed"))
        .checkpoint(&checkpoint)
        .set(set)
        .set("model.trim_vocabulary=true");
    whole.stages(&STAGES);
    let outcome = trimmed.stages(&STAGES);
    (whole, trimmed, outcome)
}

/// The encoder's weights before the training.
fn published(run: &Run) -> Weights {
    let sources: Value = serde_json::from_str(&run.text("sources.json")).unwrap();
    Checkpoint::open(Path::new(sources["checkpoint"].as_str().unwrap())).unwrap().encoder().unwrap()
}

fn assert_equal_but_for_ids(whole: &Run, trimmed: &Run) {
    let kept = read_checkpoint_ids(&trimmed.artifact("tokenizer")).unwrap().unwrap();
    let (before, after) = (whole.tokens(), trimmed.tokens());
    assert_eq!(after.vocabulary_size, kept.len());
    assert!(kept.len() + 100 < before.vocabulary_size, "{} of {}", kept.len(), before.vocabulary_size);
    for (one, other) in before.texts.iter().zip(&after.texts) {
        let old: Vec<i32> = other.encoding.input_ids.iter().map(|&id| kept[id as usize] as i32).collect();
        assert_eq!(one.encoding.input_ids, old);
        assert_eq!(one.encoding.tokens, other.encoding.tokens);
        assert_eq!(one.encoding.offsets, other.encoding.offsets);
    }
    // Bit for bit: the same numbers are computed in the same order.
    assert_eq!(whole.training(), trimmed.training());
    assert_eq!(whole.predictions().rows, trimmed.predictions().rows);
    assert_eq!(whole.attention(), trimmed.attention());
    assert_eq!(whole.explanations(), trimmed.explanations());
    let (one, other) = (whole.weights(), trimmed.weights());
    let config = EncoderConfig::read(&trimmed.artifact("model/config.json")).unwrap();
    assert_eq!(config.vocab_size, kept.len());
    let words = config.word_embeddings();
    for (name, tensor) in one.iter() {
        let expected = if name == words { tensor.select(Axis(0), &kept) } else { tensor.clone() };
        assert_eq!(other.get(name), Some(&expected), "{name}");
    }
    assert_eq!(one.iter().count(), other.iter().count());
}

#[test]
fn losses_predictions_and_weights_are_those_of_the_whole_vocabulary() {
    let artifacts = folder();
    for (form, config) in encoders() {
        let all = "train.head=native train.trainable_layers=all train.dropout.hidden=0.1 train.dropout.attention=0.1";
        let (whole, trimmed, outcome) = pair(artifacts.path(), form, &config, "all", all);
        outcome.says("  vocabulary trimmed: ");
        assert_equal_but_for_ids(&whole, &trimmed);
        assert_gives_the_predictions(&trimmed);
        let words =
            whole.weights().iter().map(|(name, _)| name.to_owned()).find(|name| name.contains("word"));
        let words = words.unwrap_or_else(|| "model.embeddings.tok_embeddings.weight".to_owned());
        assert!(
            published(&whole).get(&words) != whole.weights().get(&words),
            "the word embeddings are trained"
        );

        let frozen = "train.trainable_layers=1 train.trunk_precision=int8";
        let (whole, trimmed, _) = pair(artifacts.path(), form, &config, "frozen", frozen);
        assert_equal_but_for_ids(&whole, &trimmed);
        assert!(trimmed.artifact("features.arrow").exists());
    }
}

/// A finished run with a trimmed vocabulary, and what its stages printed.
fn trimmed() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|artifacts| {
        let [(form, config), ..] = encoders();
        let (_, trimmed, outcome) = pair(artifacts, form, &config, "shared", "train.trainable_layers=1");
        (trimmed, outcome)
    })
}

#[test]
fn ids_in_the_written_configuration_are_the_new_ones() {
    let (run, _) = trimmed();
    let config: Value = serde_json::from_str(&run.text("model/config.json")).unwrap();
    let ids = ["pad_token_id", "bos_token_id", "eos_token_id"].map(|key| config[key].clone());
    assert_eq!(ids, [json!(1), json!(0), json!([2])]);
    let tokenizer: Value = serde_json::from_str(&run.text("model/tokenizer.json")).unwrap();
    let last = tokenizer["added_tokens"].as_array().unwrap().last().unwrap();
    assert_eq!(config["vocab_size"], last["id"].as_u64().unwrap() + 1);
    assert_eq!(tokenizer["model"]["vocab"].as_array().unwrap().len() as u64, last["id"].as_u64().unwrap());
}

#[test]
fn the_report_and_the_card_say_how_much_smaller_the_vocabulary_is() {
    let (run, outcome) = trimmed();
    let pieces = run.tokens().vocabulary_size;
    outcome.says(&format!("vocabulary trimmed: {pieces} of "));
    let record: Value = serde_json::from_str(&run.text("run.json")).unwrap();
    let details = &record["stages"]["tokenize"]["details"]["trimmed"];
    assert_eq!(details["pieces"], pieces);
    let before = details["pieces_before"].as_u64().unwrap();
    let saved = (before - pieces as u64) * 32;
    let parameters = |key: &str| details[key].as_u64().unwrap();
    assert_eq!(parameters("parameters_before") - parameters("parameters"), saved);
    assert!(run.text("report.html").contains("Vocabulary, trimmed"));
    assert!(
        run.text("model/README.md").contains(&format!("has {pieces} of the checkpoint's {before} pieces"))
    );
}

#[test]
fn running_again_does_nothing_and_the_whole_vocabulary_comes_back() {
    trimmed().0.stages(&STAGES).up_to_date(STAGES.len());
    let artifacts = folder();
    let whole = trimmed().0.copy_to(&artifacts).set("model.trim_vocabulary=false");
    // Fetch and ingest have nothing to do.
    whole.stages(&STAGES).up_to_date(2);
    assert_eq!(read_checkpoint_ids(&whole.artifact("tokenizer")).unwrap(), None);
    assert!(whole.tokens().vocabulary_size > trimmed().0.tokens().vocabulary_size);
    assert_eq!(whole.predictions().rows, trimmed().0.predictions().rows);
}

#[test]
fn texts_in_dropped_scripts_are_classified() {
    let (run, _) = trimmed();
    let texts = ["어제는 부산에", "สวัสดีชาวโลก", "🦄🫠 東京", "", "今日のニュース"];
    let outcome = run.stage("predict").arguments(["--format", "json"]).arguments(texts).succeeds();
    let documents: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents.len(), texts.len());
}

/// The trimmed model is a checkpoint as any other, also for trimming.
#[test]
fn a_run_can_start_from_a_trimmed_model() {
    let (run, _) = trimmed();
    let artifacts = folder();
    let further = small(&artifacts, "further")
        .checkpoint(&run.artifact("model"))
        .set("train.trainable_layers=1 model.trim_vocabulary=true");
    further.stages(&STAGES[..4]);
    assert_eq!(further.tokens().texts, run.tokens().texts);
    assert_eq!(further.tokens().vocabulary_size, run.tokens().vocabulary_size);
}

#[test]
fn a_vocabulary_that_is_learned_cannot_be_trimmed() {
    let artifacts = folder();
    let run = finished().copy_to(&artifacts).set("model.trim_vocabulary=true");
    run.stage("tokenize").fails_with([
        "model.trim_vocabulary is true",
        "\"scratch\"",
        "set model.trim_vocabulary = false",
    ]);
}

/// WordPiece does not know `éàç`: it takes `éà`, and nothing spells the rest. Without that piece it would take `é` and `##àç`.
#[test]
fn a_word_that_the_vocabulary_does_not_know_stays_unknown() {
    let artifacts = folder();
    let checkpoint = artifacts.path().join("checkpoint");
    fs::create_dir_all(&checkpoint).unwrap();
    let pieces =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "東", "a", "é", "éà", "##àç", "наука", "науки"];
    fs::write(checkpoint.join("vocab.txt"), pieces.join("\n") + "\n").unwrap();
    let settings = r#"{"tokenizer_class": "BertTokenizer", "do_lower_case": false}"#;
    fs::write(checkpoint.join("tokenizer_config.json"), settings).unwrap();
    let config = r#"{"model_type": "bert", "vocab_size": 12, "hidden_size": 4, "num_hidden_layers": 1,
        "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 64}"#;
    fs::write(checkpoint.join("config.json"), config).unwrap();
    let weights = Weights::scratch(&serde_json::from_str(config).unwrap(), 1);
    weights.write(&checkpoint.join("model.safetensors")).unwrap();

    let mut corpus = Corpus::new();
    for at in 0..12 {
        let title = ["東 éàç", "aàç 東", "東東"][at % 3].to_owned() + &"東".repeat(at);
        corpus = corpus.article(["魚", "鳥"][at % 2], &title, "本文");
    }
    let run = small(&artifacts, "unknown")
        .reads(&corpus.write(artifacts.path().join("texts")))
        .checkpoint(&checkpoint)
        .set("model.trim_vocabulary=true");
    run.stages(&STAGES[..3]);
    let tokens = run.tokens();
    let text = tokens.texts.iter().find(|text| text.encoding.original.starts_with("東 éàç")).unwrap();
    assert_eq!(text.encoding.tokens[..3], ["[CLS]", "東", "[UNK]"]);
    let kept = read_checkpoint_ids(&run.artifact("tokenizer")).unwrap().unwrap();
    assert_eq!(kept, (0..10).collect::<Vec<_>>(), "Russian is dropped, the misleading piece is not");
}

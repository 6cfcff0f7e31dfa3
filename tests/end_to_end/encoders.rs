//! Every architecture through all stages: small, randomly initialised checkpoints with the tokenizer of another run.

use std::fs;
use std::path::Path;

use midashi_encoder::{EncoderConfig, Weights};
use midashi_tests::{Run, STAGES, folder};
use serde_json::{Value, json};

use crate::exported::assert_gives_the_predictions;
use crate::runs::{finished, small};

/// A small `config.json` of each architecture.
fn configurations(vocabulary: usize) -> Vec<Value> {
    let sizes = json!({
        "vocab_size": vocabulary, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 130, "pad_token_id": 0
    });
    let of = |model_type: &str, more: Value| {
        let mut config = sizes.clone();
        config["model_type"] = model_type.into();
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config
    };
    vec![
        of("roberta", json!({})),
        of("luke", json!({"entity_vocab_size": 500_000, "entity_emb_size": 256})),
        of("electra", json!({"embedding_size": 32})),
        of(
            "modernbert",
            json!({"local_attention": 8, "global_attn_every_n_layers": 2, "classifier_pooling": "cls"}),
        ),
        of(
            "deberta-v2",
            json!({
                "relative_attention": true, "position_buckets": 4, "share_att_key": true, "pos_att_type": ["p2c", "c2p"],
                "norm_rel_ebd": "layer_norm", "position_biased_input": false, "type_vocab_size": 0,
                "conv_kernel_size": 3, "conv_act": "gelu"
            }),
        ),
        json!({
            "model_type": "distilbert", "vocab_size": vocabulary, "dim": 32, "n_layers": 3, "n_heads": 4,
            "hidden_dim": 48, "max_position_embeddings": 130, "pad_token_id": 0
        }),
    ]
}

/// A checkpoint with the tokenizer of the finished run, in `folder`.
fn write_checkpoint(folder: &Path, config: &Value) {
    fs::create_dir_all(folder).unwrap();
    let of_tokenizer = |name: &str| name.contains("token") || name.contains("vocab");
    for entry in fs::read_dir(finished().artifact("model")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if of_tokenizer(&name.to_string_lossy()) {
            fs::copy(&path, folder.join(name)).unwrap();
        }
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let config: EncoderConfig = serde_json::from_value(config.clone()).unwrap();
    let weights = Weights::scratch(&config, 11);
    weights.write_model(&config, &Weights::default(), &folder.join("model.safetensors")).unwrap();
}

fn run(artifacts: &Path, config: &Value, name: &str) -> Run {
    let model_type = config["model_type"].as_str().unwrap();
    let checkpoint = artifacts.join(format!("checkpoint-{model_type}"));
    write_checkpoint(&checkpoint, config);
    small(artifacts, &format!("{model_type}-{name}")).checkpoint(&checkpoint)
}

/// Classifies texts of many lengths in one file and in several, one of which has a single text: the same probabilities.
fn assert_texts_beside_change_nothing(run: &Run, model_type: &str) {
    let words = ["本", "映画の予告編", "逆転勝利の日本代表、監督が語る涙の理由", "新型スマホ", "料理"];
    let texts: Vec<String> =
        (0..150).map(|number| format!("{number}{}", words[number % 5].repeat(1 + number % 7))).collect();
    let folder = folder();
    let (file, model) = (folder.path().join("texts.txt"), run.artifact("model"));
    for precision in ["f32", "int8"] {
        let classified = |texts: &[String]| {
            fs::write(&file, texts.join("\n")).unwrap();
            let input = ["--input", file.to_str().unwrap(), "--format", "jsonl", "--all"];
            let read_by = ["--model", model.to_str().unwrap(), "--precision", precision];
            run.stage("predict").arguments(read_by).arguments(input).succeeds().stdout
        };
        let parts: String = [&texts[..1], &texts[1..8], &texts[8..60], &texts[60..]].map(classified).concat();
        let whole = classified(&texts);
        assert_eq!(whole.lines().count(), texts.len(), "{model_type}, {precision}");
        for (one, other) in whole.lines().zip(parts.lines()) {
            assert_eq!(one, other, "{model_type}, {precision}");
        }
    }
}

#[test]
fn every_encoder_goes_through_all_stages_and_its_model_is_its_own() {
    let artifacts = folder();
    let vocabulary = finished().text("model/vocab.txt").lines().count();
    for config in configurations(vocabulary) {
        let model_type = config["model_type"].as_str().unwrap();
        // All layers, with dropout and the head of its own class.
        let all = run(artifacts.path(), &config, "all").set(
            "train.head=native train.trainable_layers=all train.dropout.hidden=0.1 train.dropout.attention=0.1",
        );
        all.stages(&STAGES);
        assert_gives_the_predictions(&all);
        assert_texts_beside_change_nothing(&all, model_type);
        let written: Value = serde_json::from_str(&all.text("model/config.json")).unwrap();
        assert_eq!(written["model_type"], model_type);
        assert!(written["architectures"][0].as_str().unwrap().ends_with("ForSequenceClassification"));

        // Frozen layers, computed once in 8-bit integers, a linear head, steps in the graph.
        let frozen = run(artifacts.path(), &config, "frozen").set(
            "train.trainable_layers=1 train.trunk_precision=int8 train.optimiser=graph evaluate.explain.texts=4",
        );
        frozen.stages(&STAGES);

        // ModernBERT's own class can read the mean.
        let mean = run(artifacts.path(), &config, "mean").set("train.pooling=mean train.head=native");
        if model_type == "modernbert" {
            mean.stages(&STAGES);
            assert_gives_the_predictions(&mean);
            assert!(mean.text("model/config.json").contains("\"classifier_pooling\": \"mean\""));
        } else {
            mean.stages(&STAGES[..3]);
            mean.stage("train").fails_with(["train.pooling is \"mean\"", "ForSequenceClassification"]);
        }

        // A run that starts from the model has its encoder, and the layers of its head.
        let again = small(&artifacts, &format!("{model_type}-again"))
            .checkpoint(&all.artifact("model"))
            .set("train.head=native train.trainable_layers=0");
        again.stages(&STAGES[..4]).says("head: the checkpoint's ");
    }
}

//! `tokenizer.json` in a checkpoint's folder, and folders that hold no tokenizer.

#![allow(clippy::unwrap_used, missing_docs)]

use midashi_tokenizer::{Dictionaries, MecabDictionary, Requirements, Tokenizer};

/// Each word is a piece, `<s>` and `</s>` surround the text, and truncation and padding are set, as in many published
/// files.
const TOKENIZER: &str = r#"{
  "version": "1.0",
  "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
  "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 1,
              "pad_type_id": 0, "pad_token": "<pad>"},
  "added_tokens": [
    {"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 1, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
    {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
  ],
  "normalizer": {"type": "NFKC"},
  "pre_tokenizer": {"type": "Whitespace"},
  "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": true, "add_prefix_space": false},
  "decoder": null,
  "model": {"type": "WordLevel", "vocab": {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "東京": 4, "アパート": 5, "都": 6}, "unk_token": "<unk>"}
}"#;

fn load(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Tokenizer, midashi_tokenizer::Error>) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let tokenizer = Tokenizer::load(folder.path(), &Dictionaries::new(folder.path()), None);
    (folder, tokenizer)
}

#[test]
fn a_tokenizer_json_is_used_with_the_callers_length() {
    let (folder, tokenizer) = load(&[("tokenizer.json", TOKENIZER)]);
    let tokenizer = tokenizer.unwrap();
    let encoding = tokenizer.encode("東京 ㌀ 都 駅", 512).unwrap();
    assert_eq!(encoding.encoding.input_ids, [0, 4, 5, 6, 3, 2]);
    assert_eq!(encoding.encoding.tokens, ["<s>", "東京", "アパート", "都", "<unk>", "</s>"]);
    assert_eq!(encoding.encoding.word_ids, [None, Some(0), Some(1), Some(2), Some(3), None]);
    // Offsets refer to the text as given, in characters.
    assert_eq!(encoding.encoding.offsets, [(0, 0), (0, 2), (3, 4), (5, 6), (7, 8), (0, 0)]);
    assert_eq!(encoding.encoding.original_offsets, encoding.encoding.offsets);
    assert_eq!(encoding.encoding.text, "東京 ㌀ 都 駅");
    assert!(!encoding.truncated);

    let cut = tokenizer.encode("東京 ㌀ 都 駅", 4).unwrap();
    assert_eq!((cut.encoding.input_ids, cut.truncated), (vec![0, 4, 5, 2], true));
    assert!(tokenizer.encode("東京", 2).is_err());

    assert_eq!((tokenizer.unknown_id(), tokenizer.vocabulary_size()), (Some(3), 7));
    assert_eq!(tokenizer.replacement(), Some((3, "<unk>".to_owned())), "there is no mask token");
    assert_eq!(tokenizer.describe(), "tokenizer.json: words, 7 pieces");
    assert_eq!(tokenizer.settings(), [("model", "words".to_owned())]);
    assert_eq!(tokenizer.check_embeddings(7, folder.path()).unwrap(), 0);
    assert_eq!(tokenizer.check_embeddings(16, folder.path()).unwrap(), 9);
    let message = tokenizer.check_embeddings(6, folder.path()).unwrap_err().to_string();
    assert!(message.contains("has 7 ids, config.json has vocab_size 6, expected no more"), "{message}");
    let requirements = Requirements::of(folder.path(), None).unwrap();
    let files = vec![folder.path().join("tokenizer.json")];
    assert_eq!((requirements.files, requirements.dictionary), (files, None));
}

#[test]
fn a_pair_has_the_token_types_of_its_template() {
    let (_folder, roberta) = load(&[("tokenizer.json", TOKENIZER)]);
    let roberta = roberta.unwrap();
    assert_eq!(roberta.special_tokens(), (2, 4));
    let pair = roberta.encoder().encode_pair("東京 都", "都 ㌀", 512).unwrap();
    assert_eq!(pair.encoding.tokens, ["<s>", "東京", "都", "</s>", "</s>", "都", "アパート", "</s>"]);
    assert_eq!(pair.encoding.token_type_ids, [0; 8], "RoBERTa has no types");
    assert_eq!(pair.encoding.word_ids, [None, Some(0), Some(1), None, None, Some(2), Some(3), None]);

    let special =
        |token: &str, kind: u32| serde_json::json!({"SpecialToken": {"id": token, "type_id": kind}});
    let sequence = |name: &str, kind: u32| serde_json::json!({"Sequence": {"id": name, "type_id": kind}});
    let token = |token: &str, id: u32| serde_json::json!({"id": token, "ids": [id], "tokens": [token]});
    let mut bert: serde_json::Value = serde_json::from_str(TOKENIZER).unwrap();
    bert["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [special("<s>", 0), sequence("A", 0), special("</s>", 0)],
        "pair": [special("<s>", 0), sequence("A", 0), special("</s>", 0), sequence("B", 1), special("</s>", 1)],
        "special_tokens": {"<s>": token("<s>", 0), "</s>": token("</s>", 2)},
    });
    let (_folder, bert) = load(&[("tokenizer.json", &bert.to_string())]);
    let pair = bert.unwrap().encoder().encode_pair("東京 都", "都\n㌀", 6).unwrap();
    assert_eq!(pair.encoding.tokens, ["<s>", "東京", "都", "</s>", "都", "</s>"]);
    assert_eq!(pair.encoding.token_type_ids, [0, 0, 0, 0, 1, 1]);
    assert_eq!((pair.encoding.text.as_str(), pair.encoding.offsets[4]), ("東京 都\n都\n㌀", (5, 6)));
    assert_eq!((pair.truncated, pair.first_truncated), (true, false));
}

#[test]
fn without_a_template_a_pair_has_two_token_types() {
    let mut bare: serde_json::Value = serde_json::from_str(TOKENIZER).unwrap();
    bare["post_processor"] = serde_json::Value::Null;
    let (_folder, tokenizer) = load(&[("tokenizer.json", &bare.to_string())]);
    let pair = tokenizer.unwrap().encoder().encode_pair("東京 都", "都", 512).unwrap();
    assert_eq!((pair.encoding.input_ids, pair.encoding.token_type_ids), (vec![4, 6, 6], vec![0, 0, 1]));
    assert_eq!((pair.encoding.word_ids[2], pair.encoding.offsets[2]), (Some(2), (5, 6)));
}

/// The `tokenizers` library writes this if only the template of single texts was set.
#[test]
fn a_template_for_pairs_may_have_no_special_tokens() {
    let mut single: serde_json::Value = serde_json::from_str(TOKENIZER).unwrap();
    single["post_processor"] = serde_json::json!({
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
    });
    let (_folder, tokenizer) = load(&[("tokenizer.json", &single.to_string())]);
    let tokenizer = tokenizer.unwrap();
    assert_eq!(tokenizer.special_tokens(), (1, 0));
    let pair = tokenizer.encoder().encode_pair("東京", "都", 512).unwrap();
    assert_eq!(
        (pair.encoding.tokens, pair.encoding.token_type_ids),
        (vec!["東京".to_owned(), "都".to_owned()], vec![0, 1])
    );
}

#[test]
fn a_padding_token_is_not_required() {
    let mut without: serde_json::Value = serde_json::from_str(TOKENIZER).unwrap();
    without["padding"] = serde_json::Value::Null;
    without["added_tokens"].as_array_mut().unwrap().remove(1);
    without["model"]["vocab"].as_object_mut().unwrap().remove("<pad>");
    let (_folder, tokenizer) = load(&[("tokenizer.json", &without.to_string())]);
    assert_eq!(tokenizer.unwrap().encode("東京", 512).unwrap().encoding.input_ids, [0, 4, 2]);
}

/// Embeddings are looked up by id, so they need a row for the largest id even if smaller ones are missing.
#[test]
fn gaps_among_the_ids_count_as_rows() {
    let gap = TOKENIZER.replace(r#""都": 6"#, r#""都": 60"#);
    assert_eq!(load(&[("tokenizer.json", &gap)]).1.unwrap().vocabulary_size(), 61);
}

#[test]
fn the_error_for_an_empty_folder_names_the_expected_files() {
    let message = load(&[]).1.err().unwrap().to_string();
    assert!(message.contains("found neither tokenizer.json nor vocab.txt"), "{message}");
    let message = load(&[("vocab.txt", "[PAD]\n")]).1.err().unwrap().to_string();
    assert!(message.contains("tokenizer_class is missing"), "{message}");
    let message = load(&[("tokenizer.json", "{}")]).1.err().unwrap().to_string();
    assert!(message.contains("tokenizer.json"), "{message}");
}

#[test]
fn the_error_for_a_missing_dictionary_names_its_package() {
    let settings = r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
    let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    let message =
        load(&[("vocab.txt", vocabulary), ("tokenizer_config.json", settings)]).1.err().unwrap().to_string();
    assert!(message.contains("unidic_lite") && message.contains("unidic-lite"), "{message}");
    let message = load(&[("vocab.txt", "[PAD]\n[CLS]\n"), ("tokenizer_config.json", settings)])
        .1
        .err()
        .unwrap()
        .to_string();
    assert!(message.contains(r#"special token "[UNK]" (unk_token)"#), "{message}");
    let named = r#"{"word_tokenizer_type": "basic", "additional_special_tokens": ["<title>"]}"#;
    let message = load(&[("vocab.txt", vocabulary), ("tokenizer_config.json", named)]).1.err().unwrap();
    assert!(message.to_string().contains(r#"special token "<title>" (extra_special_tokens)"#), "{message}");
}

#[test]
fn the_error_for_a_dictionary_that_is_not_installed_says_how_to_install_it() {
    let folder = tempfile::tempdir().unwrap();
    for (dictionary, advice) in [
        (MecabDictionary::Ipadic, "run `make setup`"),
        (MecabDictionary::UnidicLite, "run `make setup DICTIONARY=unidic-lite`"),
        (MecabDictionary::Unidic, "run `python -m unidic download`"),
        (MecabDictionary::Folder(folder.path().join("mine")), "into which MeCab's mecab-dict-index wrote it"),
    ] {
        let place = folder.path().join(dictionary.package().unwrap_or("mine"));
        let dictionaries = Dictionaries::new(folder.path()).with(dictionary.clone(), &place);
        let message = dictionaries.folder(&dictionary).unwrap_err().to_string();
        assert!(message.contains(advice) && message.starts_with(&place.display().to_string()), "{message}");
    }
}

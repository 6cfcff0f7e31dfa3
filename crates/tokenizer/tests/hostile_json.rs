//! Hostile `tokenizer.json` files: each is refused with the file's name and the place, or gives the right ids, within a time.
//!
//! Every file is the tokenizer below with one part replaced, so a case shows what is hostile about it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::mpsc::channel;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use midashi_tokenizer::{Dictionaries, Tokenizer};
use serde_json::{Value, json};

/// No file may take longer to load and to encode the texts.
const PATIENCE: Duration = Duration::from_secs(90);

/// What must become of a file.
enum Expected {
    /// Loading it is an error that contains this.
    Refused(&'static str),
    /// It loads, and encoding the text is an error that contains this.
    Stopped(String, &'static str),
    /// It loads and gives these ids for `東京 都`.
    Ids(&'static [i32]),
    /// It may be refused or stopped or encode the text; it must end.
    Ends(String),
}
use Expected::{Ends, Ids, Refused, Stopped};

fn special(token: &str) -> Value {
    json!({"SpecialToken": {"id": token, "type_id": 0}})
}

fn sequence(name: &str) -> Value {
    json!({"Sequence": {"id": name, "type_id": 0}})
}

fn defined(token: &str, ids: &[u32], tokens: &[&str]) -> Value {
    json!({token: {"id": token, "ids": ids, "tokens": tokens}})
}

/// A sound tokenizer: each word is a piece between `<s>` (0) and `</s>` (1).
fn sound() -> Value {
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": template(json!([special("<s>"), sequence("A"), special("</s>")])),
        "decoder": null,
        "model": {
            "type": "WordLevel", "unk_token": "<unk>",
            "vocab": {"<s>": 0, "</s>": 1, "<unk>": 2, "東京": 3, "都": 4, "a": 5, "東": 6, "京": 7},
        },
    })
}

fn template(single: Value) -> Value {
    let mut tokens = defined("<s>", &[0], &["<s>"]);
    tokens["</s>"] = defined("</s>", &[1], &["</s>"])["</s>"].clone();
    json!({
        "type": "TemplateProcessing", "single": single,
        "pair": [sequence("A"), sequence("B")], "special_tokens": tokens,
    })
}

/// A template with another value under `key`.
fn template_with(key: &str, value: Value) -> Value {
    let mut template = template(json!([special("<s>"), sequence("A"), special("</s>")]));
    template[key] = value;
    template
}

/// The sound tokenizer with another part.
fn with(key: &str, part: Value) -> String {
    let mut file = sound();
    file[key] = part;
    file.to_string()
}

fn normalizer(part: Value) -> String {
    with("normalizer", part)
}

fn pre_tokenizer(part: Value) -> String {
    with("pre_tokenizer", part)
}

fn replace(pattern: Value, content: &str) -> Value {
    json!({"type": "Replace", "pattern": pattern, "content": content})
}

fn split(pattern: &str) -> Value {
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}

fn charsmap(bytes: &[u8]) -> String {
    normalizer(json!({"type": "Precompiled", "precompiled_charsmap": BASE64_STANDARD.encode(bytes)}))
}

/// A map with these units and replacements.
fn map(units: &[u32], replacements: &[u8]) -> Vec<u8> {
    let array: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let length = u32::try_from(array.len()).unwrap().to_le_bytes();
    [&length[..], &array, replacements].concat()
}

/// The units of a map of "a" to the replacement at `value`.
fn units(value: u32) -> Vec<u32> {
    let mut units = vec![0_u32; 0x200];
    units[0] = 1 << 10;
    units[1 ^ usize::from(b'a')] = u32::from(b'a') | 1 << 8 | 0x100 << 10;
    units[1 ^ usize::from(b'a') ^ 0x100] = 1 << 31 | value;
    units
}

fn unigram(vocab: Value, unk_id: Value) -> String {
    let mut file = sound();
    file["model"] = json!({"type": "Unigram", "unk_id": unk_id, "vocab": vocab, "byte_fallback": false});
    file["post_processor"] = Value::Null;
    file.to_string()
}

fn bpe(key: &str, value: Value) -> String {
    let mut file = sound();
    file["model"] = json!({
        "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
        "vocab": {"<s>": 0, "</s>": 1, "<unk>": 2, "東京": 3, "都": 4, "a": 5, "東": 6, "京": 7, "é": 8, "あ": 9},
        "merges": [["東", "京"]],
    });
    file["model"][key] = value;
    file.to_string()
}

fn wordpiece(key: &str, value: Value) -> String {
    let mut file = sound();
    file["model"] = json!({
        "type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
        "vocab": {"<s>": 0, "</s>": 1, "<unk>": 2, "東京": 3, "都": 4},
    });
    file["model"][key] = value;
    file.to_string()
}

fn nested(kind: &str, list: &str, leaf: Value, levels: usize) -> Value {
    (0..levels).fold(leaf, |inner, _| json!({"type": kind, list: [inner]}))
}

/// The collection: a name, the file's text, and what must become of it.
fn collection() -> Vec<(String, String, Expected)> {
    let many_a = "a".repeat(100_000);
    let cases: Vec<(&str, String, Expected)> = vec![
        ("the sound one", sound().to_string(), Ids(&[0, 3, 4, 1])),
        // Not JSON, or not a tokenizer.
        ("nothing", String::new(), Refused("its JSON")),
        ("half a file", sound().to_string().chars().take(200).collect(), Refused("its JSON")),
        ("a list", "[]".to_owned(), Refused("no model")),
        ("a number", "1e999".to_owned(), Refused("its JSON")),
        ("HTML", "<!DOCTYPE html><html></html>".to_owned(), Refused("its JSON")),
        ("lists without end", "[".repeat(1_000_000), Refused("33 levels")),
        ("objects without end", "{\"a\":".repeat(1_000_000), Refused("33 levels")),
        (
            "a deep decoder",
            with("decoder", nested("Sequence", "decoders", json!({"type": "Fuse"}), 50)),
            Refused("33 levels"),
        ),
        ("another version", with("version", json!("2.0")), Refused("version: found \"2.0\"")),
        ("no model", with("model", Value::Null), Refused("no model")),
        ("a model that is a text", with("model", json!("BERT")), Refused("model")),
        // Nesting.
        (
            "deep normalisers",
            normalizer(nested("Sequence", "normalizers", json!({"type": "NFKC"}), 40)),
            Refused("33 levels"),
        ),
        (
            "normalisers as deep as is allowed",
            normalizer(nested("Sequence", "normalizers", json!({"type": "NFKC"}), 14)),
            Ids(&[0, 3, 4, 1]),
        ),
        (
            "nested normalisers without a type",
            normalizer((0..14).fold(json!({"type": "NFKC"}), |inner, _| json!({"normalizers": [inner]}))),
            Refused("\"type\""),
        ),
        (
            "deep pre-tokenizers",
            pre_tokenizer(nested("Sequence", "pretokenizers", json!({"type": "Whitespace"}), 40)),
            Refused("33 levels"),
        ),
        (
            "deep post-processors",
            with("post_processor", nested("Sequence", "processors", template(json!([sequence("A")])), 40)),
            Refused("33 levels"),
        ),
        (
            "too many normalisers",
            normalizer(json!({"type": "Sequence", "normalizers": vec![json!({"type": "NFC"}); 1000]})),
            Refused("64 at most"),
        ),
        (
            "too many pre-tokenizers",
            pre_tokenizer(
                json!({"type": "Sequence", "pretokenizers": vec![json!({"type": "Digits", "individual_digits": true}); 1000]}),
            ),
            Refused("64 at most"),
        ),
        (
            "an unknown normaliser",
            normalizer(json!({"type": "Evil"})),
            Refused("normalizer: found type \"Evil\""),
        ),
        ("an unknown pre-tokenizer", pre_tokenizer(json!({"type": "Evil"})), Refused("type \"Evil\"")),
        (
            "an unknown post-processor",
            with("post_processor", json!({"type": "Evil"})),
            Refused("type \"Evil\""),
        ),
        // Patterns.
        (
            "catastrophic backtracking",
            pre_tokenizer(split(r"(?:a|aa)*(?!a)b")),
            Stopped("a".repeat(64), "gave up on a text of 64 bytes"),
        ),
        (
            "catastrophic look-ahead",
            pre_tokenizer(split(r"(?=(?:a|aa)*(?!a)b)a")),
            Stopped("a".repeat(64), "gave up"),
        ),
        ("a back reference", pre_tokenizer(split(r"(a*)*\1b")), Ends(many_a.clone())),
        ("nested loops", pre_tokenizer(split(r"((a+)+)+$")), Ends(many_a.clone() + "b")),
        ("a look-ahead over the whole text", pre_tokenizer(split(r"(?=[\s\S]*b)a")), Ends(many_a.clone())),
        ("all suffixes", pre_tokenizer(split(r"a*[^a]|a")), Ends(many_a.clone())),
        (
            "catastrophic backtracking in a replacement",
            normalizer(replace(json!({"Regex": r"(?:a|aa)*(?!a)b"}), "x")),
            Stopped("a".repeat(64), "gave up"),
        ),
        ("a pattern that is none", pre_tokenizer(split("(")), Refused("pre_tokenizer.pattern")),
        (
            "a replaced pattern that is none",
            normalizer(replace(json!({"Regex": "("}), "x")),
            Refused("normalizer.pattern"),
        ),
        (
            "an enormous automaton",
            pre_tokenizer(split(r"(?:\p{L}{1000}){1000}")),
            Refused("pre_tokenizer.pattern"),
        ),
        (
            "deep groups",
            pre_tokenizer(split(&format!("{}a{}", "(".repeat(5000), ")".repeat(5000)))),
            Refused("pattern"),
        ),
        ("a long pattern", pre_tokenizer(split(&"a?".repeat(100_000))), Refused("32768 at most")),
        (
            "a pattern of another kind",
            pre_tokenizer(
                json!({"type": "Split", "pattern": {"Evil": "a"}, "behavior": "Isolated", "invert": false}),
            ),
            Refused("pre_tokenizer"),
        ),
        // Growth.
        (
            "a huge replacement",
            normalizer(replace(json!({"String": "a"}), &"b".repeat(1 << 20))),
            Refused("255 bytes at most"),
        ),
        (
            "a replacement that blows texts up",
            normalizer(replace(json!({"Regex": ""}), &"b".repeat(255))),
            Stopped(many_a.clone(), "at most are made"),
        ),
        (
            "doubling again and again",
            normalizer(
                json!({"type": "Sequence", "normalizers": vec![replace(json!({"String": "a"}), "aa"); 60]}),
            ),
            Stopped("a".repeat(10), "at most are made"),
        ),
        (
            "a huge prepend",
            normalizer(json!({"type": "Prepend", "prepend": "b".repeat(1 << 30 >> 8)})),
            Refused("32 bytes at most"),
        ),
        (
            "many prepends",
            normalizer(
                json!({"type": "Sequence", "normalizers": vec![json!({"type": "Prepend", "prepend": "b".repeat(32)}); 64]}),
            ),
            Ids(&[0, 2, 4, 1]),
        ),
        // Maps of characters.
        ("an empty map", charsmap(b""), Refused("an empty map")),
        ("a map of garbage", charsmap(b"garbage that is no map at all"), Refused("precompiled_charsmap")),
        (
            "a map that is no base64",
            normalizer(json!({"type": "Precompiled", "precompiled_charsmap": "%%%"})),
            Refused("base64"),
        ),
        (
            "a map that is no text",
            normalizer(json!({"type": "Precompiled", "precompiled_charsmap": [1]})),
            Refused("normalizer"),
        ),
        (
            "a map that promises 4 GB",
            charsmap(&[0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
            Refused("a length within the map"),
        ),
        ("a map of three bytes", charsmap(&[1, 2, 3]), Refused("3 bytes")),
        ("a map without units", charsmap(&map(&[], b"b\0")), Refused("without units")),
        (
            "a map whose root leads out",
            charsmap(&map(&[0x3_ffff << 10], b"b\0")),
            Refused("children are not in the map"),
        ),
        (
            "a map whose value leads out",
            charsmap(&map(&units(99), b"b\0")),
            Refused("whose value is not in the map"),
        ),
        (
            "a map whose value is inside a character",
            charsmap(&map(&units(1), "あ\0".as_bytes())),
            Refused("whose value is not in the map"),
        ),
        ("a map whose replacements are no UTF-8", charsmap(&map(&units(0), b"\xff\0")), Refused("no UTF-8")),
        (
            "a map that blows texts up",
            charsmap(&map(&units(0), &[&[b'b'; 255][..], b"\0"].concat())),
            Stopped(many_a.clone() + &many_a, "at most are made"),
        ),
        ("a sound map", charsmap(&map(&units(0), b"b\0")), Ids(&[0, 3, 4, 1])),
        // Templates.
        (
            "a template with an unknown special token",
            with("post_processor", template(json!([special("<evil>"), sequence("A")]))),
            Refused("post_processor.single: found the special token \"<evil>\""),
        ),
        (
            "a template with $B in a single",
            with("post_processor", template(json!([sequence("A"), sequence("B")]))),
            Refused("1 sequences B"),
        ),
        (
            "a template without the text",
            with("post_processor", template(json!([special("<s>")]))),
            Refused("0 sequences A"),
        ),
        (
            "a template with the text twice",
            with("post_processor", template(json!([sequence("A"), sequence("A")]))),
            Refused("2 sequences A"),
        ),
        (
            "a pair without the second text",
            with("post_processor", template_with("pair", json!([sequence("A")]))),
            Refused("0 sequences B"),
        ),
        (
            "a long template",
            with("post_processor", template(json!(vec![special("<s>"); 100_000]))),
            Refused("64 at most"),
        ),
        (
            "more ids than tokens",
            with("post_processor", template_with("special_tokens", defined("<s>", &[0, 0, 0], &["<s>"]))),
            Refused("3 ids and 1 tokens"),
        ),
        (
            "more tokens than ids",
            with("post_processor", template_with("special_tokens", defined("<s>", &[], &["<s>"]))),
            Refused("0 ids and 1 tokens"),
        ),
        (
            "ids beyond the vocabulary",
            with("post_processor", template_with("special_tokens", defined("<s>", &[99], &["<s>"]))),
            Refused("id 99 of \"<s>\""),
        ),
        (
            "negative ids",
            with(
                "post_processor",
                template_with(
                    "special_tokens",
                    json!({"<s>": {"id": "<s>", "ids": [-1], "tokens": ["<s>"]}}),
                ),
            ),
            Refused("post_processor"),
        ),
        (
            "a token type beyond all",
            with(
                "post_processor",
                template(json!([{"Sequence": {"id": "A", "type_id": 4_000_000_000_u32}}])),
            ),
            Refused("type_id 4000000000"),
        ),
        (
            "two templates",
            with(
                "post_processor",
                json!({"type": "Sequence", "processors": [template(json!([sequence("A")])), template(json!([sequence("A")]))]}),
            ),
            Refused("a second step that adds tokens"),
        ),
        (
            "BERT's template with ids beyond the vocabulary",
            with("post_processor", json!({"type": "BertProcessing", "sep": ["</s>", 77], "cls": ["<s>", 0]})),
            Refused("id 77"),
        ),
        (
            "RoBERTa's template with ids beyond the vocabulary",
            with(
                "post_processor",
                json!({"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 78], "trim_offsets": true, "add_prefix_space": true}),
            ),
            Refused("id 78"),
        ),
        // Pre-tokenizers.
        (
            "parts of no length",
            pre_tokenizer(json!({"type": "FixedLength", "length": 0})),
            Refused("pre_tokenizer.length: found 0"),
        ),
        (
            "parts of negative length",
            pre_tokenizer(json!({"type": "FixedLength", "length": -1})),
            Refused("pre_tokenizer.length: found -1"),
        ),
        (
            "parts of any length",
            pre_tokenizer(json!({"type": "FixedLength", "length": u64::MAX})),
            Ids(&[0, 2, 1]),
        ),
        (
            "Metaspace with a text",
            pre_tokenizer(json!({"type": "Metaspace", "replacement": "long", "prepend_scheme": "always"})),
            Refused("pre_tokenizer"),
        ),
        // Models.
        (
            "an id beyond 32 bits",
            with(
                "model",
                json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 4_294_967_296_u64}}),
            ),
            Refused("model.vocab: found 4294967296"),
        ),
        (
            "the largest id",
            with("model", json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": u32::MAX}})),
            Refused("model.vocab: found 4294967295"),
        ),
        (
            "a negative id",
            with("model", json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": -1}})),
            Refused("model.vocab: found -1"),
        ),
        (
            "a long piece",
            with(
                "model",
                json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": {"a".repeat(10_000): 0}}),
            ),
            Refused("a piece of 10000 bytes"),
        ),
        (
            "pieces that are a number",
            with("model", json!({"type": "WordLevel", "unk_token": "<unk>", "vocab": 7})),
            Refused("model.vocab: found 7"),
        ),
        ("an unknown model", with("model", json!({"type": "Evil", "vocab": {}})), Refused("model.type")),
        (
            "no unknown piece",
            with(
                "model",
                json!({"type": "WordLevel", "unk_token": "<none>", "vocab": {"<s>": 0, "</s>": 1}}),
            ),
            Stopped("都".to_owned(), "tokenizer.json"),
        ),
        ("an unknown piece beyond the list", unigram(json!([["a", 0.0]]), json!(7)), Refused("model")),
        (
            "a Unigram model without pieces",
            unigram(json!([]), Value::Null),
            Stopped("都".to_owned(), "tokenizer.json"),
        ),
        (
            "a Unigram model without the unknown piece",
            unigram(json!([["a", 0.0]]), Value::Null),
            Stopped("都".to_owned(), "tokenizer.json"),
        ),
        ("a negative unknown piece", unigram(json!([["a", 0.0]]), json!(-1)), Refused("model")),
        (
            "scores of any size",
            unigram(json!([["<unk>", 1e308], ["a", -1e308], ["aa", 1e308]]), json!(0)),
            Ends(many_a.clone()),
        ),
        (
            "a score beyond numbers",
            unigram(json!([["<unk>", 0.0]]), json!(0)).replace("0.0", "1e999"),
            Refused("its JSON"),
        ),
        (
            "a long Unigram piece",
            unigram(json!([["<unk>", 0.0], ["a".repeat(5000), 0.0]]), json!(0)),
            Refused("1024 bytes at most"),
        ),
        (
            "all prefixes of a long piece",
            unigram(
                Value::Array((0..1024).map(|length| json!(["a".repeat(length), 0.0])).collect()),
                json!(0),
            ),
            Ends("a".repeat(10_000)),
        ),
        ("random dropout", bpe("dropout", json!(0.5)), Refused("model.dropout: found 0.5")),
        ("dropout of no number", bpe("dropout", json!("all")), Refused("model.dropout")),
        (
            "a merge of an unknown piece",
            bpe("merges", json!([["x", "y"]])),
            Refused("model.merges[0]: found \"x\""),
        ),
        (
            "a merge into an unknown piece",
            bpe("merges", json!([["都", "京"]])),
            Refused("model.merges[0]: found \"都京\""),
        ),
        ("a merge of one piece", bpe("merges", json!(["東"])), Refused("model.merges[0]")),
        ("a merge of three pieces", bpe("merges", json!(["東 京 都"])), Refused("model")),
        (
            "a prefix that cuts a character",
            bpe("continuing_subword_prefix", json!("##")),
            Refused("one that starts with the prefix \"##\""),
        ),
        (
            "a prefix that is longer than a piece",
            bpe("continuing_subword_prefix", json!("#".repeat(60))),
            Refused("starts with the prefix"),
        ),
        (
            "a huge prefix",
            bpe("continuing_subword_prefix", json!("#".repeat(1 << 20))),
            Refused("64 bytes at most"),
        ),
        ("a huge suffix", bpe("end_of_word_suffix", json!("#".repeat(1 << 20))), Refused("64 bytes at most")),
        (
            "a suffix with bytes",
            bpe("end_of_word_suffix", json!("</w>"))
                .replace("\"byte_fallback\":false", "\"byte_fallback\":true"),
            Ends("東京 都 x".to_owned()),
        ),
        ("a sound BPE", bpe("fuse_unk", json!(true)), Ids(&[0, 3, 4, 1])),
        (
            "words of any length",
            wordpiece("max_input_chars_per_word", json!(u64::MAX)),
            Refused("1000 at most"),
        ),
        (
            "words of negative length",
            wordpiece("max_input_chars_per_word", json!(-1)),
            Refused("max_input_chars_per_word"),
        ),
        (
            "a huge prefix of WordPiece",
            wordpiece("continuing_subword_prefix", json!("#".repeat(1 << 20))),
            Refused("64 bytes at most"),
        ),
        ("a sound WordPiece", wordpiece("max_input_chars_per_word", json!(1000)), Ids(&[0, 3, 4, 1])),
        // Added tokens.
        (
            "an added token of any length",
            with(
                "added_tokens",
                json!([{"id": 8, "content": "a".repeat(1 << 20), "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}]),
            ),
            Refused("added_tokens: found a token of 1048576 bytes"),
        ),
        ("added tokens that are texts", with("added_tokens", json!(["a"])), Refused("added_tokens")),
        // Settings that are not used.
        (
            "padding to any length",
            with(
                "padding",
                json!({"strategy": {"Fixed": u64::MAX}, "direction": "Right", "pad_to_multiple_of": 0, "pad_id": 0, "pad_type_id": 0, "pad_token": "x"}),
            ),
            Ids(&[0, 3, 4, 1]),
        ),
        (
            "truncation to nothing",
            with(
                "truncation",
                json!({"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 1_000_000}),
            ),
            Ids(&[0, 3, 4, 1]),
        ),
    ];

    cases.into_iter().map(|(name, file, expected)| (name.to_owned(), file, expected)).collect()
}

/// What became of the file: the error of loading it, or the result of encoding `text`.
fn outcome(file: &str, text: String) -> Option<Result<Result<Vec<i32>, String>, String>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), file).unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let tokenizer = Tokenizer::load(folder.path(), &Dictionaries::new(folder.path()), None);
        let result = tokenizer.map_err(|error| error.to_string()).map(|tokenizer| {
            let encoded = tokenizer.encode(&text, 512);
            encoded.map(|encoded| encoded.encoding.input_ids).map_err(|error| error.to_string())
        });
        let _ = sender.send(result);
    });
    // A panic closes the channel, as a file that takes too long leaves it empty.
    receiver.recv_timeout(PATIENCE).ok()
}

#[test]
fn a_hostile_file_is_refused_or_right_and_never_hangs() {
    let cases = collection();
    assert!(cases.len() > 90, "{}", cases.len());
    for (name, file, expected) in cases {
        let text = match &expected {
            Stopped(text, _) | Ends(text) => text.clone(),
            Refused(_) | Ids(_) => "東京 都".to_owned(),
        };
        let Some(outcome) = outcome(&file, text) else {
            panic!("{name}: a panic, or more than {PATIENCE:?}")
        };
        match (expected, outcome) {
            (Refused(part), Err(message)) | (Stopped(_, part), Ok(Err(message))) => {
                assert!(message.contains(part) && message.contains("tokenizer.json"), "{name}: {message}");
                assert!(message.len() < 1000, "{name}: {message}");
            }
            (Ids(ids), Ok(Ok(found))) => assert_eq!(found, ids, "{name}"),
            (Ends(_), outcome) => {
                if let Err(message) | Ok(Err(message)) = outcome {
                    assert!(message.contains("tokenizer.json") && message.len() < 1000, "{name}: {message}");
                }
            }
            (Refused(part) | Stopped(_, part), outcome) => panic!("{name}: {outcome:?} instead of {part:?}"),
            (Ids(ids), outcome) => panic!("{name}: {outcome:?} instead of {ids:?}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_no_regular_one_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("tokenizer_config.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let tokenizer = Tokenizer::load(folder.path(), &Dictionaries::new(folder.path()), None);
        let _ = sender.send(tokenizer.err().map(|error| error.to_string()));
    });
    let message = receiver.recv_timeout(Duration::from_secs(20)).unwrap().unwrap();
    assert!(message.contains("tokenizer_config.json") && message.contains("not a regular file"), "{message}");
}

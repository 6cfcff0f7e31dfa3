//! Windows of long texts are those of transformers' `return_overflowing_tokens`, which
//! `tests/parity/window_reference.py` wrote.

#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};

use midashi_tokenizer::{Dictionaries, Length, Tokenizer, Windowing};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    texts: Vec<String>,
    #[serde(flatten)]
    windowing: Windowing,
    windows: Vec<Vec<i32>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/unigram")
}

fn tokenizer() -> Tokenizer {
    Tokenizer::load(&folder(), &Dictionaries::new(env!("CARGO_TARGET_TMPDIR")), None).unwrap()
}

/// The ids of the windows of a text or a pair.
fn windows(tokenizer: &Tokenizer, texts: &[String], windowing: Windowing) -> Vec<Vec<i32>> {
    let second = texts.get(1).map(String::as_str);
    let encoded = tokenizer.encoder().encode_to(&texts[0], second, Length::Windows(windowing)).unwrap();
    assert!(!encoded.truncated);
    let windows = windowing.windows(&encoded.encoding);
    windows.iter().map(|window| window.select(&encoded.encoding.input_ids).into_owned()).collect()
}

#[test]
fn windows_are_those_of_transformers() {
    let tokenizer = tokenizer();
    let lines = std::fs::read_to_string(folder().join("expected_windows.jsonl")).unwrap();
    let cases: Vec<Case> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(cases.iter().any(|case| case.texts.len() == 2));
    for Case { texts, windowing, windows: expected } in &cases {
        assert!(expected.len() > 1);
        assert_eq!(&windows(&tokenizer, texts, *windowing), expected, "{texts:?} {windowing:?}");
    }
}

#[test]
fn a_text_that_fits_is_encoded_as_without_windows() {
    let tokenizer = tokenizer();
    let windowing = Windowing { max_length: 64, stride: 8 };
    let mut encoder = tokenizer.encoder();
    for (first, second) in
        [("逆転勝利の日本代表", None), ("", None), ("見出し", Some("本文です。")), ("見出し", Some(""))]
    {
        let whole = encoder.encode_to(first, second, Length::Windows(windowing)).unwrap();
        let cut = encoder.encode_to(first, second, Length::AtMost(64)).unwrap();
        assert_eq!(whole, cut);
        assert_eq!(windowing.windows(&whole.encoding).len(), 1);
    }
}

#[test]
fn a_title_that_leaves_no_room_for_its_body_is_truncated() {
    let tokenizer = tokenizer();
    let windowing = Windowing { max_length: 16, stride: 2 };
    let title = "サッカー日本代表、延長戦の末に逆転勝利を飾る".repeat(3);
    let mut encoder = tokenizer.encoder();
    for body in ["", "本文です。"] {
        let whole = encoder.encode_to(&title, Some(body), Length::Windows(windowing)).unwrap();
        assert_eq!(whole, encoder.encode_to(&title, Some(body), Length::AtMost(16)).unwrap());
        assert!(whole.first_truncated);
    }
}

#[test]
fn a_stride_without_room_is_refused() {
    let tokenizer = tokenizer();
    let check = |stride, pairs| tokenizer.check_windowing(Windowing { max_length: 16, stride }, pairs);
    assert!(check(13, false).is_ok() && check(11, true).is_ok());
    let message = check(14, false).unwrap_err().to_string();
    assert!(
        message.starts_with(
            "the stride is 14, but windows of 16 tokens, 2 of them special ones, have room for 14;"
        ),
        "{message}"
    );
    assert!(check(12, true).unwrap_err().to_string().contains("lower tokenize.stride"));
}

//! Compares ids with transformers' on the hard cases in `fixtures/texts.jsonl`.
//!
//! Each folder of `fixtures` is a checkpoint's tokenizer; `tests/parity/tokenize_reference.py --json` wrote its
//! `expected_ids.txt`. The tests need the IPADIC dictionary (see [`ipadic`]). The test of UniDic is skipped without it.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::path::{Path, PathBuf};

use common::tell;
use midashi_tokenizer::{
    Dictionaries, Encoding, MecabDictionary, Tokenizer, VocabularySize, learn_vocabulary,
    write_for_transformers,
};
use unicode_normalization::UnicodeNormalization;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The folder of a dictionary after `make setup`.
fn installed(dictionary: &MecabDictionary) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache").join(dictionary.package().unwrap())
}

/// The folder in `MIDASHI_IPADIC`, or else the folder of `make setup`.
fn ipadic() -> PathBuf {
    let folder = match std::env::var_os("MIDASHI_IPADIC") {
        Some(folder) => PathBuf::from(folder),
        None => installed(&MecabDictionary::Ipadic).join("dicdir"),
    };
    assert!(folder.join("sys.dic").is_file(), "{}: no MeCab dictionary; run make setup", folder.display());
    folder
}

/// The dictionaries. Each is converted once for all tests of this file.
fn dictionaries() -> Dictionaries {
    Dictionaries::new(env!("CARGO_TARGET_TMPDIR"))
        .with(MecabDictionary::Ipadic, ipadic())
        .with(MecabDictionary::UnidicLite, installed(&MecabDictionary::UnidicLite))
}

fn load(name: &str) -> Tokenizer {
    Tokenizer::load(&fixture(name), &dictionaries(), None).unwrap()
}

fn texts() -> Vec<String> {
    let lines = std::fs::read_to_string(fixture("texts.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn expected_ids(name: &str) -> Vec<Vec<i32>> {
    let lines = std::fs::read_to_string(fixture(name).join("expected_ids.txt")).unwrap();
    lines.lines().map(numbers).collect()
}

fn assert_same_ids(name: &str) {
    let tokenizer = load(name);
    let mut encoder = tokenizer.encoder();
    let (texts, expected) = (texts(), expected_ids(name));
    assert_eq!(texts.len(), expected.len());
    for (text, expected) in texts.iter().zip(expected) {
        let found = encoder.encode(text, 512).unwrap();
        assert_eq!(found.encoding.input_ids, expected, "{text:?}: {:?}", found.encoding.tokens);
    }
}

fn numbers(line: &str) -> Vec<i32> {
    line.split(' ').map(|number| number.parse().unwrap()).collect()
}

/// Two texts and a length.
fn pairs() -> Vec<(String, String, usize)> {
    let lines = std::fs::read_to_string(fixture("pairs.jsonl")).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn pairs_match_transformers() {
    for name in ["wordpiece", "character", "basic", "unigram"] {
        let tokenizer = load(name);
        let mut encoder = tokenizer.encoder();
        let expected = std::fs::read_to_string(fixture(name).join("expected_pairs.txt")).unwrap();
        assert_eq!(expected.lines().count(), pairs().len());
        for ((first, second, max_length), expected) in pairs().iter().zip(expected.lines()) {
            let found = encoder.encode_pair(first, second, *max_length).unwrap();
            let (ids, types) = expected.split_once('\t').unwrap();
            let expected = (numbers(ids), numbers(types));
            assert_eq!(
                (found.encoding.input_ids, found.encoding.token_type_ids),
                expected,
                "{name}: {:?}",
                found.encoding.tokens
            );
            assert!(!found.first_truncated);
        }
    }
}

#[test]
fn offsets_of_a_pair_are_those_of_the_joined_texts() {
    for name in ["wordpiece", "lower_case", "basic", "unigram"] {
        let tokenizer = load(name);
        let mut encoder = tokenizer.encoder();
        for (first, second, _) in pairs() {
            let pair = encoder.encode_pair(&first, &second, 512).unwrap();
            let alone = [&first, &second].map(|text| encoder.encode(text, 512).unwrap());
            assert_eq!(pair.encoding.text, format!("{}\n{}", alone[0].encoding.text, alone[1].encoding.text));
            let starts = [&alone[0].encoding.text, &first].map(|text| text.chars().count() as u32 + 1);
            let words = alone[0].encoding.word_ids.iter().flatten().max().map_or(0, |last| last + 1);
            let shift = |(start, end): (u32, u32), by: u32| (start + by, end + by);
            // Special tokens that are not in the text cover nothing.
            let covers = |encoding: &Encoding, start: [u32; 2], word: i32| -> Vec<_> {
                (0..encoding.tokens.len())
                    .filter(|&at| encoding.original_offsets[at] != (0, 0) || encoding.word_ids[at].is_some())
                    .map(|at| {
                        let offsets = shift(encoding.offsets[at], start[0]);
                        let original = shift(encoding.original_offsets[at], start[1]);
                        (encoding.input_ids[at], encoding.word_ids[at].map(|id| id + word), offsets, original)
                    })
                    .collect()
            };
            let expected =
                [covers(&alone[0].encoding, [0, 0], 0), covers(&alone[1].encoding, starts, words)].concat();
            assert_eq!(covers(&pair.encoding, [0, 0], 0), expected, "{name}: {first:?} {second:?}");
        }
    }
}

#[test]
fn the_first_text_of_a_pair_is_cut_when_nothing_of_the_second_is_left() {
    let (title, body) = ("東京都庁で展望室の夜間開放が始まる", "来月から");
    for (name, special) in [("wordpiece", 3), ("unigram", 4)] {
        let tokenizer = load(name);
        let mut encoder = tokenizer.encoder();
        let alone = encoder.encode(title, 512).unwrap();
        let pieces = alone.encoding.input_ids.len() - 2;
        // With room for just the first text, transformers gives the same ids; with less it raises an error.
        for room in [pieces, pieces - 1, 1] {
            let pair = encoder.encode_pair(title, body, room + special).unwrap();
            assert_eq!(pair.encoding.input_ids.len(), room + special);
            assert_eq!(pair.encoding.input_ids[..=room], alone.encoding.input_ids[..=room]);
            assert_eq!((pair.truncated, pair.first_truncated), (true, room < pieces));
        }
        let error = encoder.encode_pair(title, body, special).unwrap_err().to_string();
        assert!(error.contains(&format!("expected at least {} ({special} special", special + 1)), "{error}");
    }
}

#[test]
fn word_pieces_match_transformers() {
    assert_same_ids("wordpiece");
}

#[test]
fn characters_match_transformers() {
    assert_same_ids("character");
}

#[test]
fn lower_case_with_exceptions_and_added_tokens_matches_transformers() {
    assert_same_ids("lower_case");
}

#[test]
fn basic_words_match_transformers() {
    assert_same_ids("basic");
    assert_same_ids("basic_character");
}

#[test]
fn a_tokenizer_json_matches_transformers() {
    assert_same_ids("unigram");
}

#[test]
fn word_pieces_with_unidic_lite_match_transformers() {
    if !installed(&MecabDictionary::UnidicLite).join("dicdir/sys.dic").is_file() {
        return tell("SKIPPED: run make setup DICTIONARY=unidic-lite");
    }
    assert_same_ids("unidic_lite");
}

#[test]
fn settings_are_listed_by_their_keys() {
    let told = |name: &str| -> Vec<String> {
        load(name).settings().into_iter().map(|(key, value)| format!("{key} = {value}")).collect()
    };
    let special = |rest: &[&str]| -> Vec<String> {
        let own = [
            "unk_token = [UNK]",
            "sep_token = [SEP]",
            "pad_token = [PAD]",
            "cls_token = [CLS]",
            "mask_token = [MASK]",
        ];
        rest.iter().chain(&own).map(|&line| line.to_owned()).collect()
    };
    assert_eq!(
        told("wordpiece"),
        special(&[
            "word_tokenizer_type = mecab",
            "mecab_dic = ipadic",
            "normalize_text = true",
            "subword_tokenizer_type = wordpiece",
            "do_lower_case = false",
        ])
    );
    assert_eq!(
        told("basic"),
        special(&[
            "word_tokenizer_type = basic",
            "subword_tokenizer_type = wordpiece",
            "do_lower_case = true",
            "never_split = iPHONE A&B (税込)",
        ])
    );
    assert_eq!(told("unigram"), ["model = Unigram"]);
}

/// A copy of a fixture's tokenizer, with other settings.
fn with_settings(name: &str, settings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(fixture(name).join("vocab.txt"), folder.path().join("vocab.txt")).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    folder
}

#[test]
fn a_dictionary_may_be_a_folder() {
    let (text, tokenizer) = ("人気俳優が語る「失敗から学んだ三つのこと」", load("wordpiece"));
    let expected = tokenizer.encode(text, 512).unwrap();
    let option = format!("-d '{}' -r /dev/null", ipadic().display());
    let mecab = serde_json::json!({"mecab_dic": null, "mecab_option": option});
    let named = serde_json::json!({"word_tokenizer_type": "mecab", "mecab_kwargs": mecab});
    let folder = with_settings("wordpiece", &named.to_string());
    let tokenizer = Tokenizer::load(folder.path(), &dictionaries(), None).unwrap();
    assert_eq!(tokenizer.encode(text, 512).unwrap(), expected);
    assert!(tokenizer.describe().contains(&format!("MeCab with {}", ipadic().display())));

    let folder = with_settings("wordpiece", r#"{"word_tokenizer_type": "mecab"}"#);
    let configured: MecabDictionary = ipadic().to_str().unwrap().parse().unwrap();
    let tokenizer = Tokenizer::load(folder.path(), &dictionaries(), Some(&configured)).unwrap();
    assert_eq!(tokenizer.encode(text, 512).unwrap(), expected);
}

#[test]
fn normalisation_can_be_switched_off() {
    let mecab = r#"{"mecab_dic": "ipadic", "normalize_text": false}"#;
    let settings = format!(r#"{{"word_tokenizer_type": "mecab", "mecab_kwargs": {mecab}}}"#);
    let folder = with_settings("wordpiece", &settings);
    let tokenizer = Tokenizer::load(folder.path(), &dictionaries(), None).unwrap();
    let encoding = tokenizer.encode("㍿ｶﾞ", 512).unwrap();
    assert_eq!(
        (encoding.encoding.text.as_str(), &encoding.encoding.offsets),
        ("㍿ｶﾞ", &encoding.encoding.original_offsets)
    );
}

/// The part of `text` that a token covers.
fn part(text: &str, (start, end): (u32, u32)) -> String {
    text.chars().skip(start as usize).take((end - start) as usize).collect()
}

#[test]
fn original_offsets_point_at_the_text_as_given() {
    let original = |name: &str, text: &str| -> Vec<(String, String)> {
        let encoding = load(name).encode(text, 512).unwrap();
        let pieces = encoding.encoding.tokens.into_iter().zip(encoding.encoding.original_offsets);
        let inner = pieces.skip(1).take(encoding.encoding.input_ids.len() - 2);
        inner.map(|(token, range)| (token, part(text, range))).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|&(token, written)| (token.to_owned(), written.to_owned())).collect()
    };
    // One character becomes four, two become one, one becomes one; white space before [MASK] is dropped.
    assert_eq!(
        original("character", "㍿ﾊﾟＢ  か\u{3099}"),
        pairs(&[
            ("株", "㍿"),
            ("式", "㍿"),
            ("会", "㍿"),
            ("社", "㍿"),
            ("パ", "ﾊﾟ"),
            ("b", "Ｂ"),
            ("が", "か\u{3099}")
        ])
    );
    assert_eq!(
        original("lower_case", "㌔　[MASK]　東京都Ａ"),
        pairs(&[("キ", "㌔"), ("##ロ", "㌔"), ("[MASK]", "[MASK]"), ("東京都", "東京都"), ("a", "Ａ")])
    );
    // Lower-casing gives İ a second character, an accent, which is dropped.
    assert_eq!(
        original("basic", "İ\u{200b}e\u{301}?"),
        pairs(&[("i", "İ"), ("##e", "e\u{301}"), ("?", "?")])
    );
}

#[test]
fn original_offsets_are_ordered_and_normalise_to_the_text() {
    for name in ["wordpiece", "character", "lower_case", "basic", "basic_character"] {
        let (tokenizer, by_mecab) = (load(name), !name.starts_with("basic"));
        let mut encoder = tokenizer.encoder();
        for original in texts() {
            let encoding = encoder.encode(&original, 512).unwrap();
            let Encoding { text, offsets, original_offsets, word_ids, .. } = &encoding.encoding;
            assert_eq!((offsets.len(), word_ids.len()), (original_offsets.len(), original_offsets.len()));
            let length = original.chars().count() as u32;
            let ranges = offsets.iter().zip(original_offsets);
            let mut last = (0, 0);
            for (&range, &from) in ranges.take(offsets.len() - 1).skip(1) {
                assert!(
                    last.0 <= from.0 && last.1 <= from.1 && from.0 < from.1 && from.1 <= length,
                    "{original:?}"
                );
                last = from;
                // Apart from white space around [MASK], MeCab's text is the original's NFKC.
                if by_mecab {
                    let normalised: String = part(&original, from).nfkc().collect();
                    assert!(normalised.contains(&part(text, range)), "{original:?}: {normalised:?}");
                }
            }
            if *text == original {
                assert_eq!(offsets, original_offsets, "{original:?}");
            }
        }
    }
}

/// Every token but the unknown one equals the text at its offsets.
#[test]
fn offsets_point_at_the_tokens() {
    let tokenizer = load("wordpiece");
    for text in texts() {
        let Encoding { text, input_ids, tokens, word_ids, offsets, .. } =
            tokenizer.encode(&text, 512).unwrap().encoding;
        let characters: Vec<char> = text.chars().collect();
        let mut before = (0, None);
        for (at, &id) in input_ids.iter().enumerate().take(input_ids.len() - 1).skip(1) {
            let (start, end) = offsets[at];
            assert!(before.0 <= start && start < end, "{text:?}: offsets {:?}", offsets);
            let covered: String = characters[start as usize..end as usize].iter().collect();
            if Some(id) != tokenizer.unknown_id() {
                let piece = tokens[at].strip_prefix("##").filter(|_| word_ids[at] == before.1);
                assert_eq!(piece.unwrap_or(&tokens[at]), covered, "{text:?}");
            }
            before = (end, word_ids[at]);
        }
    }
}

/// 東京都 is an added token here; [MASK] is a special token that drops the white space around it.
#[test]
fn added_and_special_tokens_in_the_text_keep_their_place() {
    let tokenizer = load("lower_case");
    let encoding = tokenizer.encode("東京都と [MASK] A", 512).unwrap();
    assert_eq!(encoding.encoding.text, "東京都と[MASK]A");
    assert_eq!(encoding.encoding.tokens, ["[CLS]", "東京都", "と", "[MASK]", "a", "[SEP]"]);
    assert_eq!(encoding.encoding.word_ids, [None, Some(0), Some(1), None, Some(2), None]);
    assert_eq!(encoding.encoding.offsets, [(0, 0), (0, 3), (3, 4), (4, 10), (10, 11), (0, 0)]);
}

#[test]
fn truncation_keeps_the_beginning_and_the_separator() {
    let tokenizer = load("wordpiece");
    let text = "東京都庁で展望室の夜間開放が始まる";
    let (whole, cut) = (tokenizer.encode(text, 512).unwrap(), tokenizer.encode(text, 6).unwrap());
    assert!(!whole.truncated && cut.truncated);
    assert_eq!(cut.encoding.input_ids[..5], whole.encoding.input_ids[..5]);
    assert_eq!(cut.encoding.tokens[5], "[SEP]");
    assert_eq!(cut.encoding.text, whole.encoding.text);
    let fits = tokenizer.encode(text, whole.encoding.input_ids.len()).unwrap();
    assert_eq!(fits, whole);
    assert!(tokenizer.encode(text, 2).unwrap_err().to_string().contains("max_length is 2"));
}

#[test]
fn the_converted_dictionary_is_made_once_and_again_when_damaged() {
    let cache = tempfile::tempdir().unwrap();
    let dictionaries = Dictionaries::new(cache.path()).with(MecabDictionary::Ipadic, ipadic());
    let load = || Tokenizer::load(&fixture("wordpiece"), &dictionaries, None).unwrap();
    let copy =
        || std::fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let ids = |tokenizer: Tokenizer| tokenizer.encode("東京都庁で", 512).unwrap().encoding.input_ids;

    let first = ids(load());
    let [file] = copy().try_into().unwrap();
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(ids(load()), first);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written, "converted twice");

    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(ids(load()), first);
    assert_ne!(std::fs::read(&file).unwrap(), bytes, "the damaged copy was kept");
}

#[test]
fn a_dictionary_whose_copy_cannot_be_stored_is_used_and_said() {
    static TOLD: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
    let place = tempfile::tempdir().unwrap();
    // A file where the folder of copies would be made; permissions do not stop a superuser.
    let cache = place.path().join("cache");
    std::fs::write(&cache, "").unwrap();
    let dictionaries = Dictionaries::new(&cache)
        .with(MecabDictionary::Ipadic, ipadic())
        .on_unsaved(|note| TOLD.lock().unwrap().push(note.to_string()));
    let tokenizer = Tokenizer::load(&fixture("wordpiece"), &dictionaries, None).unwrap();
    for (text, expected) in texts().iter().zip(expected_ids("wordpiece")) {
        assert_eq!(tokenizer.encode(text, 512).unwrap().encoding.input_ids, expected, "{text:?}");
    }
    let told = TOLD.lock().unwrap();
    let [note] = &told[..] else { panic!("{told:?}") };
    let copy = cache.join("ipadic-");
    assert!(note.starts_with(&copy.display().to_string()) && note.contains("cannot be written"), "{note}");
    assert!(note.ends_with("until then the MeCab dictionary is converted anew each time"), "{note}");
}

#[test]
fn a_text_of_several_parts_has_the_words_of_its_repetitions() {
    let tokenizer = load("wordpiece");
    let sentence = "東京都庁で展望室の夜間開放が始まる。";
    let once = tokenizer.encode(sentence, usize::MAX).unwrap();
    let often = tokenizer.encode(&sentence.repeat(5000), usize::MAX).unwrap();
    let (once, often) = (&once.encoding.input_ids, &often.encoding.input_ids);
    assert_eq!(often[1..often.len() - 1], once[1..once.len() - 1].repeat(5000));
}

#[test]
fn a_learned_vocabulary_is_the_same_twice_and_loads() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let size = VocabularySize { pieces: 2_000, min_frequency: 2, alphabet: 400 };
    let mut texts = texts();
    for folder in &folders {
        texts.reverse();
        learn_vocabulary(&texts, &dictionaries(), &MecabDictionary::Ipadic, &size, folder.path()).unwrap();
    }
    let [first, second] =
        folders.each_ref().map(|folder| std::fs::read(folder.path().join("vocab.txt")).unwrap());
    assert_eq!(first, second);

    let tokenizer = Tokenizer::load(folders[0].path(), &dictionaries(), None).unwrap();
    assert!(first.starts_with(b"[PAD]\n"));
    let encoding = tokenizer.encode("東京都", 128).unwrap();
    assert!(
        !encoding.encoding.input_ids.contains(&tokenizer.unknown_id().unwrap()),
        "{:?}",
        encoding.encoding.tokens
    );
}

#[test]
fn the_files_for_transformers_are_the_same_tokenizer() {
    for name in ["wordpiece", "character", "basic", "basic_character", "lower_case", "unigram"] {
        let folder = tempfile::tempdir().unwrap();
        let pad = i64::from(name == "unigram");
        write_for_transformers(&fixture(name), folder.path(), 40, pad).unwrap();
        let tokenizer = Tokenizer::load(folder.path(), &dictionaries(), None).unwrap();
        assert_eq!(tokenizer.vocabulary_size(), load(name).vocabulary_size(), "{name}");
        let mut encoder = tokenizer.encoder();
        for (text, expected) in texts().iter().zip(expected_ids(name)) {
            assert_eq!(encoder.encode(text, 512).unwrap().encoding.input_ids, expected, "{name}: {text:?}");
        }
        let settings = std::fs::read_to_string(folder.path().join("tokenizer_config.json")).unwrap();
        let settings: serde_json::Value = serde_json::from_str(&settings).unwrap();
        let class = if name == "unigram" { "PreTrainedTokenizerFast" } else { "BertJapaneseTokenizer" };
        assert_eq!(
            (&settings["tokenizer_class"], &settings["model_max_length"]),
            (&class.into(), &40.into())
        );
        // Every special token has its id there.
        for role in ["pad_token", "cls_token", "sep_token", "unk_token"] {
            let tokens = settings["added_tokens_decoder"].as_object().unwrap();
            let is_named = |token: &serde_json::Value| token["content"] == settings[role];
            assert!(settings[role].is_string() && tokens.values().any(is_named), "{name}: {role}");
        }
        // Written again, the files stay the same.
        let again = tempfile::tempdir().unwrap();
        write_for_transformers(folder.path(), again.path(), 40, pad).unwrap();
        let files = |folder: &Path| -> Vec<(std::ffi::OsString, Vec<u8>)> {
            let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
            let mut files: Vec<_> =
                entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect();
            files.sort();
            files
        };
        assert_eq!(files(again.path()), files(folder.path()), "{name}");
    }
}

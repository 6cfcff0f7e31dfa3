//! Trimmed vocabularies of every tokenizer class, against the ids that Python computed with the whole ones:
//! `fixtures/*/expected_ids.txt` of `BertJapaneseTokenizer`, and `fixtures/sentencepiece/*.txt` of the classes with a
//! SentencePiece model. `trim.rs` has the other forms of a tokenizer.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::tell;
use midashi_tokenizer::{
    Dictionaries, Encoding, KeptIds, MecabDictionary, Requirements, Tokenizer, Wanted, write_for_transformers,
};
use serde_json::Value;
use tempfile::TempDir;

/// Word and subword tokenizers of `BertJapaneseTokenizer`: MeCab with WordPiece or characters, lower case with added tokens,
/// basic words with WordPiece or characters, UniDic.
const JAPANESE: [&str; 6] =
    ["wordpiece", "character", "lower_case", "basic", "basic_character", "unidic_lite"];

/// Pieces of scripts that no text of the fixtures has. Each vocabulary gets them: a `vocab.txt` behind the lines of special
/// tokens, a SentencePiece model at its end.
const FOREIGN: [&str; 5] = ["සිංහල", "##හල", "ස", "ພາສາລາວ", "##ລາວ"];
const BEFORE_FOREIGN: usize = 10;

/// A class's tokenizer with its folder, and texts with the ids that Python gives them.
struct Case {
    name: String,
    folder: TempDir,
    texts: Vec<String>,
    /// Longest encoding, as Python was told.
    max_length: usize,
    expected: Vec<Vec<u32>>,
}

/// A case's tokenizer before and after its vocabulary was trimmed, in the case's folder.
struct Trimmed {
    case: Case,
    whole: Tokenizer,
    trimmed: Tokenizer,
    kept: KeptIds,
}

impl Trimmed {
    /// Trims to the texts that `is_in_corpus` by their place, by the ids that Python gives them.
    fn new(case: Case, is_in_corpus: impl Fn(usize) -> bool) -> Self {
        let whole = load(case.folder.path());
        let mut wanted = Wanted::default();
        let corpus = case.expected.iter().enumerate().filter(|(place, _)| is_in_corpus(*place));
        wanted.ids.extend(corpus.flat_map(|(_, ids)| ids));
        let kept = whole.trim(case.folder.path(), &wanted).unwrap();
        let trimmed = load(case.folder.path());
        Self { case, whole, trimmed, kept }
    }

    fn new_ids<'a>(&self, ids: impl IntoIterator<Item = &'a u32>) -> Option<Vec<u32>> {
        ids.into_iter().map(|id| self.kept.new_id(*id)).collect()
    }

    /// Asserts that the texts that `is_compared` by their place are encoded as before, and as Python does.
    fn assert_unchanged(&self, is_compared: impl Fn(usize) -> bool) {
        let Case { name, texts, max_length, expected, .. } = &self.case;
        assert_eq!(texts.len(), expected.len(), "{name}");
        let mut compared = 0;
        for (place, (text, expected)) in texts.iter().zip(expected).enumerate() {
            if !is_compared(place) {
                continue;
            }
            let encode = |tokenizer: &Tokenizer| tokenizer.encode(text, *max_length).unwrap().encoding;
            let (before, after) = (encode(&self.whole), encode(&self.trimmed));
            assert_eq!(Some(ids(&after)), self.new_ids(expected), "{name}: {text:?} {:?}", after.tokens);
            assert_eq!(Encoding { input_ids: before.input_ids.clone(), ..after }, before, "{name}: {text:?}");
            compared += 1;
        }
        assert!(compared > 20, "{name}: {compared} texts were compared");
    }
}

fn ids(encoding: &Encoding) -> Vec<u32> {
    encoding.input_ids.iter().map(|id| id.cast_unsigned()).collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(fixture(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn texts(name: &str) -> Vec<String> {
    read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(line: &str) -> Vec<u32> {
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn installed(dictionary: &MecabDictionary) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache").join(dictionary.package().unwrap())
}

fn dictionaries() -> Dictionaries {
    let [ipadic, unidic_lite] =
        [MecabDictionary::Ipadic, MecabDictionary::UnidicLite].map(|it| installed(&it));
    Dictionaries::new(env!("CARGO_TARGET_TMPDIR"))
        .with(MecabDictionary::Ipadic, ipadic)
        .with(MecabDictionary::UnidicLite, unidic_lite)
}

fn load(folder: &Path) -> Tokenizer {
    Tokenizer::load(folder, &dictionaries(), None).unwrap()
}

/// The files in `checkpoint` as `tokenize` copies them.
fn copied(checkpoint: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let requirements = Requirements::of(checkpoint, None).unwrap();
    requirements.copy_files(folder.path(), &dictionaries()).unwrap();
    folder
}

/// `BertJapaneseTokenizer` by its settings.
fn japanese() -> Vec<Case> {
    let is_runnable = |name: &&&str| {
        let is_installed = **name != "unidic_lite" || installed(&MecabDictionary::UnidicLite).is_dir();
        if !is_installed {
            tell(&format!("SKIPPED: {name} needs unidic_lite; run make setup DICTIONARY=unidic-lite"));
        }
        is_installed
    };
    let shift = |id: u32| if (id as usize) < BEFORE_FOREIGN { id } else { id + FOREIGN.len() as u32 };
    let case = |name: &&str| {
        let folder = tempfile::tempdir().unwrap();
        let settings = "tokenizer_config.json";
        fs::copy(fixture(name).join(settings), folder.path().join(settings)).unwrap();
        let vocabulary = read(&format!("{name}/vocab.txt"));
        let mut lines: Vec<&str> = vocabulary.lines().collect();
        lines.splice(BEFORE_FOREIGN..BEFORE_FOREIGN, FOREIGN);
        fs::write(folder.path().join("vocab.txt"), lines.join("\n") + "\n").unwrap();
        let expected = read(&format!("{name}/expected_ids.txt"));
        let expected = expected.lines().map(|line| numbers(line).into_iter().map(shift).collect()).collect();
        let folder = copied(folder.path());
        Case { name: (*name).to_owned(), folder, texts: texts("texts.jsonl"), max_length: 512, expected }
    };
    JAPANESE.iter().filter(is_runnable).map(case).collect()
}

/// The classes with a SentencePiece model: T5, XLM-RoBERTa, mLUKE, ALBERT, DeBERTa, Llama, LINE.
fn sentencepiece() -> Vec<Case> {
    let cases: serde_json::Map<String, Value> =
        serde_json::from_str(&read("sentencepiece/cases.json")).unwrap();
    let texts = texts("sentencepiece/hard.jsonl");
    let is_installed = installed(&MecabDictionary::UnidicLite).is_dir();
    if !is_installed {
        tell("SKIPPED: line needs unidic_lite; run make setup DICTIONARY=unidic-lite");
    }
    let case = |(name, case): (String, Value)| {
        let folder = tempfile::tempdir().unwrap();
        let model = fixture("sentencepiece").join(format!("{}.model", case["model"].as_str().unwrap()));
        let mut bytes = fs::read(model).unwrap();
        let file = folder.path().join(case["file"].as_str().unwrap());
        fs::write(&file, &bytes).unwrap();
        fs::write(folder.path().join("tokenizer_config.json"), case["settings"].to_string()).unwrap();
        let published = load(folder.path());
        bytes.extend(FOREIGN.iter().flat_map(|text| piece(text)));
        fs::write(&file, bytes).unwrap();
        let folder = copied(folder.path());
        let extended = load(folder.path());
        // Added tokens are behind the pieces and have moved.
        let first = (0..).find(|&id| extended.token(id) != published.token(id)).unwrap();
        let shift = |id: u32| if id < first { id } else { id + FOREIGN.len() as u32 };
        // Behind the lines of the texts are those of pairs.
        let expected = read(&format!("sentencepiece/{name}.txt"));
        let expected = expected.lines().take(texts.len());
        let expected = expected.map(|line| numbers(line).into_iter().map(shift).collect()).collect();
        Case { name, folder, texts: texts.clone(), max_length: usize::MAX, expected }
    };
    cases.into_iter().filter(|(name, _)| name != "line" || is_installed).map(case).collect()
}

/// A piece as an entry of SentencePiece's `ModelProto`: field 1 is a message of the text, field 1, and the score, field 2.
/// The score is among those of the model: neither the best nor the worst, which are always kept.
fn piece(text: &str) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let text = text.as_bytes();
    let message = [&[0x0a, length(text)], text, &[0x15], &(-5.0_f32).to_le_bytes()].concat();
    [&[0x0a, length(&message)], &*message].concat()
}

fn cases() -> impl Iterator<Item = Case> {
    japanese().into_iter().chain(sentencepiece())
}

/// All cases, trimmed to all of their texts.
fn trimmed() -> &'static [Trimmed] {
    static ALL: OnceLock<Vec<Trimmed>> = OnceLock::new();
    ALL.get_or_init(|| cases().map(|case| Trimmed::new(case, |_| true)).collect())
}

/// Whether all characters are ASCII, kana, kanji or Japanese punctuation.
fn is_japanese(text: &str) -> bool {
    text.chars().all(|letter| {
        matches!(letter, ' '..='~' | '、'..='〟' | 'ぁ'..='ゖ' | 'ァ'..='ー' | '一'..='龠' | '！'..='～')
    })
}

#[test]
fn a_corpus_has_the_ids_that_python_gives_it_in_every_class() {
    assert!(trimmed().len() >= 14);
    trimmed().iter().for_each(|it| it.assert_unchanged(|_| true));
}

#[test]
fn japanese_texts_outside_of_the_corpus_are_unchanged_in_every_class() {
    for case in cases() {
        let half = Trimmed::new(case, |place| place % 2 == 0);
        half.assert_unchanged(|place| place % 2 == 1 && is_japanese(&half.case.texts[place]));
    }
}

#[test]
fn pieces_of_other_scripts_are_dropped_in_every_class() {
    for Trimmed { case, whole, trimmed, kept } in trimmed() {
        let (name, tokens) = (&case.name, 0..whole.vocabulary_size() as u32);
        let foreign: Vec<u32> =
            tokens.filter(|id| whole.token(*id).is_some_and(|it| FOREIGN.contains(&it.as_str()))).collect();
        assert_eq!(foreign.len(), FOREIGN.len(), "{name}");
        assert!(foreign.iter().all(|id| kept.new_id(*id).is_none()), "{name}");
        assert_eq!(trimmed.vocabulary_size(), kept.as_slice().len(), "{name}");
        for (new, &old) in (0..).zip(kept.as_slice()) {
            assert_eq!(trimmed.token(new), whole.token(old), "{name}: {old}");
        }
        assert_eq!(trimmed.special_tokens(), whole.special_tokens(), "{name}");
    }
}

#[test]
fn pairs_of_texts_are_unchanged_in_every_class() {
    for it in trimmed() {
        for pair in it.case.texts.chunks_exact(2).step_by(7) {
            let encode = |tokenizer: &Tokenizer| {
                tokenizer.encoder().encode_pair(&pair[0], &pair[1], 64).unwrap().encoding
            };
            let (before, after) = (encode(&it.whole), encode(&it.trimmed));
            assert_eq!(Some(ids(&after)), it.new_ids(&ids(&before)), "{}: {pair:?}", it.case.name);
            assert_eq!(after.token_type_ids, before.token_type_ids, "{}: {pair:?}", it.case.name);
        }
    }
}

#[test]
fn a_trimmed_class_is_written_for_transformers_and_read_again() {
    for Trimmed { case, trimmed, .. } in trimmed() {
        let target = tempfile::tempdir().unwrap();
        write_for_transformers(case.folder.path(), target.path(), 64, 0).unwrap();
        let again = load(target.path());
        assert_eq!(again.vocabulary_size(), trimmed.vocabulary_size(), "{}", case.name);
        for text in case.texts.iter().step_by(5) {
            let [one, other] = [trimmed, &again].map(|it| it.encode(text, 64).unwrap().encoding);
            assert_eq!(one, other, "{}: {text:?}", case.name);
        }
    }
}

//! Reading a dictionary of a few words that is compiled as MeCab does, whole and damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::CompiledDictionary;
use super::categories::{CATEGORY_NAME, CHARACTERS, Categories};
use super::entries::{Entries, HEADER, MAGIC, VERSION};
use super::matrix::Matrix;
use super::source::Source;
use crate::words::WordSplitter;

/// A word of the test dictionary: left id, right id, cost.
type Word = (&'static str, (u16, u16, i16));

const WORDS: [Word; 6] = [
    ("京都", (1, 1, 50)),
    ("東", (1, 1, 100)),
    ("東京", (1, 1, 10)),
    ("都", (1, 1, 10)),
    ("都", (1, 0, 30)),
    ("\"引用\"", (1, 1, 10)),
];
const UNKNOWN_WORDS: [Word; 3] = [("ALPHA", (1, 1, 500)), ("DEFAULT", (0, 0, 1000)), ("SPACE", (0, 0, 1000))];

/// A Darts double array, with each node at the first position where it fits.
fn double_array(words: &BTreeMap<&[u8], u32>) -> Vec<u8> {
    #[derive(Default)]
    struct Builder {
        units: BTreeMap<usize, (i32, u32)>,
        bases: BTreeSet<usize>,
    }
    impl Builder {
        fn node(&mut self, words: &BTreeMap<&[u8], u32>) -> i32 {
            let mut children = BTreeMap::<usize, BTreeMap<&[u8], u32>>::new();
            for (word, &value) in words {
                let (code, rest) =
                    word.split_first().map_or((0, &[][..]), |(&byte, rest)| (usize::from(byte) + 1, rest));
                children.entry(code).or_default().insert(rest, value);
            }
            let fits = |base: &usize| {
                !self.bases.contains(base)
                    && children.keys().all(|code| !self.units.contains_key(&(base + code)))
            };
            let base = (1..).find(fits).unwrap();
            self.bases.insert(base);
            for code in children.keys() {
                self.units.insert(base + code, (0, base as u32));
            }
            for (code, words) in &children {
                let value =
                    if *code == 0 { -(words.values().sum::<u32>() as i32) - 1 } else { self.node(words) };
                self.units.insert(base + code, (value, base as u32));
            }
            base as i32
        }
    }
    let mut builder = Builder::default();
    builder.units.insert(0, (0, 0));
    let root = builder.node(words);
    builder.units.insert(0, (root, 0));
    let last = *builder.units.keys().last().unwrap();
    (0..=last)
        .map(|unit| builder.units.get(&unit).copied().unwrap_or_default())
        .flat_map(|(base, check)| [base.to_le_bytes(), check.to_le_bytes()].concat())
        .collect()
}

/// A `.dic` file of words in byte order.
fn dictionary(words: &[Word]) -> Vec<u8> {
    let mut values = BTreeMap::<&[u8], u32>::new();
    for (token, (surface, _)) in words.iter().enumerate() {
        *values.entry(surface.as_bytes()).or_insert((token as u32) << 8) += 1;
    }
    dictionary_of(&values, words.len(), words)
}

/// A `.dic` file with these keys, `count` as the number of words in its header, and these words' tokens.
fn dictionary_of(keys: &BTreeMap<&[u8], u32>, count: usize, words: &[Word]) -> Vec<u8> {
    let array = double_array(keys);
    let tokens: Vec<u8> = words
        .iter()
        .flat_map(|(_, (left, right, cost))| {
            [&left.to_le_bytes()[..], &right.to_le_bytes(), &[0; 2], &cost.to_le_bytes(), &[0; 8]].concat()
        })
        .collect();
    let features = b"*\0";
    let parts = [array.len(), tokens.len(), features.len()].map(|length| length as u32);
    let length = HEADER as u32 + parts.iter().sum::<u32>();
    let header = [length ^ MAGIC, VERSION, 0, count as u32, 2, 2, parts[0], parts[1], parts[2], 0];
    let mut file: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    file.extend(b"utf8");
    file.resize(HEADER, 0);
    [file, array, tokens, features.to_vec()].concat()
}

/// Two ids on either side. The connection of right id 1 and left id 1 costs 5.
fn matrix() -> Vec<u8> {
    let header = [2u16, 2].into_iter().flat_map(u16::to_le_bytes);
    header.chain([0i16, 0, 0, 5].into_iter().flat_map(i16::to_le_bytes)).collect()
}

/// White space, Latin letters in groups, and all other characters one by one.
fn characters() -> Vec<u8> {
    const GROUP: u32 = 1 << 30;
    let mut file = 3u32.to_le_bytes().to_vec();
    for name in ["DEFAULT", "SPACE", "ALPHA"] {
        file.extend(name.bytes().chain(std::iter::repeat(0)).take(CATEGORY_NAME));
    }
    file.extend((0..CHARACTERS as u32).flat_map(|code| {
        let info = match char::from_u32(code) {
            Some(' ') => 1 << 1 | 1 << 18 | GROUP,
            Some('a'..='z') => 1 << 2 | 2 << 18 | GROUP,
            _ => 1,
        };
        info.to_le_bytes()
    }));
    file
}

fn compiled() -> CompiledDictionary {
    CompiledDictionary {
        folder: "test".into(),
        files: [dictionary(&WORDS), dictionary(&UNKNOWN_WORDS), matrix(), characters()],
    }
}

fn split(dictionary: vibrato::Dictionary, text: &str) -> Vec<String> {
    let words = vibrato::Tokenizer::new(dictionary).max_grouping_len(24).ignore_space(true).unwrap();
    let mut found = Vec::new();
    WordSplitter::mecab(&words).split(text, |word, _| {
        found.push(word.to_owned());
        true
    });
    found
}

#[test]
fn a_compiled_dictionary_becomes_words() {
    let words = |text| split(compiled().convert().unwrap(), text);
    assert_eq!(words("東京都"), ["東京", "都"]);
    assert_eq!(words("京都の東"), ["京都", "の", "東"]);
    assert_eq!(words("東 abc京都\"引用\""), ["東", "abc", "京都", "\"引用\""]);
    assert_eq!(words("  "), [] as [&str; 0]);
    assert_eq!(words("😀東"), ["😀", "東"]);
}

#[test]
fn words_are_written_last_first() {
    let [file, matrix] = [dictionary(&WORDS), matrix()].map(|bytes| bytes.leak());
    let source = |bytes| Source { file: "test".into(), bytes };
    let (file, matrix) = (source(file), source(matrix));
    let csv = Entries::new(&file, &Matrix::new(&matrix).unwrap()).unwrap().csv();
    assert_eq!(
        csv.lines().collect::<Vec<_>>(),
        [
            "\"\"\"引用\"\"\",1,1,10",
            "\"京都\",1,1,50",
            "\"東\",1,1,100",
            "\"東京\",1,1,10",
            "\"都\",1,0,30",
            "\"都\",1,1,10"
        ]
    );
}

#[test]
fn categories_and_costs_are_written_as_mecab_reads_them() {
    let files = compiled().files;
    let source = |i: usize| Source { file: "test".into(), bytes: &files[i] };
    let text = Categories::new(&source(3)).unwrap().text();
    let expected = "DEFAULT 0 0 0\nSPACE 0 1 0\nALPHA 0 1 0\n0x0000..0x001F DEFAULT\n0x0020..0x0020 SPACE\n\
                    0x0021..0x0060 DEFAULT\n0x0061..0x007A ALPHA\n0x007B..0xFFFE DEFAULT\n";
    assert_eq!(text, expected);
    let mut text = String::new();
    Matrix::new(&source(2)).unwrap().text().read_to_string(&mut text).unwrap();
    assert_eq!(text, "2 2\n1 1 5\n");
}

#[test]
fn an_error_names_file_place_and_both_sides() {
    let mut dictionary = compiled();
    dictionary.files[0][4] = 101;
    let message = dictionary.convert().err().unwrap().to_string();
    let expected = "test/sys.dic: byte 4: found version 101, expected version 102; \
                    unpack the dictionary's package again";
    assert_eq!(message, expected);
}

#[test]
fn words_that_share_tokens_or_are_longer_than_their_file_are_rejected() {
    let text = "a".repeat(600);
    let word: Word = ("", (1, 1, 1));
    let refusal = |keys: &BTreeMap<&[u8], u32>, words: &[Word]| {
        let mut compiled = compiled();
        let count: u32 = keys.values().map(|value| value & 0xff).sum();
        compiled.files[0] = dictionary_of(keys, count as usize, words);
        compiled.convert().err().unwrap().to_string()
    };
    let all_tokens = (1..=60).map(|length| (&text.as_bytes()[..length], 200)).collect();
    let message = refusal(&all_tokens, &[word; 200]);
    assert!(message.contains("sys.dic: words: found more than 200 words"), "{message}");

    let one_token =
        (1..=600).map(|length| (&text.as_bytes()[..length], (length as u32 - 1) << 8 | 1)).collect();
    let message = refusal(&one_token, &[word; 600]);
    assert!(message.contains("shorter together than the file"), "{message}");
}

/// Changes every byte of the small files and of the start of the large one, and truncates every file. Errors and other
/// words are fine; panics and endless loops are not.
#[test]
fn a_damaged_dictionary_does_no_harm() {
    let sound = compiled();
    for (index, file) in sound.files.iter().enumerate() {
        let changed = (0..file.len().min(1200)).flat_map(|at| [0x01, 0x80, 0xff].map(|bits| (at, bits)));
        // Reading 65,535 characters is slow, so fewer of their bytes are changed.
        let changed = changed.filter(|(at, bits)| index < 3 || *bits == 0xff && (*at < 110 || at % 16 == 3));
        for (at, bits) in changed {
            let mut damaged = compiled();
            damaged.files[index][at] ^= bits;
            if let Ok(dictionary) = damaged.convert() {
                split(dictionary, "東京 abc都京都の東");
            }
        }
        for length in
            [0, 1, 3, 4, 8, 40, HEADER, file.len() - 1].into_iter().filter(|&length| length < file.len())
        {
            let mut damaged = compiled();
            damaged.files[index].truncate(length);
            assert!(damaged.convert().is_err(), "{} cut to {length} bytes", CompiledDictionary::FILES[index]);
        }
    }
}

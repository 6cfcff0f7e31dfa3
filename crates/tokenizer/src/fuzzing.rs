//! The readers of a dictionary and of a tokenizer's settings for cargo-fuzz (`tests/fuzz`), and tests that run them on
//! damaged copies of its seeds.

use std::fs;
use std::path::Path;

use crate::aligned::Aligned;
use crate::dictionaries::Dictionaries;
use crate::dictionary::MecabDictionary;
use crate::error::Error;
use crate::mecab::packed::unpack;
use crate::requirements::Requirements;
use crate::sentencepiece::SentencePiece;
use crate::settings::JSON;
use crate::tokenizer::Tokenizer;

#[path = "../../../tests/fuzz/reader.rs"]
mod reader;

pub use reader::{Counting, Reader};

/// The four files of a compiled MeCab dictionary, packed (`mecab/packed.rs`). `char.bin` alone is a quarter of a megabyte
/// for any input. While Vibrato builds its table of characters, it takes three times four bytes for each character up to
/// the highest, U+10FFFF.
pub const MECAB: Reader = Reader {
    name: "mecab",
    bytes_per_byte: 64,
    bytes: 16 << 20,
    read: |input| {
        let Ok(dictionary) = unpack(input).convert() else { return false };
        // The settings are a tokenizer's.
        let Ok(words) = vibrato::Tokenizer::new(dictionary).max_grouping_len(24).ignore_space(true) else {
            return false;
        };
        let mut worker = words.new_worker();
        worker.reset_sentence("東京 abc都京都\"引用\"の東😀");
        worker.tokenize();
        (0..worker.num_tokens()).all(|token| !worker.token(token).surface().is_empty())
    },
};

/// `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json` and `vocab.txt`, separated by NUL; an empty file
/// is not written. Texts are encoded only if the settings need no MeCab dictionary. A number takes two bytes of JSON and,
/// where unknown keys are kept, 72 bytes of memory in vectors that double.
pub const SETTINGS: Reader = Reader {
    name: "settings",
    bytes_per_byte: 128,
    bytes: 1 << 16,
    read: |input| {
        with_folders(|folder, copy| write_settings(folder, input).is_ok() && read_settings(folder, copy))
    },
};

/// A SentencePiece model, with which a text is encoded. The smallest piece takes 5 bytes of the file, and 40 of memory as a
/// message, 24 as a piece, 24 in the map of ids, 24 for its spelling and 13 in the trie, most in vectors that double.
pub const SENTENCEPIECE: Reader = Reader {
    name: "sentencepiece",
    bytes_per_byte: 128,
    bytes: 1 << 18,
    read: |input| {
        let Ok(model) = SentencePiece::parse("fuzz.model".as_ref(), input) else { return false };
        let text = " ＩＴ、 株式会社に入社İ\u{301}か\u{3099}<title>東京都 ";
        let (normalised, pieces) = model.encode(Aligned::new(text));
        let (length, original) = (normalised.text().chars().count(), text.chars().count());
        pieces.iter().all(|piece| {
            let origin = normalised.origin(piece.start..piece.end);
            let is_within = piece.start <= piece.end && piece.end <= length;
            is_within && origin.start <= origin.end && origin.end <= original
        })
    },
};

/// A `tokenizer.json`, with which a text is encoded. A token takes five bytes of JSON, and 72 as a value of it, 24 for its spelling
/// in each of two maps and 40 and more for its entries there, in tables that double. A pattern may compile to some
/// megabytes.
pub const TOKENIZER_JSON: Reader = Reader {
    name: "tokenizer_json",
    bytes_per_byte: 512,
    bytes: 32 << 20,
    read: |input| {
        with_folders(|folder, _| {
            if fs::write(folder.join(JSON), input).is_err() {
                return false;
            }
            let Ok(tokenizer) = Tokenizer::load(folder, &Dictionaries::new(folder), None) else {
                return false;
            };
            tokenizer.vocabulary_size();
            let text = "<s>ＩＴ、 株式会社に入社İ\u{301}か\u{3099}[MASK]東京都 abc";
            tokenizer.encode(text, 16).is_ok_and(|encoded| encoded.encoding.len() <= 16)
        })
    },
};

/// Calls `read` with two empty folders, in memory if the system has such a file system.
fn with_folders(read: impl FnOnce(&Path, &Path) -> bool) -> bool {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    match (tempfile::tempdir_in(&parent), tempfile::tempdir_in(&parent)) {
        (Ok(folder), Ok(copy)) => read(folder.path(), copy.path()),
        _ => false,
    }
}

fn write_settings(folder: &Path, input: &[u8]) -> std::io::Result<()> {
    let names = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt"];
    let files = names.iter().zip(input.splitn(names.len(), |&byte| byte == 0));
    files.filter(|(_, file)| !file.is_empty()).try_for_each(|(name, file)| fs::write(folder.join(name), file))
}

fn read_settings(folder: &Path, copy: &Path) -> bool {
    let default = Some(&MecabDictionary::Ipadic);
    let Ok(requirements) = Requirements::of(folder, default) else { return false };
    // The copy must load as the original does.
    let dictionaries = Dictionaries::new(copy);
    if requirements.copy_files(copy, &dictionaries).is_err() {
        return false;
    }
    match Tokenizer::load(copy, &dictionaries, default) {
        Ok(tokenizer) => tokenizer.encode("[CLS]ＩＴ、 株式会社に入社İ\u{301}[MASK]東京都##都", 16).is_ok(),
        Err(error) => matches!(error, Error::DictionaryNotConfigured { .. }),
    }
}

#[cfg(test)]
mod tests {
    use super::reader::replay::replay;
    use super::*;

    #[global_allocator]
    static MEMORY: Counting = Counting;

    #[test]
    fn damaged_dictionaries_do_no_harm() {
        replay(&MECAB, 500);
    }

    #[test]
    fn damaged_settings_do_no_harm() {
        replay(&SETTINGS, 2_000);
    }

    #[test]
    fn damaged_tokenizer_files_do_no_harm() {
        replay(&TOKENIZER_JSON, 1_000);
    }

    #[test]
    fn damaged_sentencepiece_models_do_no_harm() {
        replay(&SENTENCEPIECE, 1_000);
    }

    #[test]
    fn long_lists_stay_within_the_bound() {
        const NULS: &str = "\0\0\0";
        const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
        // One more than the capacity of a vector that doubles.
        let length = (1 << 17) + 1;
        let numbers = vec!["0"; length].join(",");
        let pieces = "\n".repeat(length);
        for input in [
            format!(r#"{{"word_tokenizer_type": "mecab", "other": [{numbers}]}}{NULS}{VOCABULARY}"#),
            format!(r#"{{"word_tokenizer_type": "basic"}}{NULS}{VOCABULARY}{pieces}"#),
        ] {
            assert!(SETTINGS.run(input.as_bytes()));
        }
    }
}

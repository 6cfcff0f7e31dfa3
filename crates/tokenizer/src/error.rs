//! What can go wrong, said so that the reader knows which file to open and what to do.

use std::path::PathBuf;

use crate::MecabDictionary;

/// Why a tokenizer could not be loaded, learned or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}; check that it exists and is readable", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A file could not be written.
    #[error("{}: cannot be written: {source}; check the folder's permissions and free space", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A file is not what its format says.
    #[error("{}: {place}: found {found}, expected {expected}; {advice}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where in the file: a line, a byte, a key.
        place: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: String,
        /// What to do about it.
        advice: &'static str,
    },

    /// A setting that transformers knows and this crate does not.
    #[error(
        "{}: {setting} is {found}, which is not supported; supported: {supported}; {advice}",
        file.display()
    )]
    Unsupported {
        /// The settings file.
        file: PathBuf,
        /// The key, as the file spells it.
        setting: &'static str,
        /// Its value.
        found: String,
        /// The values that would have worked.
        supported: &'static str,
        /// What to do about it.
        advice: &'static str,
    },

    /// A folder holds no tokenizer.
    #[error(
        "{}: found neither tokenizer.json nor vocab.txt, expected one of them (vocab.txt beside tokenizer_config.json); copy the checkpoint's tokenizer files there",
        folder.display()
    )]
    NoTokenizer {
        /// The folder that was searched.
        folder: PathBuf,
    },

    /// The settings are BertJapaneseTokenizer's, which reads a vocabulary that is not there.
    #[error(
        "{}: is missing, expected the vocabulary that BertJapaneseTokenizer reads; copy it there from the checkpoint",
        file.display()
    )]
    NoVocabulary {
        /// Where it should be.
        file: PathBuf,
    },

    /// A vocabulary and a model's word embeddings do not belong together.
    #[error("{}: the tokenizer has {ids} ids, config.json says vocab_size {rows}, expected {expected}", folder.display())]
    Embeddings {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// How many ids the tokenizer has.
        ids: usize,
        /// How many rows the word embeddings have.
        rows: usize,
        /// How many there should be, and what to do.
        expected: &'static str,
    },

    /// The checkpoint names no MeCab dictionary and the caller gave no default.
    #[error(
        "{}: mecab_kwargs.mecab_dic is missing, so the MeCab dictionary is unknown (transformers 4 took ipadic, transformers 5 takes unidic_lite); name it there or configure a default dictionary",
        file.display()
    )]
    DictionaryNotNamed {
        /// The settings file.
        file: PathBuf,
    },

    /// No folder was given for the dictionary that the tokenizer needs.
    #[error(
        "the tokenizer needs the MeCab dictionary {dictionary}, but no folder was configured for it; configure where its PyPI package {package} is unpacked",
        package = dictionary.package().unwrap_or_default()
    )]
    DictionaryNotConfigured {
        /// The dictionary.
        dictionary: MecabDictionary,
    },

    /// The folder of a dictionary does not hold one.
    #[error("{}: found no sys.dic there or in its dicdir folder, expected the compiled MeCab dictionary {dictionary}; {advice}", folder.display(), advice = dictionary.advice(folder))]
    DictionaryNotInstalled {
        /// The dictionary.
        dictionary: MecabDictionary,
        /// The folder that was searched.
        folder: PathBuf,
    },

    /// Vibrato refused what was read from a MeCab dictionary.
    #[error("{}: the MeCab dictionary cannot be converted: {message}; unpack the dictionary's package again", folder.display())]
    Conversion {
        /// The dictionary's folder.
        folder: PathBuf,
        /// Vibrato's reason.
        message: String,
    },

    /// A special token is not in the vocabulary.
    #[error("{}: special token {token:?} ({role}) is not in the vocabulary, expected a line with it; name the right token in tokenizer_config.json", file.display())]
    SpecialToken {
        /// The vocabulary file.
        file: PathBuf,
        /// The key of tokenizer_config.json, such as `cls_token`.
        role: &'static str,
        /// The token.
        token: String,
    },

    /// There is no room for a single piece of text.
    #[error("max_length is {found}, expected at least {least} ({special} special tokens and one piece); raise it", least = special + 1)]
    MaxLength {
        /// The length asked for.
        found: usize,
        /// How many special tokens every text gets.
        special: usize,
    },

    /// The `tokenizers` library refused a file or a text.
    #[error("{}: {message}; check that the file is the one published with the checkpoint", file.display())]
    Json {
        /// The tokenizer.json.
        file: PathBuf,
        /// The library's reason.
        message: String,
    },

    /// The vocabulary to learn cannot hold what it must hold.
    #[error(
        "a vocabulary of {size} pieces was asked for, but special tokens and single characters alone are {needed}; raise the size or lower the alphabet limit"
    )]
    VocabularyTooSmall {
        /// The size asked for.
        size: usize,
        /// The least possible size.
        needed: usize,
    },
}

/// Short for a result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Reads a whole file, or says which one could not be read.
pub(crate) fn read(file: &std::path::Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|source| Error::Read { file: file.to_owned(), source })
}

/// Reads a whole UTF-8 file.
pub(crate) fn read_text(file: &std::path::Path) -> Result<String> {
    String::from_utf8(read(file)?).map_err(|error| Error::Malformed {
        file: file.to_owned(),
        place: format!("byte {}", error.utf8_error().valid_up_to()),
        found: "bytes that are not UTF-8".into(),
        expected: "UTF-8 text".into(),
        advice: "fetch the file again",
    })
}

/// Writes a whole file, or says which one could not be written.
pub(crate) fn write(file: &std::path::Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(file, bytes).map_err(|source| Error::Write { file: file.to_owned(), source })
}

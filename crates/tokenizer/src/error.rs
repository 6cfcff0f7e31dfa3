//! Errors. Each names the file, the place, what was found, what was expected and what to do.

use std::path::PathBuf;

use crate::dictionary::MecabDictionary;

/// Why a tokenizer could not be loaded, learned or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}; check that it exists and is readable", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file could not be written.
    #[error("{}: cannot be written: {source}; check the folder's permissions and free space", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// A file does not follow its format.
    #[error("{}: {place}: found {found}, expected {expected}; {advice}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where in the file: a line, a byte, a key.
        place: String,
        /// What was found there.
        found: String,
        /// What was expected there.
        expected: String,
        /// What to do about it.
        advice: &'static str,
    },

    /// A setting that transformers supports and this crate does not.
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
        /// The supported values.
        supported: &'static str,
        /// What to do about it.
        advice: &'static str,
    },

    /// A folder holds no tokenizer.
    #[error(
        "{}: found neither tokenizer.json nor vocab.txt nor a SentencePiece model (spiece.model, sentencepiece.bpe.model, spm.model, tokenizer.model), expected one of them (vocab.txt beside tokenizer_config.json); copy the checkpoint's tokenizer files there",
        folder.display()
    )]
    NoTokenizer {
        /// The folder that was searched.
        folder: PathBuf,
    },

    /// The SentencePiece model of a tokenizer class is missing.
    #[error("{}: is missing, expected the SentencePiece model that {class} reads; copy it there from the checkpoint", file.display())]
    NoModel {
        /// The expected path.
        file: PathBuf,
        /// The tokenizer class.
        class: &'static str,
    },

    /// The settings are for BertJapaneseTokenizer, but its vocabulary is missing.
    #[error(
        "{}: is missing, expected the vocabulary that BertJapaneseTokenizer reads; copy it there from the checkpoint",
        file.display()
    )]
    NoVocabulary {
        /// The expected path.
        file: PathBuf,
    },

    /// A vocabulary and a model's word embeddings do not belong together.
    #[error("{}: the tokenizer has {ids} ids, config.json has vocab_size {rows}, expected {expected}", folder.display())]
    Embeddings {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// Number of the tokenizer's ids.
        ids: usize,
        /// Number of rows of the word embeddings.
        rows: usize,
        /// The expected number of ids, and what to do.
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

    /// The tokenizer needs a dictionary for which no folder was given.
    #[error(
        "the tokenizer needs the MeCab dictionary {dictionary}, but no folder was configured for it; configure where its PyPI package {package} is unpacked",
        package = dictionary.package().unwrap_or_default()
    )]
    DictionaryNotConfigured {
        /// The dictionary.
        dictionary: MecabDictionary,
    },

    /// The folder of a dictionary does not hold it.
    #[error("{}: found no sys.dic there or in its dicdir folder, expected the compiled MeCab dictionary {dictionary}; {advice}", folder.display(), advice = dictionary.advice(folder))]
    DictionaryNotInstalled {
        /// The dictionary.
        dictionary: MecabDictionary,
        /// The folder that was searched.
        folder: PathBuf,
    },

    /// Vibrato rejected what was read from a MeCab dictionary.
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

    /// The maximum length leaves no room for a token besides the special ones.
    #[error("max_length is {found}, expected at least {least} ({special} special tokens and one piece); raise it", least = special + 1)]
    MaxLength {
        /// The requested length.
        found: usize,
        /// Number of special tokens that are added to the text.
        special: usize,
    },

    /// Windows have no room for more than the tokens that they share.
    #[error(
        "the stride is {stride}, but windows of {max_length} tokens, {special} of them special ones, have room for {}; expected a stride below that: lower tokenize.stride or raise tokenize.max_length",
        max_length.saturating_sub(*special)
    )]
    Stride {
        /// Tokens that windows share.
        stride: usize,
        /// Tokens of a window.
        max_length: usize,
        /// Special tokens among them.
        special: usize,
    },

    /// The `tokenizers` library rejected a file or a text.
    #[error("{}: {message}; check that the file is the one published with the checkpoint", file.display())]
    Json {
        /// The tokenizer.json.
        file: PathBuf,
        /// The library's reason.
        message: String,
    },

    /// The requested vocabulary is smaller than the special tokens and single characters.
    #[error(
        "a vocabulary of {size} pieces was requested, but special tokens and single characters alone are {needed}; raise the size or lower the alphabet limit"
    )]
    VocabularyTooSmall {
        /// The requested size.
        size: usize,
        /// The least possible size.
        needed: usize,
    },
}

/// The result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Opens a file. Only regular files are opened: a FIFO would wait for a writer, and a device may have no end. The null device
/// is read as the empty file that it stands for.
pub(crate) fn open(file: &std::path::Path) -> Result<std::fs::File> {
    let failed = |source| Error::Read { file: file.to_owned(), source };
    if !std::fs::metadata(file).map_err(failed)?.is_file() && file != std::path::Path::new("/dev/null") {
        return Err(failed(std::io::Error::other("it is not a regular file")));
    }
    std::fs::File::open(file).map_err(failed)
}

/// Reads a whole file. The error names the file.
pub(crate) fn read(file: &std::path::Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut open(file)?, &mut bytes)
        .map_err(|source| Error::Read { file: file.to_owned(), source })?;
    Ok(bytes)
}

/// Reads a whole UTF-8 file.
pub(crate) fn read_text(file: &std::path::Path) -> Result<String> {
    as_text(file, read(file)?)
}

/// The UTF-8 text that these bytes of a file are.
pub(crate) fn as_text(file: &std::path::Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| Error::Malformed {
        file: file.to_owned(),
        place: format!("byte {}", error.utf8_error().valid_up_to()),
        found: "bytes that are not UTF-8".into(),
        expected: "UTF-8 text".into(),
        advice: "fetch the file again",
    })
}

/// Writes a whole file. The error names the file.
pub(crate) fn write(file: &std::path::Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    std::fs::write(file, bytes).map_err(|source| Error::Write { file: file.to_owned(), source })
}

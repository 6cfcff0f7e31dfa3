//! Which tokenizer, made of what, and how long a text may be: all that is known before it is loaded, so
//! that a run that is up to date loads nothing.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use midashi_pipeline::artifact::{Corpus, Split};
use midashi_pipeline::{Config, atomic};
use midashi_tokenizer::{Dictionaries, MecabDictionary, Tokenizer, VocabularySize, learn_vocabulary};
use serde::{Deserialize, Serialize};

/// The files of a checkpoint that its tokenizer may read, as transformers names them.
const TOKENIZER_FILES: [&str; 5] =
    ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"];

/// MeCab dictionaries are unpacked to `<run.cache>/<package>`.
const DICTIONARIES: [MecabDictionary; 3] =
    [MecabDictionary::Ipadic, MecabDictionary::UnidicLite, MecabDictionary::Unidic];

/// What is going to be done.
#[derive(Debug)]
pub struct Plan {
    /// What the result depends on beside the inputs.
    pub settings: Settings,
    /// The tokenizer's files in the checkpoint; none when its vocabulary is learned.
    pub files: Vec<PathBuf>,
    /// Where the MeCab dictionary lies, if one is used.
    pub dictionary_folder: Option<PathBuf>,
    checkpoint: Option<PathBuf>,
    dictionaries: Dictionaries,
    default_dictionary: MecabDictionary,
}

/// What the result depends on beside the inputs.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// Longest input in tokens, special tokens included: what is configured, or less if the model has
    /// fewer positions.
    pub max_length: usize,
    /// The MeCab dictionary, if one is used.
    pub dictionary: Option<&'static str>,
    /// Size of the vocabulary that is learned.
    pub learned_vocabulary_size: Option<usize>,
}

impl Plan {
    /// Looks at the checkpoint's small files; without a checkpoint a vocabulary will be learned.
    ///
    /// # Errors
    /// When `model.dictionary` is no dictionary, or the checkpoint's `config.json` is none.
    pub fn new(config: &Config, checkpoint: Option<PathBuf>) -> Result<Self> {
        let default_dictionary = config.model.dictionary.parse().context("model.dictionary")?;
        let cache = &config.run.cache;
        let folder_of = |dictionary: MecabDictionary| cache.join(dictionary.package()).join("dicdir");
        let dictionaries = DICTIONARIES
            .into_iter()
            .fold(Dictionaries::new(cache.join("dictionaries")), |all, one| all.with(one, folder_of(one)));
        let scratch = &config.model.scratch;
        let (positions, files, dictionary, learned_vocabulary_size) = match &checkpoint {
            Some(folder) => {
                let dictionary = dictionary_of(folder, default_dictionary);
                (positions_of(folder)?, tokenizer_files(folder), dictionary, None)
            }
            None => (scratch.max_positions, vec![], Some(default_dictionary), Some(scratch.vocabulary_size)),
        };
        let settings = Settings {
            max_length: config.tokenize.max_length.min(positions),
            dictionary: dictionary.map(MecabDictionary::name),
            learned_vocabulary_size,
        };
        let dictionary_folder = dictionary.map(folder_of);
        Ok(Self { settings, files, dictionary_folder, checkpoint, dictionaries, default_dictionary })
    }

    /// Loads the checkpoint's tokenizer and copies its files to the folder `keep`, or learns one there.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded or learned, or `keep` cannot be written.
    pub fn make_tokenizer(&self, corpus: &Corpus, keep: &Path) -> Result<Tokenizer> {
        let load = |folder| Tokenizer::load(folder, &self.dictionaries, Some(self.default_dictionary));
        let Some(checkpoint) = &self.checkpoint else {
            atomic::write_folder(keep, |folder| self.learn(corpus, folder))?;
            return Ok(load(keep)?);
        };
        let tokenizer = load(checkpoint)?;
        atomic::write_folder(keep, |folder| copy_files(tokenizer.files(), folder))?;
        Ok(tokenizer)
    }

    /// Learns from the training split alone: what stands in the test titles must not be known.
    fn learn(&self, corpus: &Corpus, folder: &Path) -> Result<()> {
        let titles = corpus.articles.iter().filter(|article| article.split == Split::Train);
        let titles = titles.map(|article| &article.title);
        let pieces = self.settings.learned_vocabulary_size.unwrap_or_default();
        let size = vocabulary_size(pieces);
        learn_vocabulary(titles, &self.dictionaries, self.default_dictionary, &size, folder)
            .with_context(|| format!("cannot learn model.scratch.vocabulary_size = {pieces} pieces"))?;
        Ok(())
    }
}

/// A vocabulary that always holds its alphabet: a character takes up to two pieces, one for the start
/// of a word and one for inside.
fn vocabulary_size(pieces: usize) -> VocabularySize {
    const SPECIAL_TOKENS: usize = 5;
    let default = VocabularySize::default();
    let alphabet = default.alphabet.min(pieces.saturating_sub(SPECIAL_TOKENS) / 2);
    VocabularySize { pieces, alphabet, ..default }
}

fn copy_files(files: &[PathBuf], folder: &Path) -> Result<()> {
    for file in files {
        let name = file.file_name().unwrap_or_default();
        fs::copy(file, folder.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}

fn tokenizer_files(checkpoint: &Path) -> Vec<PathBuf> {
    TOKENIZER_FILES.iter().map(|name| checkpoint.join(name)).filter(|file| file.is_file()).collect()
}

/// `max_position_embeddings` of the checkpoint's `config.json`.
fn positions_of(checkpoint: &Path) -> Result<usize> {
    #[derive(Deserialize)]
    struct ModelConfig {
        max_position_embeddings: usize,
    }
    const LEAST: usize = 3;
    let path = checkpoint.join("config.json");
    let text = fs::read(&path).with_context(|| {
        format!("cannot read {}; expected the checkpoint's configuration", path.display())
    })?;
    let config: ModelConfig = serde_json::from_slice(&text).with_context(|| {
        format!("{}: expected the configuration of a BERT; fetch it again", path.display())
    })?;
    let positions = config.max_position_embeddings;
    ensure!(
        positions >= LEAST,
        "{}: max_position_embeddings is {positions}, expected at least {LEAST}",
        path.display()
    );
    Ok(positions)
}

/// The MeCab dictionary that the checkpoint's tokenizer will open. What is wrong with its settings, the
/// tokenizer says when it is loaded.
fn dictionary_of(checkpoint: &Path, default: MecabDictionary) -> Option<MecabDictionary> {
    #[derive(Deserialize)]
    struct TokenizerConfig {
        word_tokenizer_type: String,
        mecab_kwargs: Option<MecabSettings>,
    }
    #[derive(Deserialize)]
    struct MecabSettings {
        mecab_dic: Option<String>,
    }
    if !checkpoint.join("vocab.txt").is_file() {
        return None;
    }
    let text = fs::read(checkpoint.join("tokenizer_config.json")).ok()?;
    let config: TokenizerConfig = serde_json::from_slice(&text).ok()?;
    if config.word_tokenizer_type != "mecab" {
        return None;
    }
    match config.mecab_kwargs.and_then(|mecab| mecab.mecab_dic) {
        Some(name) => name.parse().ok(),
        None => Some(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn plan(set: &str, folder: Option<&Path>) -> Result<Plan, String> {
        let files = checkpoint(&[("pipeline.toml", "")]);
        let config = Config::load(&files.path().join("pipeline.toml"), set).unwrap();
        Plan::new(&config, folder.map(Path::to_owned)).map_err(|error| format!("{error:#}"))
    }

    const CONFIG: (&str, &str) = ("config.json", r#"{"max_position_embeddings": 64, "model_type": "bert"}"#);
    const VOCABULARY: (&str, &str) = ("vocab.txt", "[PAD]\n");

    #[test]
    fn a_text_is_no_longer_than_the_model_has_positions() {
        let folder = checkpoint(&[CONFIG]);
        assert_eq!(plan("", Some(folder.path())).unwrap().settings.max_length, 64);
        assert_eq!(plan("tokenize.max_length=32", Some(folder.path())).unwrap().settings.max_length, 32);
        assert_eq!(plan("model.scratch.max_positions=48", None).unwrap().settings.max_length, 48);
    }

    #[test]
    fn the_dictionary_is_the_one_that_the_checkpoint_names() {
        let dictionary = |settings: &str, set: &str| {
            let folder = checkpoint(&[CONFIG, VOCABULARY, ("tokenizer_config.json", settings)]);
            let plan = plan(set, Some(folder.path())).unwrap();
            (plan.settings.dictionary, plan.dictionary_folder)
        };
        let named = r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
        assert_eq!(dictionary(named, ""), (Some("unidic_lite"), Some("cache/unidic-lite/dicdir".into())));
        let unnamed = r#"{"word_tokenizer_type": "mecab"}"#;
        assert_eq!(dictionary(unnamed, ""), (Some("ipadic"), Some("cache/ipadic/dicdir".into())));
        let (by_configuration, _) = dictionary(unnamed, "model.dictionary=unidic");
        assert_eq!(by_configuration, Some("unidic"));
        assert_eq!(dictionary(r#"{"tokenizer_class": "BertTokenizer"}"#, ""), (None, None));
        assert!(plan("model.dictionary=jumandic", None).unwrap_err().contains("\"jumandic\""));
    }

    #[test]
    fn weights_are_no_input_of_the_tokenizer() {
        let folder = checkpoint(&[CONFIG, VOCABULARY, ("model.safetensors", "")]);
        assert_eq!(plan("", Some(folder.path())).unwrap().files, [folder.path().join("vocab.txt")]);
    }

    #[test]
    fn every_file_that_the_tokenizer_reads_is_an_input() {
        // A vocabulary of words, the smallest tokenizer.json there is.
        let words = r#"{"version": "1.0", "truncation": null, "padding": null,
            "added_tokens": [{"id": 1, "content": "[PAD]", "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false}],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"[UNK]": 0, "[PAD]": 1}, "unk_token": "[UNK]"}}"#;
        let folder = checkpoint(&[
            CONFIG,
            VOCABULARY,
            ("tokenizer.json", words),
            ("tokenizer_config.json", "{}"),
            ("special_tokens_map.json", "{}"),
            ("added_tokens.json", "{}"),
        ]);
        let plan = plan("", Some(folder.path())).unwrap();
        let keep = folder.path().join("kept");
        let corpus = Corpus { categories: vec![], articles: vec![] };
        let tokenizer = plan.make_tokenizer(&corpus, &keep).unwrap();
        let mut read = tokenizer.files().to_vec();
        let mut inputs = plan.files.clone();
        read.sort();
        inputs.sort();
        assert_eq!(read, inputs);
        assert_eq!(fs::read_to_string(keep.join("tokenizer.json")).unwrap(), words);
    }

    #[test]
    fn a_checkpoint_without_configuration_is_refused() {
        let message = plan("", Some(checkpoint(&[]).path())).unwrap_err();
        assert!(message.contains("config.json; expected the checkpoint's configuration"), "{message}");
        let message = plan("", Some(checkpoint(&[("config.json", "{}")]).path())).unwrap_err();
        assert!(message.contains("max_position_embeddings"), "{message}");
        let none = checkpoint(&[("config.json", r#"{"max_position_embeddings": 2}"#)]);
        let message = plan("", Some(none.path())).unwrap_err();
        assert!(message.contains("max_position_embeddings is 2, expected at least 3"), "{message}");
    }

    #[test]
    fn a_learned_vocabulary_always_holds_its_alphabet() {
        assert_eq!(vocabulary_size(2005).alphabet, 1000);
        assert_eq!(vocabulary_size(32_000), VocabularySize::default());
    }
}

//! The plan: the tokenizer's origin, its files and the maximum length. It is made before the tokenizer is loaded, so that an
//! up-to-date run loads nothing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use midashi_artifacts::{Corpus, Split, TokenizedText};
use midashi_config::{Config, LongTexts, TextChoice};
use midashi_encoder::EncoderConfig;
use midashi_stage::atomic;
use midashi_tokenizer::{
    Dictionaries, MecabDictionary, Requirements, Tokenizer, VocabularySize, Windowing, learn_vocabulary,
};
use serde::Serialize;

use crate::encode::parts;

/// The plan of a run.
#[derive(Debug)]
pub struct Plan {
    /// The settings that the output depends on, besides the inputs.
    pub settings: Settings,
    /// The folder of the MeCab dictionary's files, if one is used.
    pub dictionary_folder: Option<PathBuf>,
    origin: Origin,
    dictionaries: Dictionaries,
}

/// The origin of the tokenizer.
#[derive(Debug)]
enum Origin {
    /// A checkpoint's tokenizer.
    Checkpoint {
        folder: PathBuf,
        /// `config.json`, which decides the tokenizer's class where its own settings do not.
        config: PathBuf,
        requirements: Requirements,
        model: Box<EncoderConfig>,
    },
    /// A vocabulary of at most `pieces` pieces, learned from the training split with the words of `dictionary`.
    Learned { pieces: usize, dictionary: MecabDictionary },
}

/// The settings that the output depends on, besides the inputs.
#[derive(Debug, Serialize)]
pub struct Settings {
    /// The parts of an article that are read.
    pub text: TextChoice,
    /// The maximum length in tokens, special tokens included: the configured one, or the model's number of positions if that
    /// is smaller.
    pub max_length: usize,
    /// How longer texts are read.
    #[serde(skip_serializing_if = "LongTexts::is_truncate")]
    pub long_texts: LongTexts,
    /// Tokens that windows share.
    #[serde(skip_serializing_if = "is_zero")]
    pub stride: usize,
    /// The MeCab dictionary, if one is used.
    pub dictionary: Option<String>,
    /// Whether texts are already split into words.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pretokenized: bool,
    /// Size of the learned vocabulary, if one is learned.
    pub learned_vocabulary_size: Option<usize>,
    /// Whether the checkpoint's vocabulary is trimmed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trim_vocabulary: bool,
}

impl Plan {
    /// Reads the checkpoint's small files. Without a checkpoint, a vocabulary will be learned.
    ///
    /// # Errors
    /// When the checkpoint lacks a tokenizer or a valid `config.json`, or the MeCab dictionary is unknown or not installed.
    pub fn new(config: &Config, checkpoint: Option<PathBuf>) -> Result<Self> {
        let configured: MecabDictionary = config.model.dictionary.parse().context("model.dictionary")?;
        let (positions, learned_vocabulary_size, origin) = match checkpoint {
            Some(folder) => {
                let requirements = match config.tokenize.pretokenized {
                    true => Requirements::of_pretokenized(&folder)?,
                    false => Requirements::of(&folder, Some(&configured))?,
                };
                let model = EncoderConfig::read(&folder.join("config.json"))?;
                let positions = model.max_tokens();
                let config = folder.join("config.json");
                (positions, None, Origin::Checkpoint { folder, config, requirements, model: Box::new(model) })
            }
            None => {
                ensure!(
                    !config.tokenize.pretokenized,
                    "tokenize.pretokenized is true, but model.checkpoint is \"scratch\", whose vocabulary is learned \
                     from MeCab's words; expected a checkpoint with a tokenizer: set tokenize.pretokenized = false, \
                     or name one"
                );
                ensure!(
                    !config.model.trim_vocabulary,
                    "model.trim_vocabulary is true, but model.checkpoint is \"scratch\", whose vocabulary is learned \
                     from the corpus; expected a checkpoint with a vocabulary: set model.trim_vocabulary = false, or \
                     name one"
                );
                let (pieces, positions) =
                    (config.model.scratch.vocabulary_size, config.model.scratch.max_positions);
                (positions, Some(pieces), Origin::Learned { pieces, dictionary: configured })
            }
        };
        let settings = Settings {
            text: config.corpus.text,
            max_length: config.tokenize.max_length.min(positions),
            long_texts: config.tokenize.long_texts,
            stride: config.tokenize.stride,
            dictionary: origin.dictionary().map(MecabDictionary::to_string),
            pretokenized: config.tokenize.pretokenized,
            learned_vocabulary_size,
            trim_vocabulary: config.model.trim_vocabulary,
        };
        let dictionaries =
            Dictionaries::below(&config.run.cache).on_unsaved(|note| midashi_stage::errln!("  {note}"));
        let dictionary_folder = origin.dictionary().map(|name| dictionaries.folder(name)).transpose()?;
        Ok(Self { settings, dictionary_folder, origin, dictionaries })
    }

    /// The inputs of the tokenizer besides the corpus, each with the stage or target that makes it.
    pub fn inputs(&self) -> Vec<(&Path, &'static str)> {
        let (files, config) = match &self.origin {
            Origin::Checkpoint { requirements, config, .. } => (requirements.files.as_slice(), Some(config)),
            Origin::Learned { .. } => (&[][..], None),
        };
        let files = files.iter().chain(config).map(|file| (file.as_path(), "fetch"));
        files.chain(self.dictionary_folder.as_deref().map(|folder| (folder, "setup"))).collect()
    }

    /// Reads the corpus, with bodies only if they are selected.
    ///
    /// # Errors
    /// When `corpus.parquet` cannot be read, or bodies are selected and no article has one.
    pub fn read(&self, corpus: &Path) -> Result<Corpus> {
        if !self.settings.text.has_body() {
            return Ok(Corpus::read_without_bodies(corpus)?);
        }
        let read = Corpus::read(corpus)?;
        ensure!(
            read.articles.iter().any(|article| !article.body.is_empty()),
            "{}: no article has a body, but corpus.text asks for it; set corpus.text = \"title\", or \
             corpus.layout or corpus.columns.body so that ingest finds the bodies",
            corpus.display()
        );
        Ok(read)
    }

    /// Checks that the model has an embedding for every token type of the tokenizer, unless it has no token types at all:
    /// then only the separator tells the texts of a pair apart, and transformers ignores the token types too.
    ///
    /// # Errors
    /// When there are more token types than rows of the model's token type embeddings.
    pub fn check_token_types(&self, texts: &[TokenizedText]) -> Result<()> {
        let Origin::Checkpoint { folder, model, .. } = &self.origin else { return Ok(()) };
        let token_types = model.type_vocab_size;
        if token_types == 0 {
            return Ok(());
        }
        let largest = texts.iter().flat_map(|text| &text.encoding.token_type_ids).max().copied().unwrap_or(0);
        if usize::try_from(largest).is_ok_and(|largest| largest < token_types) {
            return Ok(());
        }
        bail!(
            "{}: type_vocab_size is {token_types}, but the tokenizer gives the body of a pair the token type \
             {largest}; expected at least {}; set corpus.text = \"title\" or \"body\", or take a checkpoint that \
             can tell two texts apart",
            folder.join("config.json").display(),
            largest + 1
        )
    }

    /// Checks what the tokenizer gave against the model: every id has a word embedding, and no text that is read whole is
    /// longer than the model reads.
    ///
    /// # Errors
    /// When an id or a length does not fit, with the text's id.
    pub fn check_ids(&self, texts: &[TokenizedText], tokenizer: &Tokenizer) -> Result<()> {
        let (rows, place) = match &self.origin {
            Origin::Checkpoint { folder, model, .. } => (model.vocab_size, folder.display().to_string()),
            Origin::Learned { .. } => (tokenizer.vocabulary_size(), "the learned vocabulary".to_owned()),
        };
        for text in texts {
            let is_wrong = |id: &i32| usize::try_from(*id).map_or(true, |id| id >= rows);
            if let Some(id) = text.encoding.input_ids.iter().copied().find(is_wrong) {
                // An id of 32 bits is stored with a sign.
                let id = id.cast_unsigned();
                bail!(
                    "{place}: the tokenizer gives text {} the id {id}; expected one below {rows}, the number of \
                     word embeddings; take tokenizer and config.json from the same checkpoint",
                    text.id
                );
            }
            let (tokens, longest) = (text.encoding.input_ids.len(), self.settings.max_length);
            ensure!(
                !self.settings.long_texts.is_truncate() || tokens <= longest,
                "{place}: the tokenizer gives text {} {tokens} tokens; expected at most {longest}: its files ask for \
                 padding or for more special tokens than that; take the checkpoint's own tokenizer",
                text.id
            );
        }
        Ok(())
    }

    /// How long texts are cut into windows by `tokenizer`; none if they are truncated.
    ///
    /// # Errors
    /// When the windows have no more room than the tokens that they share.
    pub fn windowing(&self, tokenizer: &Tokenizer) -> Result<Option<Windowing>> {
        let Settings { text, max_length, long_texts, stride, .. } = self.settings;
        if long_texts.is_truncate() {
            return Ok(None);
        }
        let windowing = Windowing { max_length, stride };
        tokenizer.check_windowing(windowing, text == TextChoice::TitleAndBody)?;
        Ok(Some(windowing))
    }

    /// The checkpoint's encoder; none if a vocabulary is learned.
    pub fn model(&self) -> Option<&EncoderConfig> {
        match &self.origin {
            Origin::Checkpoint { model, .. } => Some(model),
            Origin::Learned { .. } => None,
        }
    }

    /// Copies the files of the checkpoint's tokenizer into the existing folder `target`.
    ///
    /// # Errors
    /// When a file cannot be copied.
    pub fn copy_tokenizer(&self, target: &Path) -> Result<()> {
        match &self.origin {
            Origin::Checkpoint { requirements, .. } => {
                Ok(requirements.copy_files(target, &self.dictionaries)?)
            }
            Origin::Learned { .. } => Ok(()),
        }
    }

    /// Loads the tokenizer of an own folder.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded.
    pub fn load(&self, tokenizer: &Path) -> Result<Tokenizer> {
        // The copy says how texts are read, even where the checkpoint leaves it open.
        Ok(Tokenizer::load(tokenizer, &self.dictionaries, None)?)
    }

    /// Loads the checkpoint's tokenizer and copies its files to the folder `copy`, or learns a tokenizer there.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded or learned, or `copy` cannot be written.
    pub fn make_tokenizer(&self, corpus: &Corpus, copy: &Path) -> Result<Tokenizer> {
        match &self.origin {
            Origin::Checkpoint { folder, model, .. } => {
                atomic::write_folder(copy, |folder| self.copy_tokenizer(folder))?;
                let (tokenizer, embeddings) = (self.load(copy)?, model.vocab_size);
                let unused = tokenizer.check_embeddings(embeddings, folder)?;
                if unused > 0 && !self.settings.trim_vocabulary {
                    midashi_stage::outln!("  {unused} of the model's {embeddings} embeddings have no token");
                }
                Ok(tokenizer)
            }
            Origin::Learned { pieces, dictionary } => {
                // Only the training split is read, because test texts must not influence the vocabulary.
                let articles = corpus.articles.iter().filter(|article| article.split == Split::Train);
                let texts = articles.flat_map(|article| parts(article, self.settings.text));
                atomic::write_folder(copy, |folder| {
                    learn_vocabulary(texts, &self.dictionaries, dictionary, &vocabulary_size(*pieces), folder)
                        .map(drop)
                        .with_context(|| {
                            format!("cannot learn model.scratch.vocabulary_size = {pieces} pieces")
                        })
                })?;
                self.load(copy)
            }
        }
    }
}

impl Origin {
    fn dictionary(&self) -> Option<&MecabDictionary> {
        match self {
            Self::Checkpoint { requirements, .. } => requirements.dictionary.as_ref(),
            Self::Learned { dictionary, .. } => Some(dictionary),
        }
    }
}

fn is_zero(stride: &usize) -> bool {
    *stride == 0
}

/// Limits the alphabet to half of the pieces: a character needs up to two, one at the start of a word and one inside.
fn vocabulary_size(pieces: usize) -> VocabularySize {
    const SPECIAL_TOKENS: usize = 5;
    let default = VocabularySize::default();
    let alphabet = default.alphabet.min(pieces.saturating_sub(SPECIAL_TOKENS) / 2);
    VocabularySize { pieces, alphabet, ..default }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use midashi_artifacts::{CategoryId, Encoding};

    use super::*;

    fn checkpoint(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    /// A plan with the dictionaries of these packages installed.
    fn plan_with(packages: &[&str], set: &str, folder: Option<&Path>) -> Result<(Plan, PathBuf), String> {
        let files = checkpoint(&[("pipeline.toml", "")]);
        let cache = files.path().join("cache");
        for package in packages {
            let dicdir = cache.join(package).join("dicdir");
            fs::create_dir_all(&dicdir).unwrap();
            fs::write(dicdir.join("sys.dic"), "").unwrap();
        }
        let set = format!("run.cache={} {set}", cache.display());
        let config = Config::load(&files.path().join("pipeline.toml"), set.split_whitespace()).unwrap();
        let plan = Plan::new(&config, folder.map(Path::to_owned)).map_err(|error| format!("{error:#}"))?;
        Ok((plan, cache))
    }

    fn plan(set: &str, folder: Option<&Path>) -> Result<Plan, String> {
        plan_with(&["ipadic"], set, folder).map(|(plan, _)| plan)
    }

    /// A model with rows for one id.
    const CONFIG: (&str, &str) = (
        "config.json",
        r#"{"model_type": "bert", "vocab_size": 1, "hidden_size": 4, "num_hidden_layers": 1,
            "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 64}"#,
    );
    const VOCABULARY: (&str, &str) = ("vocab.txt", "[PAD]\n");
    const BASIC: &str = r#"{"tokenizer_class": "BertJapaneseTokenizer"}"#;
    /// A vocabulary of words, the smallest tokenizer.json.
    const WORDS: (&str, &str) = (
        "tokenizer.json",
        r#"{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}"#,
    );

    #[test]
    fn a_text_is_no_longer_than_the_model_has_positions() {
        let folder = checkpoint(&[CONFIG, WORDS]);
        assert_eq!(plan("", Some(folder.path())).unwrap().settings.max_length, 64);
        assert_eq!(plan("tokenize.max_length=32", Some(folder.path())).unwrap().settings.max_length, 32);
        assert_eq!(plan("model.scratch.max_positions=48", None).unwrap().settings.max_length, 48);
    }

    #[test]
    fn token_types_must_have_a_row() {
        let text = |types: &[i32]| TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Train,
            encoding: Encoding {
                input_ids: vec![0; types.len()],
                token_type_ids: types.to_vec(),
                ..Encoding::default()
            },
        };
        let folder = checkpoint(&[CONFIG, WORDS]);
        let two = plan("corpus.text=title+body", Some(folder.path())).unwrap();
        assert!(two.check_token_types(&[text(&[0, 0, 1]), text(&[])]).is_ok());
        let message = two.check_token_types(&[text(&[0, 2])]).unwrap_err().to_string();
        assert!(
            message.contains("config.json: type_vocab_size is 2") && message.contains("at least 3"),
            "{message}"
        );
    }

    #[test]
    fn the_dictionary_is_the_one_that_the_checkpoint_names() {
        let found = |settings: &str, set: &str| {
            let folder = checkpoint(&[CONFIG, VOCABULARY, WORDS, ("tokenizer_config.json", settings)]);
            let packages = ["ipadic", "unidic-lite", "unidic"];
            let (plan, cache) = plan_with(&packages, set, Some(folder.path())).unwrap();
            let place = plan.dictionary_folder.map(|place| place.strip_prefix(cache).unwrap().to_owned());
            (plan.settings.dictionary, place)
        };
        let dictionary = |name: &str| Some(name.to_owned());
        let named = r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
        assert_eq!(found(named, ""), (dictionary("unidic_lite"), Some("unidic-lite/dicdir".into())));
        let unnamed = r#"{"word_tokenizer_type": "mecab"}"#;
        assert_eq!(found(unnamed, ""), (dictionary("ipadic"), Some("ipadic/dicdir".into())));
        let (by_configuration, _) = found(unnamed, "model.dictionary=unidic");
        assert_eq!(by_configuration, dictionary("unidic"));
        assert_eq!(found(r#"{"tokenizer_class": "BertTokenizer"}"#, ""), (None, None));
        assert!(plan("model.dictionary=jumandic", None).unwrap_err().contains("\"jumandic\""));
    }

    #[test]
    fn a_dictionary_that_is_not_installed_is_reported_before_anything_is_read() {
        let settings = r#"{"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "unidic_lite"}}"#;
        let folder = checkpoint(&[CONFIG, VOCABULARY, ("tokenizer_config.json", settings)]);
        let message = plan("", Some(folder.path())).unwrap_err();
        assert!(message.contains("run `make setup DICTIONARY=unidic-lite`"), "{message}");
        let message = plan_with(&[], "", None).unwrap_err();
        assert!(message.contains("ipadic") && message.contains("run `make setup`"), "{message}");
    }

    #[test]
    fn broken_settings_are_reported() {
        let folder = checkpoint(&[CONFIG, VOCABULARY, ("tokenizer_config.json", "{")]);
        let message = plan("", Some(folder.path())).unwrap_err();
        assert!(message.contains("tokenizer_config.json: line 1"), "{message}");
    }

    #[test]
    fn weights_are_no_input_of_the_tokenizer() {
        let folder = checkpoint(&[CONFIG, WORDS, ("model.safetensors", "")]);
        let plan = plan("", Some(folder.path())).unwrap();
        // The class may come from the model's configuration.
        let inputs = ["tokenizer.json", "config.json"].map(|name| folder.path().join(name));
        assert_eq!(plan.inputs(), [(inputs[0].as_path(), "fetch"), (inputs[1].as_path(), "fetch")]);
    }

    #[test]
    fn the_tokenizers_files_are_inputs_and_are_copied() {
        let mut files = vec![WORDS, ("tokenizer_config.json", "{}"), VOCABULARY];
        files.extend([("special_tokens_map.json", "{}"), ("added_tokens.json", "{}")]);
        let folder = checkpoint(&files);
        fs::write(folder.path().join(CONFIG.0), CONFIG.1).unwrap();
        let plan = plan("", Some(folder.path())).unwrap();
        let keep = folder.path().join("kept");
        plan.make_tokenizer(&Corpus { categories: vec![], articles: vec![] }, &keep).unwrap();
        assert_eq!(plan.inputs().len(), files.len() + 1, "with config.json");
        for (name, text) in files {
            assert!(plan.inputs().contains(&(folder.path().join(name).as_path(), "fetch")), "{name}");
            assert_eq!(fs::read_to_string(keep.join(name)).unwrap(), text);
        }
    }

    #[test]
    fn a_custom_dictionary_is_named_by_its_folder() {
        let mine = checkpoint(&[("sys.dic", "")]);
        let set = format!("model.dictionary={}", mine.path().display());
        let settings = plan(&set, None).unwrap();
        assert_eq!(settings.dictionary_folder.as_deref(), Some(mine.path()));
        assert_eq!(settings.settings.dictionary, Some(mine.path().display().to_string()));
        let message = plan("model.dictionary=./nowhere", None).unwrap_err();
        assert!(message.starts_with("./nowhere: found no sys.dic"), "{message}");
    }

    #[test]
    fn a_checkpoint_without_configuration_is_rejected() {
        let message = plan("", Some(checkpoint(&[WORDS]).path())).unwrap_err();
        assert!(message.contains("config.json"), "{message}");
        let message = plan("", Some(checkpoint(&[WORDS, ("config.json", "{}")]).path())).unwrap_err();
        assert!(message.contains("config.json") && message.contains("model_type"), "{message}");
    }

    /// Compares a tokenizer of these files with a model of so many embeddings.
    fn compared(files: &[(&str, &str)], embeddings: usize) -> Result<(), String> {
        let config = CONFIG.1.replace(r#""vocab_size": 1"#, &format!(r#""vocab_size": {embeddings}"#));
        let folder = checkpoint(files);
        fs::write(folder.path().join(CONFIG.0), config).unwrap();
        let corpus = Corpus { categories: vec![], articles: vec![] };
        let made = plan("", Some(folder.path()))?.make_tokenizer(&corpus, &folder.path().join("kept"));
        made.map(drop).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_vocabulary_must_fit_the_models_embeddings() {
        let files =
            [("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n東\n"), ("tokenizer_config.json", BASIC)];
        compared(&files, 6).unwrap();
        let message = compared(&files, 5).unwrap_err();
        assert!(message.contains("has 6 ids, config.json has vocab_size 5, expected no more"), "{message}");
        compared(&files, 8).unwrap();
        compared(&files, 6 + 1023).unwrap();
        let message = compared(&files, 6 + 1024).unwrap_err();
        assert!(message.contains("vocab.txt is cut off or another model's"), "{message}");
    }

    /// transformers gives a blank line an id and never uses it.
    #[test]
    fn blank_lines_at_the_end_of_a_vocabulary_need_no_embedding() {
        for end in ["\n", "\n\n", "\r\n"] {
            let vocabulary = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n東\n{end}");
            let files = [("vocab.txt", vocabulary.as_str()), ("tokenizer_config.json", BASIC)];
            compared(&files, 6).unwrap();
            let bert = [files[0], ("tokenizer_config.json", r#"{"tokenizer_class": "BertTokenizer"}"#)];
            compared(&bert, 6).unwrap();
        }
    }

    #[test]
    fn embeddings_may_be_padded_beside_a_tokenizer_json() {
        compared(&[WORDS], 8).unwrap();
        let two = WORDS.1.replace(r#""[UNK]": 0"#, r#""[UNK]": 0, "東": 1"#);
        let message = compared(&[(WORDS.0, &two)], 1).unwrap_err();
        assert!(message.contains("has 2 ids, config.json has vocab_size 1, expected no more"), "{message}");
    }

    #[test]
    fn a_learned_vocabulary_always_holds_its_alphabet() {
        assert_eq!(vocabulary_size(2005).alphabet, 1000);
        assert_eq!(vocabulary_size(32_000), VocabularySize::default());
    }
}

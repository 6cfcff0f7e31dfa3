//! The configuration: one TOML file, one struct per section, and overrides of single keys.
//!
//! Every key has a default, so a configuration names only what it changes; a key that is not in
//! these structs is an error that names its nearest neighbour. Each stage reads its own section,
//! `[run]`, and where it needs them `[corpus]` and `[model]`, but never a later stage's: changing
//! `[render]` never retrains.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{DeviceChoice, Error, Result};

/// Everything one run is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where the run keeps its things and how many threads it may use.
    pub run: Run,
    /// The texts, and how they are split.
    pub corpus: Corpus,
    /// The pretrained checkpoint.
    pub model: Model,
    /// Text to ids.
    pub tokenize: Tokenize,
    /// Fine-tuning.
    pub train: Train,
    /// Predictions and metrics.
    pub evaluate: Evaluate,
    /// The report.
    pub render: Render,
    /// Other people's choices where ours differ.
    pub compat: Compat,
}

/// `[run]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Artifacts are written to `<artifacts>/<name>/`.
    pub name: String,
    /// Folder of all runs.
    pub artifacts: PathBuf,
    /// Folder of downloads and of what `make setup` brings, shared by all runs. Another one than
    /// `cache` is filled by `make setup CACHE=<folder>`.
    pub cache: PathBuf,
    /// Worker threads; 0 is one per core. Results are reproducible for a given number.
    pub threads: usize,
}

/// `[corpus]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Corpus {
    /// URL of a `.tar.gz`, path of one, or path of a folder with one sub-folder per category.
    pub source: String,
    /// Expected SHA-256 of a downloaded archive; empty when none is known.
    pub sha256: String,
    /// How a text file is laid out.
    pub layout: Layout,
    /// What happens to a file that cannot be read as an article.
    pub bad_files: BadFiles,
    /// What of an article the model reads. `ingest` keeps all of it; `tokenize` chooses.
    pub text: TextChoice,
    /// How articles are divided.
    pub split: SplitShares,
}

/// How one text file of the corpus is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Line 1 the URL, line 2 the date, line 3 the title, then the body (livedoor news corpus).
    #[default]
    Livedoor,
    /// Line 1 the title, then the body.
    TitleFirst,
}

/// What happens to a file that cannot be read as an article.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadFiles {
    /// Stop and name it.
    #[default]
    Error,
    /// Leave it out, count it and list it.
    Skip,
}

/// What of an article the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextChoice {
    /// The headline.
    #[default]
    Title,
    /// The text below it.
    Body,
    /// Both as a pair of texts, of which the body is truncated.
    #[serde(rename = "title+body")]
    TitleAndBody,
}

/// `[corpus.split]`: shares of all articles; the rest is for training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitShares {
    /// Share for the test split, in [0, 1).
    pub test: f64,
    /// Share for the validation split, in [0, 1).
    pub validation: f64,
    /// Whether each category is divided in these shares on its own.
    pub stratified: bool,
    /// Seed of the shuffle.
    pub seed: u64,
}

/// `[model]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Hub id (`owner/name`), path of a folder, URL of a folder, or `"scratch"`.
    pub checkpoint: String,
    /// Branch, tag or commit of a hub checkpoint.
    pub revision: String,
    /// MeCab dictionary for a tokenizer whose own settings name none.
    pub dictionary: String,
    /// The size of a model that is trained from nothing.
    pub scratch: Scratch,
}

/// `[model.scratch]`: used when `model.checkpoint = "scratch"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scratch {
    /// Number of Transformer layers.
    pub layers: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Number of attention heads; divides `hidden_size`.
    pub attention_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Longest input in tokens.
    pub max_positions: usize,
    /// WordPiece vocabulary to learn from the training split; fewer if the texts hold fewer.
    pub vocabulary_size: usize,
}

/// `[tokenize]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokenize {
    /// Longest input in tokens, `[CLS]` and `[SEP]` included.
    pub max_length: usize,
}

/// `[train]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Train {
    /// How many of the last layers learn (`0`, `1`, …), or `"all"`, embeddings included.
    pub trainable_layers: TrainableLayers,
    /// Passes over the training split.
    pub epochs: usize,
    /// Texts per optimiser step.
    pub batch_size: usize,
    /// Most positions in a batch, padding included (texts × tokens of the longest), which then has
    /// fewer texts than `batch_size`; 0 is no limit.
    pub batch_tokens: usize,
    /// Whether a batch holds texts of similar length (as transformers' `group_by_length`): less
    /// padding, where texts are long and of many lengths.
    pub length_grouped: bool,
    /// In how many parts a step's texts are computed; more need less memory.
    pub accumulation: usize,
    /// Steps' sizes.
    pub learning_rate: LearningRates,
    /// Share of a weight that a step takes away, times the learning rate (AdamW, Loshchilov & Hutter
    /// 2019); biases and layer normalisation are spared.
    pub weight_decay: f64,
    /// Largest norm of the whole gradient, which is scaled down to it; 0 is no limit.
    pub clip_norm: f64,
    /// Shares of numbers that are set to 0 in the layers that learn.
    pub dropout: Dropout,
    /// Share of an answer that is spread over all categories (Szegedy et al. 2016, section 7).
    pub label_smoothing: f64,
    /// How much a text counts.
    pub class_weights: ClassWeights,
    /// Epochs without a better validation accuracy (of equal ones a lower loss) after which training
    /// ends; 0 goes to the last. With a validation split the weights of the best epoch are kept.
    pub patience: usize,
    /// Seconds after which the state of the training is saved again, so that it can go on from there
    /// after an interruption; 0 is after every step.
    pub save_interval: f64,
    /// Seed of the classifier's first weights and of the batch order.
    pub seed: u64,
    /// Where the graphs run.
    pub device: DeviceChoice,
    /// Whether CUDA may multiply matrices in TF32: faster, with numbers rounded to 10 bits.
    pub tf32: bool,
    /// Where the optimiser's steps are made.
    pub optimiser: Optimiser,
    /// Tokens per batch when the frozen layers are computed.
    pub trunk_batch_tokens: usize,
    /// In which numbers the linear parts of the frozen layers are multiplied. What learns is always
    /// float32.
    pub trunk_precision: TrunkPrecision,
    /// What is kept of the frozen layers.
    pub features: FeatureStorage,
}

/// In which numbers the linear parts of the frozen layers are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrunkPrecision {
    /// float32
    #[default]
    F32,
    /// 8-bit integers: faster on the CPU (with VNNI), less exact, not for CUDA.
    Int8,
}

/// `[train.features]`: `features.arrow`, the hidden states that the frozen layers give.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FeatureStorage {
    /// In which numbers they are kept.
    pub precision: FeaturePrecision,
    /// Largest size of the file in GiB; 0 is no limit. Hidden states that would need more are not kept:
    /// the frozen layers are computed for every batch anew.
    pub disk_budget_gib: f64,
}

/// The numbers of `features.arrow`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeaturePrecision {
    /// float32
    #[default]
    F32,
    /// float16: half the size, 11 significant bits.
    F16,
}

/// `[train.learning_rate]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LearningRates {
    /// Of the encoder's trainable layers.
    pub encoder: f64,
    /// Of the linear classifier.
    pub classifier: f64,
    /// Their course after warming up.
    pub schedule: Schedule,
    /// Share of all steps over which they rise from 0.
    pub warmup: f64,
    /// What each layer's is of that of the layer above it.
    pub layer_decay: f64,
}

/// The course of the learning rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// They stay.
    Constant,
    /// Down to 0 in a straight line.
    Linear,
    /// Down to 0 along half a cosine.
    Cosine,
}

/// `[train.dropout]`: shares in [0, 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropout {
    /// Of embeddings, of what attention and feed-forward layers give, and of what the classifier reads.
    pub hidden: f64,
    /// Of attention weights.
    pub attention: f64,
}

/// Where AdamW's steps are made; the numbers are the same but for rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// In the training graph on CUDA, else fused.
    #[default]
    Auto,
    /// On the host, in one pass over weight, gradient and moments.
    Fused,
    /// In the training graph: weights and moments stay on the device.
    Graph,
}

/// How much a text of a category counts in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every text the same.
    #[default]
    None,
    /// Every category the same: texts / (categories · texts of the category), as in scikit-learn.
    Balanced,
}

/// Which of the encoder's layers learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainableLayers {
    /// The last so many.
    Last(usize),
    /// All, and the embeddings.
    All,
}

/// How many of the texts there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextCount {
    /// No more than these.
    AtMost(usize),
    /// All.
    All,
}

/// `[evaluate]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluate {
    /// For how many test texts the attention is kept: a number, of texts at equal distances, or `"all"`.
    pub attention_texts: TextCount,
    /// Tokens per batch.
    pub batch_tokens: usize,
    /// Where the graph runs.
    pub device: DeviceChoice,
    /// Whether a linear model on character n-grams is fitted too, on the same texts.
    pub baseline: bool,
    /// Whether the mean of both models' probabilities is measured too.
    pub ensemble: bool,
    /// The model's share of that mean, in [0, 1]; the rest is the baseline's.
    pub ensemble_weight: f64,
    /// What is computed to explain the answers.
    pub explain: Explain,
}

/// `[evaluate.explain]`: how much each token mattered, and whether that is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Explain {
    /// For how many test texts every layer's attention, its rollout and gradient × input are computed: a
    /// number, of texts at equal distances, or `"all"`.
    pub texts: TextCount,
    /// For how many of those integrated gradients are computed and faithfulness is measured.
    pub faithfulness_texts: usize,
    /// For how many of those all attention is kept, of every token to every token in every head.
    pub matrices: usize,
    /// At how many points integrated gradients look, on the way from a text whose words are hidden to the text.
    pub integration_points: usize,
}

/// `[render]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Render {
    /// The report's title.
    pub title: String,
}

/// `[compat]`
///
/// A stage that heeds it has it among its settings only when something is on: what is off leaves no
/// trace in the artifacts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Compat {
    /// Do as the reproduced article does where we would not: licence files are texts, rows are in
    /// random order, padding is attended to (so every layer is computed at every step), the test
    /// split is classified in batches of `train.batch_size`, and the report with swapped arguments
    /// is printed too. ARCHITECTURE.md says what each stage does with it.
    pub article: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self { name: "article".into(), artifacts: "artifacts".into(), cache: "cache".into(), threads: 0 }
    }
}

impl Default for SplitShares {
    fn default() -> Self {
        Self { test: 0.2, validation: 0.0, stratified: false, seed: 0 }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            checkpoint: String::new(),
            revision: "main".into(),
            dictionary: "ipadic".into(),
            scratch: Scratch::default(),
        }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            layers: 2,
            hidden_size: 128,
            attention_heads: 4,
            intermediate_size: 512,
            max_positions: 128,
            vocabulary_size: 2000,
        }
    }
}

impl Default for Tokenize {
    fn default() -> Self {
        Self { max_length: 512 }
    }
}

impl Default for Train {
    fn default() -> Self {
        Self {
            trainable_layers: TrainableLayers::All,
            epochs: 4,
            batch_size: 32,
            batch_tokens: 0,
            length_grouped: false,
            accumulation: 1,
            learning_rate: LearningRates::default(),
            weight_decay: 0.01,
            clip_norm: 1.0,
            dropout: Dropout::default(),
            label_smoothing: 0.0,
            class_weights: ClassWeights::default(),
            patience: 0,
            save_interval: 120.0,
            seed: 0,
            device: DeviceChoice::default(),
            tf32: false,
            optimiser: Optimiser::default(),
            trunk_batch_tokens: 2048,
            trunk_precision: TrunkPrecision::default(),
            features: FeatureStorage::default(),
        }
    }
}

impl Default for Dropout {
    /// As BERT's authors trained it.
    fn default() -> Self {
        Self { hidden: 0.1, attention: 0.1 }
    }
}

impl Default for FeatureStorage {
    fn default() -> Self {
        // Titles and bodies of 512 tokens for ten thousand texts, at the width of BERT-base, are 15 GiB.
        Self { precision: FeaturePrecision::default(), disk_budget_gib: 16.0 }
    }
}

impl Default for LearningRates {
    fn default() -> Self {
        Self { encoder: 1.5e-4, classifier: 1e-3, schedule: Schedule::Linear, warmup: 0.1, layer_decay: 1.0 }
    }
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            attention_texts: TextCount::All,
            batch_tokens: 2048,
            device: DeviceChoice::default(),
            baseline: true,
            ensemble: false,
            ensemble_weight: 0.5,
            explain: Explain::default(),
        }
    }
}

impl Default for Explain {
    fn default() -> Self {
        Self { texts: TextCount::All, faithfulness_texts: 50, matrices: 12, integration_points: 20 }
    }
}

impl Explain {
    /// Nothing is explained.
    pub fn nothing() -> Self {
        Self { texts: TextCount::AtMost(0), faithfulness_texts: 0, matrices: 0, ..Self::default() }
    }
}

impl Default for Render {
    fn default() -> Self {
        Self { title: "Midashi".into() }
    }
}

impl Compat {
    /// Whether nothing is on.
    pub fn is_off(&self) -> bool {
        *self == Self::default()
    }
}

impl FeaturePrecision {
    /// Bytes of a number.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

impl TextChoice {
    /// Whether the title is read.
    pub fn has_title(self) -> bool {
        self != Self::Body
    }

    /// Whether the body is read.
    pub fn has_body(self) -> bool {
        self != Self::Title
    }
}

impl TrainableLayers {
    /// How many of the last layers learn; `None` when all do, embeddings included.
    pub fn last(self) -> Option<usize> {
        match self {
            Self::Last(count) => Some(count),
            Self::All => None,
        }
    }
}

impl TextCount {
    /// How many that is of `texts`.
    pub fn of(self, texts: usize) -> usize {
        match self {
            Self::AtMost(count) => count.min(texts),
            Self::All => texts,
        }
    }
}

/// The word for what no number needs to limit.
const ALL: &str = "all";

/// A number, or `"all"` where there is none.
fn write_number_or_all<S: serde::Serializer>(
    number: Option<usize>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => serializer.serialize_u64(number as u64),
        None => serializer.serialize_str(ALL),
    }
}

/// The reverse; an error says what is counted, `counted`.
fn read_number_or_all<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
    counted: &str,
) -> Result<Option<usize>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(usize),
        Word(String),
    }
    match Written::deserialize(deserializer) {
        Ok(Written::Number(number)) => Ok(Some(number)),
        Ok(Written::Word(word)) if word == ALL => Ok(None),
        _ => Err(serde::de::Error::custom(format!("expected a number of {counted}, or {ALL:?}"))),
    }
}

impl Serialize for TrainableLayers {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_number_or_all(self.last(), serializer)
    }
}

impl<'de> Deserialize<'de> for TrainableLayers {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(read_number_or_all(deserializer, "layers")?.map_or(Self::All, Self::Last))
    }
}

impl Serialize for TextCount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let number = match self {
            Self::AtMost(count) => Some(*count),
            Self::All => None,
        };
        write_number_or_all(number, serializer)
    }
}

impl<'de> Deserialize<'de> for TextCount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(read_number_or_all(deserializer, "texts")?.map_or(Self::All, Self::AtMost))
    }
}

impl Config {
    /// Reads the file `path` and applies `overrides`, words of the form `section.key=value`
    /// separated by spaces.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, or names a key or a value that does not exist.
    pub fn load(path: &Path, overrides: &str) -> Result<Self> {
        let text =
            fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let origin = path.display().to_string();
        let wrong = |origin: &str, message: String| Error::Invalid { origin: origin.to_owned(), message };
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| wrong(&origin, on_one_line(&e)))?;
        let known = Table::try_from(Self::default())
            .map_err(|e| wrong(&origin, format!("the default configuration is broken: {e}")))?;
        check_names(&table, &known, "").map_err(|message| wrong(&origin, message))?;
        for word in overrides.split_whitespace() {
            apply_override(&mut table, &known, word)
                .map_err(|message| wrong(&format!("SET {word}"), message))?;
        }
        let origin = if overrides.is_empty() { origin } else { format!("{origin} with SET") };
        let config: Self = table.try_into().map_err(|e| wrong(&origin, on_one_line(&e)))?;
        config.check().map_err(|message| wrong(&origin, message))?;
        Ok(config)
    }

    /// The whole configuration as TOML, which [`Config::load`] reads as this configuration.
    ///
    /// # Errors
    /// When TOML cannot say it.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(unwritable)
    }

    /// As TOML the keys that differ from their defaults: a file that [`Config::load`] reads as this
    /// configuration.
    ///
    /// # Errors
    /// When TOML cannot say it.
    pub fn changes(&self) -> Result<String> {
        let table = |config| Table::try_from(config).map_err(unwritable);
        let changes = difference(table(self)?, &table(&Self::default())?);
        toml::to_string(&changes).map_err(unwritable)
    }

    /// The number of threads `run.threads` stands for.
    pub fn threads(&self) -> usize {
        match self.run.threads {
            0 => std::thread::available_parallelism().map_or(1, |count| count.get()),
            count => count,
        }
    }

    /// What the types alone do not say.
    fn check(&self) -> Result<(), String> {
        let require = |holds: bool, message: String| if holds { Ok(()) } else { Err(message) };
        let name = &self.run.name;
        require(
            !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']),
            format!("run.name is {name:?}; expected a plain folder name"),
        )?;
        let split = &self.corpus.split;
        for (key, share) in [("test", split.test), ("validation", split.validation)] {
            require(
                (0.0..1.0).contains(&share),
                format!("corpus.split.{key} is {share}; expected a share in [0, 1)"),
            )?;
        }
        require(
            split.test + split.validation < 1.0,
            format!(
                "corpus.split.test + corpus.split.validation is {}; nothing is left for training",
                split.test + split.validation
            ),
        )?;
        let scratch = &self.model.scratch;
        for (key, value, least) in [
            ("tokenize.max_length", self.tokenize.max_length, 3),
            ("train.epochs", self.train.epochs, 1),
            ("train.batch_size", self.train.batch_size, 1),
            ("train.accumulation", self.train.accumulation, 1),
            ("train.trunk_batch_tokens", self.train.trunk_batch_tokens, 1),
            ("evaluate.batch_tokens", self.evaluate.batch_tokens, 1),
            ("evaluate.explain.integration_points", self.evaluate.explain.integration_points, 1),
            ("model.scratch.layers", scratch.layers, 1),
            ("model.scratch.hidden_size", scratch.hidden_size, 1),
            ("model.scratch.attention_heads", scratch.attention_heads, 1),
            ("model.scratch.intermediate_size", scratch.intermediate_size, 1),
            ("model.scratch.max_positions", scratch.max_positions, 3),
            ("model.scratch.vocabulary_size", scratch.vocabulary_size, 100),
        ] {
            require(value >= least, format!("{key} is {value}; expected at least {least}"))?;
        }
        require(
            scratch.hidden_size.is_multiple_of(scratch.attention_heads),
            format!(
                "model.scratch.hidden_size is {}, not a multiple of model.scratch.attention_heads, {}",
                scratch.hidden_size, scratch.attention_heads
            ),
        )?;
        let Evaluate { baseline, ensemble, ensemble_weight, .. } = self.evaluate;
        require(
            baseline || !ensemble,
            "evaluate.ensemble is true, but evaluate.baseline, the other half of it, is false; \
             expected both or no ensemble"
                .to_owned(),
        )?;
        require(
            (0.0..=1.0).contains(&ensemble_weight),
            format!("evaluate.ensemble_weight is {ensemble_weight}; expected a share in [0, 1]"),
        )?;
        let train = &self.train;
        for (key, number) in [
            ("learning_rate.encoder", train.learning_rate.encoder),
            ("learning_rate.classifier", train.learning_rate.classifier),
            ("learning_rate.layer_decay", train.learning_rate.layer_decay),
            ("weight_decay", train.weight_decay),
            ("clip_norm", train.clip_norm),
            ("save_interval", train.save_interval),
            ("features.disk_budget_gib", train.features.disk_budget_gib),
        ] {
            require(
                number.is_finite() && number >= 0.0,
                format!("train.{key} is {number}; expected a number of at least 0"),
            )?;
        }
        for (key, share) in [
            ("learning_rate.warmup", train.learning_rate.warmup),
            ("dropout.hidden", train.dropout.hidden),
            ("dropout.attention", train.dropout.attention),
            ("label_smoothing", train.label_smoothing),
        ] {
            require(
                (0.0..1.0).contains(&share),
                format!("train.{key} is {share}; expected a share in [0, 1)"),
            )?;
        }
        Ok(())
    }
}

fn unwritable(error: toml::ser::Error) -> Error {
    Error::Invalid { origin: "the configuration".to_owned(), message: error.to_string() }
}

/// What `table` says other than `usual`, at any depth.
fn difference(table: Table, usual: &Table) -> Table {
    let changed = table.into_iter().filter_map(|(key, value)| match (value, usual.get(&key)) {
        (Value::Table(inner), Some(Value::Table(usual))) => {
            let inner = difference(inner, usual);
            (!inner.is_empty()).then_some((key, Value::Table(inner)))
        }
        (value, usual) => (Some(&value) != usual).then_some((key, value)),
    });
    changed.collect()
}

/// Refuses keys that `known` does not have, at any depth.
fn check_names(table: &Table, known: &Table, section: &str) -> Result<(), String> {
    for (key, value) in table {
        let path = join(section, key);
        match (known.get(key), value) {
            (None, _) => return Err(unknown(&path, known, section)),
            (Some(Value::Table(known)), Value::Table(inner)) => check_names(inner, known, &path)?,
            (Some(Value::Table(_)), other) => {
                return Err(format!("{path} is a section, but {} was given", describe(other)));
            }
            (Some(expected), found) => check_type(&path, expected, found)?,
        }
    }
    Ok(())
}

/// The keys that are a number or a word: their type is left to their own readers.
const NUMBER_OR_WORD: [&str; 3] =
    ["train.trainable_layers", "evaluate.attention_texts", "evaluate.explain.texts"];

/// Refuses a value of another type than the default's.
fn check_type(path: &str, expected: &Value, found: &Value) -> Result<(), String> {
    let fits = match (expected, found) {
        (Value::Float(_), Value::Integer(_)) => true,
        _ => expected.same_type(found) || NUMBER_OR_WORD.contains(&path),
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{path} is {}; expected {}", describe(found), with_article(expected.type_str())))
    }
}

fn apply_override(table: &mut Table, known: &Table, word: &str) -> Result<(), String> {
    let (path, written) =
        word.split_once('=').ok_or("expected section.key=value, without spaces around =")?;
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let (mut table, mut known, mut section) = (table, known, String::new());
    for key in keys {
        let path = join(&section, key);
        let inner = known.get(key).ok_or_else(|| unknown(&path, known, &section))?;
        known = inner.as_table().ok_or_else(|| format!("{path} is a key and has no keys of its own"))?;
        section = path;
        table = table
            .entry(key)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| format!("{section} is a section"))?;
    }
    let expected = known.get(last).ok_or_else(|| unknown(path, known, &section))?;
    let value = match parse_value(written) {
        // A word for a string key is that word, whatever else it could mean; quotes are TOML's.
        value if expected.is_str() && !value.is_str() && !NUMBER_OR_WORD.contains(&path) => {
            Value::String(written.to_owned())
        }
        value => value,
    };
    let mut single = Table::new();
    single.insert(last.to_owned(), value.clone());
    check_names(&single, known, &section)?;
    table.insert(last.to_owned(), value);
    Ok(())
}

/// A TOML value, or a bare word taken as a string.
fn parse_value(written: &str) -> Value {
    format!("value = {written}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(written.to_owned()))
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn unknown(path: &str, known: &Table, section: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    let nearest =
        known.keys().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    let kind = if section.is_empty() { "section" } else { "key" };
    match nearest {
        Some(nearest) => format!("unknown {kind} {path}; did you mean {}?", join(section, nearest)),
        None => format!("unknown {kind} {path}"),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Table(_) => "a section".to_owned(),
        value => format!("{} {value}", with_article(value.type_str())),
    }
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

fn on_one_line(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, overrides: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeline.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path, overrides).map_err(|error| error.to_string())
    }

    fn message(text: &str, overrides: &str) -> String {
        load(text, overrides).unwrap_err()
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(load("", "").unwrap(), Config::default());
    }

    #[test]
    fn the_articles_recipe_leaves_nothing_of_training_to_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipeline.toml");
        let train = Config::load(&path, "").unwrap().train;
        assert_eq!((train.trainable_layers, train.epochs), (TrainableLayers::Last(1), 5));
        let LearningRates { encoder, classifier, schedule, warmup, layer_decay } = train.learning_rate;
        assert_eq!((encoder, classifier, schedule), (5e-5, 1e-4, Schedule::Constant));
        assert_eq!((warmup, layer_decay, train.weight_decay, train.clip_norm), (0.0, 1.0, 0.0, 0.0));
        assert_eq!(train.dropout, Dropout { hidden: 0.0, attention: 0.0 });
    }

    #[test]
    fn the_configurations_in_data_are_read() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
        assert_eq!(Config::load(&data.join("sample.toml"), "").unwrap().run.name, "sample");
        let train = Config::load(&data.join("all-layers.toml"), "").unwrap().train;
        assert_eq!(train.trainable_layers, TrainableLayers::All);
        assert_eq!(train.dropout, Train::default().dropout);
    }

    #[test]
    fn an_override_wins_over_the_file() {
        let config = load(
            "[run]\nname = \"a\"\n[train]\nepochs = 3\n",
            "run.name=7 train.trainable_layers=all train.learning_rate.encoder=1e-3 train.learning_rate.classifier=1",
        )
        .unwrap();
        assert_eq!(config.run.name, "7", "a string key takes any word");
        assert_eq!(load("", "run.name=\"e5\"").unwrap().run.name, "e5", "quotes are not part of it");
        assert_eq!(config.train.epochs, 3);
        assert_eq!(config.train.trainable_layers, TrainableLayers::All);
        assert_eq!(config.train.learning_rate.encoder, 1e-3);
        assert_eq!(config.train.learning_rate.classifier, 1.0);
    }

    #[test]
    fn texts_are_chosen_by_name() {
        for (set, expected) in [
            ("", TextChoice::Title),
            ("corpus.text=title", TextChoice::Title),
            ("corpus.text=body", TextChoice::Body),
            ("corpus.text=title+body", TextChoice::TitleAndBody),
        ] {
            assert_eq!(load("", set).unwrap().corpus.text, expected, "{set}");
        }
        assert_eq!(
            load("[corpus]\ntext = \"title+body\"", "").unwrap().corpus.text,
            TextChoice::TitleAndBody
        );
    }

    #[test]
    fn a_written_configuration_is_read_as_what_it_was() {
        let overrides = "train.trainable_layers=all train.learning_rate.encoder=1e-3 corpus.source=a\"b";
        let config = load("", overrides).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeline.toml");
        fs::write(&path, config.to_toml().unwrap()).unwrap();
        assert_eq!(Config::load(&path, "").unwrap(), config);
    }

    #[test]
    fn the_changes_are_a_configuration_of_nothing_but_what_is_no_default() {
        let config =
            load("[run]\nname = \"a\"\n[train]\nepochs = 7\n", "train.learning_rate.encoder=1e-3").unwrap();
        let changes = config.changes().unwrap();
        assert_eq!(
            changes,
            "[run]\nname = \"a\"\n\n[train]\nepochs = 7\n\n[train.learning_rate]\nencoder = 0.001\n"
        );
        assert_eq!(load(&changes, "").unwrap(), config);
        assert_eq!(Config::default().changes().unwrap(), "");
    }

    #[test]
    fn compatibility_is_asked_for_by_name() {
        assert!(load("", "").unwrap().compat.is_off());
        assert!(!load("", "compat.article=true").unwrap().compat.is_off());
        assert!(message("", "compat.artcle=true").ends_with("did you mean compat.article?"));
    }

    #[test]
    fn unknown_names_are_refused_with_the_nearest() {
        assert!(
            message("[train]\nepoch = 3", "")
                .ends_with("unknown key train.epoch; did you mean train.epochs?")
        );
        assert!(message("[trian]\nepochs = 3", "").ends_with("unknown section trian; did you mean train?"));
        assert_eq!(
            message("", "train.learning_rate.encodr=1"),
            "SET train.learning_rate.encodr=1: unknown key train.learning_rate.encodr; \
             did you mean train.learning_rate.encoder?"
        );
        assert!(message("", "tran.epochs=1").contains("did you mean train?"));
        assert!(message("", "epochs").contains("expected section.key=value"));
    }

    #[test]
    fn wrong_types_are_refused_by_name() {
        assert!(
            message("[train]\nepochs = \"five\"", "")
                .contains("train.epochs is a string \"five\"; expected an integer")
        );
        assert!(message("", "train.epochs=2.5").contains("train.epochs is a float 2.5; expected an integer"));
        assert!(message("", "train.epochs=-1").contains("epochs"));
        assert!(message("", "train.trainable_layers=most").contains("\"all\""));
        assert!(message("", "train.trainable_layers=1.5").contains("\"all\""));
        let layers = |word: &str| load("", word).unwrap().train.trainable_layers;
        assert_eq!(layers("train.trainable_layers=2"), TrainableLayers::Last(2));
        assert_eq!(layers("train.trainable_layers=all"), TrainableLayers::All);
        let texts = |word: &str| load("", word).unwrap().evaluate.attention_texts;
        assert_eq!((texts("").of(7), texts("evaluate.attention_texts=3").of(7)), (7, 3));
        assert!(
            message("", "evaluate.attention_texts=some").contains("expected a number of texts, or \"all\"")
        );
        assert!(message("", "train.device=gpu").contains("device"));
        assert!(message("", "corpus.text=titel").contains("expected one of `title`, `body`, `title+body`"));
        assert!(message("", "train.trunk_precision=int4").contains("expected `f32` or `int8`"));
        assert!(message("", "train.features.precision=int8").contains("expected `f32` or `f16`"));
        assert!(
            message("", "compat.article=1").contains("compat.article is an integer 1; expected a boolean")
        );
        assert!(message("", "corpus=x").contains("corpus is a section"));
        assert!(message("", "train.epochs.x=1").contains("train.epochs is a key"));
        assert_eq!(message("[train\n", "").lines().count(), 1);
        assert!(message("train = 3", "").contains("train is a section"));
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        assert!(message("", "corpus.split.test=1.5").contains("corpus.split.test is 1.5"));
        assert!(message("", "corpus.split.test=0.6 corpus.split.validation=0.5").contains("nothing is left"));
        assert!(message("", "train.batch_size=0").contains("train.batch_size is 0; expected at least 1"));
        assert!(message("", "run.name=../x").contains("plain folder name"));
        assert!(
            message("", "train.features.disk_budget_gib=-1").contains("train.features.disk_budget_gib is -1")
        );
        assert!(message("", "evaluate.ensemble_weight=1.5").contains("evaluate.ensemble_weight is 1.5"));
        assert!(message("", "evaluate.ensemble=true evaluate.baseline=false").contains("expected both"));
        assert!(message("", "model.scratch.attention_heads=3").contains("not a multiple"));
        assert!(
            message("", "train.learning_rate.encoder=nan").contains("train.learning_rate.encoder is NaN")
        );
    }
}

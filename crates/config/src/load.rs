//! Reads the configuration file and applies overrides of single keys.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::source::hide_secrets;
use crate::validate::validate;

/// Keys that hold a number or a word, or a number that is too large for TOML; their own types check the value.
const NUMBER_OR_WORD: [&str; 5] = [
    "train.trainable_layers",
    "evaluate.attention_texts",
    "evaluate.explain.texts",
    "train.seed",
    "corpus.split.seed",
];

/// Former names of keys.
const RENAMED: [(&str, &str); 3] = [
    ("train.accumulation", "train.gradient_accumulation_steps"),
    ("train.clip_norm", "train.max_grad_norm"),
    ("train.length_grouped", "train.group_by_length"),
];

impl Config {
    /// Reads the file `path` and applies `overrides`, each of the form `section.key=value`.
    ///
    /// The value is TOML; anything else is a string, which needs no quotes.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML, or when it or an override has an unknown key or an
    /// impossible value.
    pub fn load(path: &Path, overrides: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let text =
            fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Self::parse(&text, path, overrides)
    }

    /// As [`load`](Self::load), but a missing file is an empty one: for programs that can work without a run.
    ///
    /// # Errors
    /// As [`load`](Self::load), except that the file may be missing.
    pub fn load_if_exists(path: &Path, overrides: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        if path.exists() { Self::load(path, overrides) } else { Self::parse("", path, overrides) }
    }

    fn parse(text: &str, path: &Path, overrides: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let mut origin = path.display().to_string();
        let wrong = |origin: &str, message: String| Error::Invalid { origin: origin.to_owned(), message };
        let table: Table = text.parse().map_err(|e: toml::de::Error| wrong(&origin, on_one_line(&e)))?;
        let mut given = Value::Table(table);
        let known = Value::try_from(Self::default())
            .map_err(|e| wrong(&origin, format!("the default configuration is broken: {e}")))?;
        check_keys("", &given, &known).map_err(|message| wrong(&origin, hide_secrets(&message)))?;
        for (number, word) in overrides.into_iter().enumerate() {
            let word = word.as_ref();
            apply_override(&mut given, &known, word)
                .map_err(|message| wrong(&format!("SET {}", hide_secrets(word)), hide_secrets(&message)))?;
            if number == 0 {
                origin.push_str(" with SET");
            }
        }
        let config: Self = given.try_into().map_err(|e| wrong(&origin, on_one_line(&e)))?;
        validate(&config).map_err(|message| wrong(&origin, message))?;
        Ok(config)
    }
}

/// Refuses keys that `known`, the default of `path`, does not have, and values of another type than its own.
fn check_keys(path: &str, given: &Value, known: &Value) -> Result<(), String> {
    match (known, given) {
        (Value::Table(known), Value::Table(given)) => given.iter().try_for_each(|(key, value)| {
            let inner = join(path, key);
            let known = known.get(key).ok_or_else(|| unknown(&inner, known, path))?;
            check_keys(&inner, value, known)
        }),
        (Value::Table(_), other) => Err(format!("{path} is a section, but {} was given", describe(other))),
        (_, Value::Table(_)) => Err(format!("{path} is a key and has no keys of its own")),
        (Value::Float(_), Value::Integer(_)) => Ok(()),
        _ if known.same_type(given) || NUMBER_OR_WORD.contains(&path) => Ok(()),
        _ => Err(format!("{path} is {}; expected {}", describe(given), with_article(known.type_str()))),
    }
}

fn apply_override(table: &mut Value, known: &Value, word: &str) -> Result<(), String> {
    let (path, written) =
        word.split_once('=').ok_or("expected section.key=value, without spaces around =")?;
    let expected = path.split('.').try_fold(known, |section, key| section.get(key));
    let is_text = expected.is_some_and(Value::is_str) && !NUMBER_OR_WORD.contains(&path);
    let value = match parse_value(written) {
        // A key that holds a string takes the text as it is, even if it could be a number; quotes are TOML's.
        value if is_text && !value.is_str() => Value::String(written.to_owned()),
        value => value,
    };
    let nest = |value, key: &str| Value::Table(Table::from_iter([(key.to_owned(), value)]));
    check_keys("", &path.rsplit('.').fold(value.clone(), nest), known)?;
    let mut place = table;
    for key in path.split('.') {
        let section = place.as_table_mut().ok_or_else(|| format!("{key} is in no section"))?;
        place = section.entry(key).or_insert_with(|| Value::Table(Table::new()));
    }
    *place = value;
    Ok(())
}

/// A TOML value, or any other text as a string.
fn parse_value(written: &str) -> Value {
    let table = format!("value = {written}").parse::<Table>().ok();
    table.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(written.to_owned()))
}

fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn unknown(path: &str, known: &Table, section: &str) -> String {
    if let Some((_, name)) = RENAMED.iter().find(|(former, _)| *former == path) {
        return format!("{path} is now called {name}; rename the key");
    }
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
    format!("{} {value}", with_article(value.type_str()))
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

fn on_one_line(error: &toml::de::Error) -> String {
    // The message repeats the line of the file.
    hide_secrets(&error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundled::BundledEncoder;
    use crate::corpus::TextChoice;
    use crate::train::{Dropout, LearningRates, Schedule, Train, TrainableLayers};

    const NONE: [&str; 0] = [];

    fn load(text: &str, overrides: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeline.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path, overrides.split_whitespace()).map_err(|error| error.to_string())
    }

    fn message(text: &str, overrides: &str) -> String {
        load(text, overrides).unwrap_err()
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        assert_eq!(load("", "").unwrap(), Config::default());
    }

    #[test]
    fn the_articles_recipe_does_not_depend_on_the_defaults_of_training() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pipeline.toml");
        let train = Config::load(&path, NONE).unwrap().train;
        assert_eq!((train.trainable_layers, train.epochs), (TrainableLayers::Last(1), 5));
        let LearningRates { encoder, classifier, schedule, warmup, layer_decay } = train.learning_rate;
        assert_eq!((encoder, classifier, schedule), (5e-5, 1e-4, Schedule::Constant));
        assert_eq!((warmup, layer_decay, train.weight_decay, train.max_grad_norm), (0.0, 1.0, 0.0, 0.0));
        assert_eq!(train.dropout, Dropout { hidden: 0.0, attention: 0.0 });
    }

    #[test]
    fn an_unknown_bundled_encoder_is_refused_with_those_that_there_are() {
        let message = message("[model]\ncheckpoint = \"bundled:e5\"", "");
        assert!(message.contains("model.checkpoint is \"bundled:e5\""), "{message}");
        assert!(message.contains("expected \"bundled:multilingual-e5-small\""), "{message}");
        assert!(load("", "model.checkpoint=./bundled:e5").is_ok(), "a folder");
    }

    #[test]
    fn the_configurations_in_data_are_read() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data");
        let sample = Config::load(&data.join("sample.toml"), NONE).unwrap();
        let bundled = BundledEncoder::of(sample.model.checkpoint.with_secrets()).unwrap();
        assert_eq!(
            (sample.run.name.as_str(), bundled),
            ("sample", Some(BundledEncoder::MultilingualE5Small))
        );
        let scratch = Config::load(&data.join("scratch.toml"), NONE).unwrap();
        assert_eq!(
            (scratch.run.name.as_str(), scratch.model.checkpoint.with_secrets()),
            ("scratch", "scratch")
        );
        let bodies = Config::load(&data.join("title-body.toml"), NONE).unwrap();
        assert_eq!((bodies.corpus.text, bodies.tokenize.max_length), (TextChoice::TitleAndBody, 256));
        let train = Config::load(&data.join("all-layers.toml"), NONE).unwrap().train;
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
        assert_eq!(config.run.name, "7", "a string key takes any text");
        assert_eq!(load("", "run.name=\"e5\"").unwrap().run.name, "e5", "quotes are not part of the value");
        assert_eq!(config.train.epochs, 3);
        assert_eq!(config.train.trainable_layers, TrainableLayers::All);
        assert_eq!(config.train.learning_rate.encoder, 1e-3);
        assert_eq!(config.train.learning_rate.classifier, 1.0);
    }

    #[test]
    fn seeds_have_64_bits() {
        let largest = "18446744073709551615";
        let given =
            [load("", &format!("train.seed={largest}")), load(&format!("[train]\nseed = \"{largest}\""), "")];
        for config in given {
            let config = config.unwrap();
            assert_eq!(config.train.seed, u64::MAX);
            assert_eq!(load(&config.changes().unwrap(), "").unwrap(), config, "it reads back");
        }
        let beyond_toml = load("", "corpus.split.seed=9223372036854775808").unwrap();
        assert_eq!(beyond_toml.corpus.split.seed, 1 << 63);
        assert_eq!(load("", "train.seed=7").unwrap().train.seed, 7);
        for wrong in ["-1", "18446744073709551616", "1.5", "one"] {
            let message = message("", &format!("train.seed={wrong}"));
            assert!(message.contains("expected an integer from 0 to 18446744073709551615"), "{message}");
        }
    }

    #[test]
    fn sizes_have_bounds() {
        for (key, value, bound) in [
            ("run.threads", 1000, 256),
            ("train.epochs", 1_000_000_000, 10_000),
            ("train.batch_size", 1_000_000_000, 65_536),
            ("tokenize.max_length", 1_000_000_000, 65_536),
            ("model.scratch.layers", 100_000, 128),
            ("model.scratch.hidden_size", 1_000_000_000, 8192),
            ("model.scratch.vocabulary_size", 1_000_000_000_000_u64, 1_000_000),
        ] {
            let message = message("", &format!("{key}={value}"));
            assert!(message.ends_with(&format!("{key} is {value}; expected at most {bound}")), "{message}");
        }
        assert!(load("", "model.scratch.hidden_size=8192 model.scratch.layers=1").is_ok());
        let large = "model.scratch={layers=128,hidden_size=8192,intermediate_size=65536}";
        let message = message("", large);
        assert!(message.contains("model.scratch describes 171"), "{message}");
        assert!(message.contains("expected at most 1000000000"), "{message}");
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
    fn a_written_configuration_reads_back_the_same() {
        let overrides = "train.trainable_layers=all train.learning_rate.encoder=1e-3 corpus.source=a\"b";
        let config = load("", overrides).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeline.toml");
        fs::write(&path, config.to_toml().unwrap()).unwrap();
        assert_eq!(Config::load(&path, NONE).unwrap(), config);
    }

    #[test]
    fn the_changes_are_a_configuration_without_defaults() {
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
    fn compatibility_is_set_by_name() {
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
    fn a_former_name_is_refused_with_the_new_one() {
        for (former, name) in RENAMED {
            let expected = format!("{former} is now called {name}; rename the key");
            assert_eq!(message("", &format!("{former}=1")), format!("SET {former}=1: {expected}"));
            let (section, key) = former.split_once('.').unwrap();
            assert!(message(&format!("[{section}]\n{key} = 1\n"), "").ends_with(&expected));
            assert!(!message("", &format!("{name}=none")).contains("unknown"), "{name} exists");
        }
    }

    #[test]
    fn the_value_of_an_override_may_hold_spaces_and_equals_signs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipeline.toml");
        fs::write(&path, "").unwrap();
        let config = Config::load(&path, ["render.title=Two words = one title", "run.name=a b"]).unwrap();
        assert_eq!(
            (config.render.title.as_str(), config.run.name.as_str()),
            ("Two words = one title", "a b")
        );
    }

    #[test]
    fn an_override_replaces_a_whole_section() {
        let train = load("[train.dropout]\nattention = 0.5\n", "train.dropout={hidden=0.2}").unwrap().train;
        assert_eq!(train.dropout, Dropout { hidden: 0.2, ..Dropout::default() });
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
        let refused = message("", "evaluate.explain.memory_gib=-2");
        assert!(refused.contains("evaluate.explain.memory_gib is -2; expected a number from 0"), "{refused}");
        let refused = message("", "train.save_interval=1e20");
        assert!(
            refused.contains("train.save_interval is 100000000000000000000; expected a number from 0 to 1e9")
        );
        assert!(message("", "evaluate.ensemble_weight=1.5").contains("evaluate.ensemble_weight is 1.5"));
        assert!(message("", "evaluate.ensemble=true evaluate.baseline=false").contains("expected both"));
        assert!(message("", "model.scratch.attention_heads=3").contains("not a multiple"));
        assert!(message("", "tokenize.stride=4").contains("tokenize.stride is 4, but texts have no windows"));
        let windows = "tokenize.long_texts=windows";
        assert!(message("", &format!("{windows} compat.article=true")).contains("compat.article is true"));
        let without_room = format!("{windows} tokenize.max_length=16 tokenize.stride=16");
        assert!(message("", &without_room).contains("expected a smaller stride"));
        assert!(
            message("", "train.learning_rate.encoder=nan").contains("train.learning_rate.encoder is NaN")
        );
    }
}

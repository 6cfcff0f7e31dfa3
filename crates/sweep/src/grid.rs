//! The swept values, their combinations, and the configuration of each.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use midashi_config::{Config, Explain};
use midashi_stage::{RunFolder, sha256_of_bytes};
use serde_json::{Map, Value};

/// More combinations are probably a mistake.
const MOST_RUNS: usize = 1000;

/// Keys whose values repeat a setting instead of changing it.
pub const SEEDS: [&str; 2] = ["train.seed", "corpus.split.seed"];

/// All combinations of the swept values.
#[derive(Debug)]
pub struct Grid {
    /// The swept keys with their values as written.
    pub axes: Map<String, Value>,
    /// One per run; the values of the last key change fastest.
    pub settings: Vec<Setting>,
}

/// One combination.
#[derive(Debug)]
pub struct Setting {
    /// Its place among the runs, from 1.
    pub number: usize,
    /// The run's name: keys and values.
    pub name: String,
    /// The value of each swept key.
    pub values: Vec<Value>,
    /// The whole configuration.
    pub config: Config,
}

/// A key and the values that it takes.
#[derive(Debug, PartialEq)]
struct Axis<'a> {
    key: &'a str,
    values: Vec<&'a str>,
}

impl Grid {
    /// Reads `sweep`, a list of `section.key=value,value` separated by spaces, on top of the configuration `file`
    /// and the overrides `set`.
    ///
    /// # Errors
    /// When `sweep` has another form, a key or value does not exist, occurs twice or cannot be swept, or a
    /// combination is not a valid configuration.
    pub fn new(sweep: &str, file: &Path, set: &[String]) -> Result<Self> {
        let axes = parse(sweep)?;
        let base = Config::load(file, set)?;
        let folder = RunFolder::of(&base);
        let load = |overrides: &[String]| -> Result<Config> {
            Config::load(file, set.iter().chain(overrides)).context("SWEEP")
        };
        let runs = axes.iter().try_fold(1_usize, |runs, axis| runs.checked_mul(axis.values.len()));
        let runs = runs.filter(|runs| *runs <= MOST_RUNS);
        let runs = runs.with_context(|| format!("SWEEP: expected at most {MOST_RUNS} combinations"))?;

        let setting = |number: usize| {
            let words = combination(&axes, number - 1);
            let mut config = load(&words)?;
            let values = axes.iter().map(|axis| value(&config, axis.key)).collect::<Result<_>>()?;
            let name = folder_name(&words.join(","));
            // A sweep compares scores; explanations would take longer than training.
            if config.evaluate.explain == Explain::default() {
                config.evaluate.explain = Explain::nothing();
            }
            config.run.artifacts = folder.sweep_runs();
            config.run.name.clone_from(&name);
            Ok(Setting { number, name, values, config })
        };
        let settings: Vec<Setting> = (1..=runs).map(setting).collect::<Result<_>>()?;
        check_values(&axes, &settings)?;
        let axes = axes.into_iter().map(|axis| (axis.key.to_owned(), axis.values.into())).collect();
        Ok(Self { axes, settings })
    }

    /// The run `number`, from 1.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn setting(&self, number: usize) -> Result<&Setting> {
        let found = number.checked_sub(1).and_then(|place| self.settings.get(place));
        found.with_context(|| {
            let runs = self.settings.len();
            format!(
                "--run is {number}, expected a number from 1 to {runs}; `midashi-sweep --list` shows the runs"
            )
        })
    }

    /// The swept keys.
    pub fn keys(&self) -> Vec<String> {
        self.axes.keys().cloned().collect()
    }

    /// The number of runs and the number of values of each key.
    pub fn describe(&self) -> String {
        let lengths = self.axes.iter().map(|(key, values)| {
            let count = values.as_array().map_or(0, Vec::len);
            format!("{count} of {key}")
        });
        format!("{} runs: {}", self.settings.len(), lengths.collect::<Vec<_>>().join(" × "))
    }
}

fn parse(sweep: &str) -> Result<Vec<Axis<'_>>> {
    let mut axes: Vec<Axis<'_>> = Vec::new();
    for word in sweep.split_whitespace() {
        let shown = midashi_config::hide_secrets(word);
        ensure!(
            shown == word,
            "SWEEP {shown}: an address with secrets cannot be swept, because runs are named after the values; fetch the files first \
             and sweep their paths"
        );
        let form = || format!("SWEEP {word}: expected section.key=value,value without spaces");
        let (key, values) = word.split_once('=').with_context(form)?;
        let values: Vec<&str> = values.split(',').collect();
        ensure!(!values.contains(&""), form());
        if ["run", "run.name", "run.artifacts"].contains(&key) {
            bail!("SWEEP {word}: {key} cannot be swept; each run of a sweep gets its own name and folder");
        }
        let within =
            |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
        let twice =
            axes.iter().find(|axis| axis.key == key || within(key, axis.key) || within(axis.key, key));
        if let Some(axis) = twice {
            bail!("SWEEP {word}: {} is swept already; expected each key once, with all its values", axis.key);
        }
        axes.push(Axis { key, values });
    }
    ensure!(!axes.is_empty(), "SWEEP is empty; expected 'section.key=value,value', as 'train.seed=1,2,3'");
    Ok(axes)
}

/// Refuses different spellings of the same value.
fn check_values(axes: &[Axis<'_>], settings: &[Setting]) -> Result<()> {
    let mut step = settings.len();
    for (place, axis) in axes.iter().enumerate() {
        // The settings in which this key alone changes.
        step /= axis.values.len();
        let mut found: Vec<(&Value, &str)> = Vec::new();
        for (setting, &written) in settings.iter().step_by(step).zip(&axis.values) {
            let value = &setting.values[place];
            if let Some((_, other)) = found.iter().find(|(known, _)| *known == value) {
                bail!("SWEEP {}: {other} and {written} are the same value; expected each once", axis.key);
            }
            found.push((value, written));
        }
    }
    Ok(())
}

/// The overrides of combination `number`, from 0: its digits, in a number system with one base per key, select the
/// values.
fn combination(axes: &[Axis<'_>], mut number: usize) -> Vec<String> {
    let word = |axis: &Axis<'_>| {
        let at = number % axis.values.len();
        number /= axis.values.len();
        format!("{}={}", axis.key, axis.values[at])
    };
    let mut words: Vec<String> = axes.iter().rev().map(word).collect();
    words.reverse();
    words
}

/// The configuration's value of `key`.
fn value(config: &Config, key: &str) -> Result<Value> {
    let all = serde_json::to_value(config).context("the configuration cannot be written as JSON")?;
    let value = all.pointer(&format!("/{}", key.replace('.', "/")));
    value.cloned().with_context(|| format!("SWEEP: the configuration has no {key}"))
}

/// `words` as a folder name. Characters that are special to a file system or a shell become `_`, and a digest
/// distinguishes such names.
fn folder_name(words: &str) -> String {
    const LONGEST: usize = 150;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "=,.+-_".contains(c);
    let plain: String = words.chars().take(LONGEST).map(|c| if is_plain(c) { c } else { '_' }).collect();
    if plain == words {
        return plain;
    }
    format!("{plain}-{}", &sha256_of_bytes(words.as_bytes())[..8])
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn grid(sweep: &str, set: &str) -> Result<Grid> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pipeline.toml");
        std::fs::write(&file, "[train]\nseed = 7\nepochs = 2\n").unwrap();
        let set: Vec<String> = set.split_whitespace().map(str::to_owned).collect();
        Grid::new(sweep, &file, &set)
    }

    fn message(sweep: &str) -> String {
        format!("{:#}", grid(sweep, "").unwrap_err())
    }

    #[test]
    fn all_combinations_in_the_order_given() {
        let grid = grid("train.learning_rate.encoder=3e-5,5e-5 train.seed=1,2,3", "train.epochs=4").unwrap();
        let found: Vec<(f64, u64)> = grid
            .settings
            .iter()
            .map(|setting| (setting.config.train.learning_rate.encoder, setting.config.train.seed))
            .collect();
        assert_eq!(found, [(3e-5, 1), (3e-5, 2), (3e-5, 3), (5e-5, 1), (5e-5, 2), (5e-5, 3)]);
        assert!(grid.settings.iter().all(|setting| setting.config.train.epochs == 4), "SET counts");
        assert_eq!(grid.keys(), ["train.learning_rate.encoder", "train.seed"]);
        assert_eq!(grid.describe(), "6 runs: 2 of train.learning_rate.encoder × 3 of train.seed");
        let last = grid.setting(6).unwrap();
        assert_eq!(last.number, 6);
        for number in [0, 7, usize::MAX] {
            let message = grid.setting(number).unwrap_err().to_string();
            assert!(
                message.contains(&format!("--run is {number}, expected a number from 1 to 6")),
                "{message}"
            );
        }
        assert_eq!(last.name, "train.learning_rate.encoder=5e-5,train.seed=3");
        assert_eq!(last.values, [Value::from(5e-5), Value::from(3)]);
        assert_eq!(
            RunFolder::of(&last.config).path(),
            PathBuf::from("artifacts/article/sweep").join(&last.name)
        );
    }

    #[test]
    fn the_sweep_wins_over_the_overrides() {
        let grid = grid("train.seed=1,2", "train.seed=9").unwrap();
        assert_eq!(grid.settings.iter().map(|setting| setting.config.train.seed).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn what_cannot_be_swept_is_refused_before_anything_runs() {
        assert!(message("").contains("SWEEP is empty"));
        assert!(message("train.seed").contains("SWEEP train.seed: expected section.key=value,value"));
        assert!(message("train.seed=").contains("expected section.key=value,value"));
        let secret = message("corpus.source=https://u:hush@host/a?token=hush,b");
        assert!(secret.contains("https://***@host/a?***") && !secret.contains("hush"), "{secret}");
        assert!(message("train.seed=1,,2").contains("expected section.key=value,value"));
        assert!(message("train.sed=1,2").ends_with("unknown key train.sed; did you mean train.seed?"));
        assert!(message("train.seed=1,x").contains("seed is \"x\""));
        assert!(message("train.seed=1 train.seed=2").contains("train.seed is swept already"));
        assert!(message("train.dropout={hidden=0.1} train.dropout.hidden=0.2").contains("swept already"));
        assert!(message("train.seed=1,2,1").contains("1 and 1 are the same value"));
        assert!(message("train.weight_decay=1e-2,0.01").contains("1e-2 and 0.01 are the same value"));
        assert!(message("run.name=a,b").contains("run.name cannot be swept"));
        assert!(message("train.epochs=0,1").contains("train.epochs is 0"));
        assert!(
            message("corpus.split.test=0.2,0.6 corpus.split.validation=0.1,0.5").contains("nothing is left")
        );
        let many = (0..40).map(|seed| seed.to_string()).collect::<Vec<_>>().join(",");
        assert!(message(&format!("train.seed={many} corpus.split.seed={many}")).contains("at most 1000"));
    }

    #[test]
    fn a_value_may_need_another_keys_value() {
        let sweep = "tokenize.long_texts=windows tokenize.stride=16,32";
        let strides = |grid: Grid| -> Vec<usize> {
            grid.settings.iter().map(|setting| setting.config.tokenize.stride).collect()
        };
        assert_eq!(strides(grid(sweep, "").unwrap()), [16, 32]);
        let truncated = message("tokenize.stride=16,32");
        assert!(truncated.contains("SWEEP") && truncated.contains("tokenize.stride is 16"), "{truncated}");
        assert!(message(&sweep.replace("32", "0x10")).contains("16 and 0x10 are the same value"));
    }

    #[test]
    fn names_are_plain_and_differ() {
        assert_eq!(
            folder_name("train.seed=1,train.trainable_layers=all"),
            "train.seed=1,train.trainable_layers=all"
        );
        let [one, other] = ["model.checkpoint=../a/b", "model.checkpoint=../a_b"].map(folder_name);
        assert!(one.starts_with("model.checkpoint=.._a_b-") && other.starts_with("model.checkpoint=.._a_b-"));
        assert_ne!(one, other);
        let long = "x".repeat(400);
        assert!(folder_name(&long).len() < 200);
        assert_ne!(folder_name(&long), folder_name(&format!("{long}x")));
    }

    #[test]
    fn values_have_the_types_of_the_configuration() {
        let grid = grid("train.trainable_layers=1,all", "").unwrap();
        let values: Vec<&Value> = grid.settings.iter().map(|setting| &setting.values[0]).collect();
        assert_eq!(values, [&Value::from(1), &Value::from("all")]);
    }
}

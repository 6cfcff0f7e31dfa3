//! The options that every program has.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use midashi_config::Config;

/// The configuration that is read if none is named.
const DEFAULT_CONFIG: &str = "pipeline.toml";

/// The options that every program has. The help is clap's, made from the comments below.
#[derive(Clone, Debug, clap::Args)]
pub struct StageArguments {
    /// The configuration
    #[arg(long, env = "MIDASHI_CONFIG", value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub config: PathBuf,
    /// Overrides one key of the configuration; can be repeated. MIDASHI_SET holds overrides too, separated by spaces
    /// (quotes, as in a shell, keep spaces in a value); this option wins where a key is in both
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
}

impl StageArguments {
    /// The configuration of a program that needs no run if it `has_model`: the default file may be missing then. A file
    /// that was named must exist.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_config(&self, has_model: bool) -> midashi_config::Result<Config> {
        if has_model && self.config == Path::new(DEFAULT_CONFIG) {
            Config::load_if_exists(&self.config, &self.set)
        } else {
            Config::load(&self.config, &self.set)
        }
    }
}

/// The command line, with the overrides of the variable `MIDASHI_SET` before its own: the last override of a key wins.
pub(crate) fn command_line() -> Vec<OsString> {
    with_overrides(env::args_os(), &env::var_os("MIDASHI_SET").unwrap_or_default().to_string_lossy())
}

fn with_overrides(mut arguments: impl Iterator<Item = OsString>, list: &str) -> Vec<OsString> {
    let program = arguments.next();
    let overrides = words(list).into_iter().map(|word| format!("--set={word}").into());
    program.into_iter().chain(overrides).chain(arguments).collect()
}

/// Splits like a shell. A text with an unmatched quote is split at its spaces.
fn words(text: &str) -> Vec<String> {
    shlex::split(text).unwrap_or_else(|| text.split_whitespace().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        stage: StageArguments,
    }

    #[test]
    fn beside_a_model_only_the_default_configuration_may_be_missing() {
        // Tests run in the crate's folder, which has no pipeline.toml.
        let load = |words: &[&str], has_model| {
            let words = ["program"].into_iter().chain(words.iter().copied());
            Arguments::try_parse_from(words).unwrap().stage.load_config(has_model)
        };
        assert_eq!(load(&["--set", "run.name=mine"], true).unwrap().run.name, "mine");
        assert!(load(&[], false).is_err());
        let message = load(&["--config", "missing.toml"], true).unwrap_err().to_string();
        assert!(message.contains("missing.toml"), "{message}");
    }

    #[test]
    fn an_override_is_one_option_and_may_hold_spaces() {
        let words = ["program", "--set", "render.title=Two words", "--set", "train.epochs=1"];
        let set = Arguments::try_parse_from(words).unwrap().stage.set;
        assert_eq!(set, ["render.title=Two words", "train.epochs=1"]);
    }

    #[test]
    fn an_option_overrides_single_keys_of_the_variable() {
        let set = |list: &str, words: &[&str]| {
            let words = ["program"].iter().chain(words).map(OsString::from);
            Arguments::try_parse_from(with_overrides(words, list)).unwrap().stage.set
        };
        let list = "evaluate.device=cuda run.threads=2 render.title='-- two words'";
        assert_eq!(set(list, &[]), ["evaluate.device=cuda", "run.threads=2", "render.title=-- two words"]);
        let both = set("evaluate.device=cuda run.threads=2", &["--set", "run.threads=1"]);
        assert_eq!(both, ["evaluate.device=cuda", "run.threads=2", "run.threads=1"]);
        let config = Config::load_if_exists(Path::new(DEFAULT_CONFIG), &both).unwrap();
        assert_eq!((config.evaluate.device, config.run.threads), (midashi_config::DeviceChoice::Cuda, 1));
        assert_eq!(set("", &["--set", "run.threads=1"]), ["run.threads=1"]);
        assert_eq!(set("''", &[]), [""], "refused when it is applied");
    }

    #[test]
    fn a_list_of_overrides_is_split_like_in_a_shell() {
        assert_eq!(words(" train.epochs=1  train.seed=2 "), ["train.epochs=1", "train.seed=2"]);
        assert_eq!(
            words("render.title='Two words' train.epochs=1"),
            ["render.title=Two words", "train.epochs=1"]
        );
        assert_eq!(words(r#"run.name="e5""#), ["run.name=e5"]);
        assert_eq!(words("train.dropout={hidden=0.1}"), ["train.dropout={hidden=0.1}"]);
        assert_eq!(words("render.title=it's one"), ["render.title=it's", "one"], "an unmatched quote");
        assert!(words("").is_empty());
    }
}

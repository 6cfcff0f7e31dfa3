//! The runs that can share their corpus, tokens and hidden states with others.

use std::path::PathBuf;

use anyhow::Result;
use midashi_config::{Config, Evaluate, Render, Run, Train};
use midashi_stage::RunFolder;

use crate::share::share;

/// Runs by the part of their configuration that matters before training.
pub struct Donors(Vec<(Config, RunFolder)>);

impl Donors {
    /// Starts with the run of the sweep's configuration: its corpus and tokens exist, its features may.
    pub fn new(base: &Config) -> Self {
        Self(vec![(before_training(base), RunFolder::of(base))])
    }

    /// Shares the work of `stages` in the last run that agrees with `config`, and its features, with the run of
    /// `config`. The stages check what they find, so a wrong guess costs only time.
    pub fn share_with(&self, config: &Config, stages: &[&str]) -> Result<()> {
        let wanted = before_training(config);
        match self.0.iter().find(|(known, _)| *known == wanted) {
            Some((_, donor)) => Ok(share(donor, &RunFolder::of(config), stages)?),
            None => Ok(()),
        }
    }

    /// Adds the run of `config`, which has tokenised its corpus.
    pub fn add(&mut self, config: &Config) {
        let key = before_training(config);
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, RunFolder::of(config)));
    }
}

/// The configuration with defaults for all keys that do not matter before training.
fn before_training(config: &Config) -> Config {
    let train = config.train.clone();
    Config {
        run: Run { name: String::new(), artifacts: PathBuf::new(), ..config.run.clone() },
        train: Train {
            trainable_layers: train.trainable_layers,
            device: train.device,
            tf32: train.tf32,
            trunk_batch_tokens: train.trunk_batch_tokens,
            trunk_precision: train.trunk_precision,
            features: train.features,
            ..Train::default()
        },
        evaluate: Evaluate::default(),
        render: Render::default(),
        ..config.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn config(artifacts: &Path, name: &str, change: impl Fn(&mut Config)) -> Config {
        let mut config = Config::default();
        config.run.artifacts = artifacts.to_owned();
        config.run.name = name.to_owned();
        change(&mut config);
        fs::create_dir_all(RunFolder::of(&config).path()).unwrap();
        config
    }

    #[test]
    fn features_come_from_the_last_run_that_agrees() {
        let artifacts = tempfile::tempdir().unwrap();
        let config = |name: &str, change: fn(&mut Config)| config(artifacts.path(), name, change);
        let base = config("base", |_| ());
        let one = config("one", |config| config.train.seed = 1);
        let other = config("other", |config| {
            config.train.seed = 2;
            config.train.learning_rate.encoder = 1.0;
            config.evaluate.ensemble = true;
        });
        let layers = config("layers", |config| {
            config.train.trainable_layers = midashi_config::TrainableLayers::Last(2)
        });
        let split = config("split", |config| config.corpus.split.seed = 3);

        let mut donors = Donors::new(&base);
        fs::write(RunFolder::of(&one).features(), "features").unwrap();
        donors.add(&one);
        for (config, shared) in [(&other, true), (&layers, false), (&split, false)] {
            donors.share_with(config, &[]).unwrap();
            assert_eq!(RunFolder::of(config).features().exists(), shared, "{}", config.run.name);
        }
    }
}

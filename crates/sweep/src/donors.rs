//! Which run has what another needs: the corpus, the tokens and what the frozen layers say of them.

use std::path::PathBuf;

use anyhow::Result;
use midashi_config::{Config, Evaluate, Render, Run, Train};
use midashi_stage::{RunFolder, share};

/// Runs by all that makes a difference before the layers that learn.
pub struct Donors(Vec<(Config, RunFolder)>);

impl Donors {
    /// The run that is swept: its corpus and tokens are made, its features perhaps.
    pub fn new(base: &Config) -> Self {
        Self(vec![(before_training(base), RunFolder::of(base))])
    }

    /// Gives the run of `config` what the last run that agrees with it made by `stages`, and its
    /// features. The stages check what they find: a wrong guess costs their time, no more.
    pub fn share_with(&self, config: &Config, stages: &[&str]) -> Result<()> {
        let wanted = before_training(config);
        match self.0.iter().find(|(known, _)| *known == wanted) {
            Some((_, donor)) => Ok(share(donor, &RunFolder::of(config), stages)?),
            None => Ok(()),
        }
    }

    /// The run of `config` has tokenised its corpus; the next ones that agree with it share with it.
    pub fn add(&mut self, config: &Config) {
        let key = before_training(config);
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, RunFolder::of(config)));
    }
}

/// The configuration without what makes no difference before training. A key that is not named here
/// is taken to make one.
fn before_training(config: &Config) -> Config {
    let nothing = Train::default();
    Config {
        run: Run { name: String::new(), artifacts: PathBuf::new(), ..config.run.clone() },
        train: Train {
            epochs: nothing.epochs,
            batch_size: nothing.batch_size,
            batch_tokens: nothing.batch_tokens,
            length_grouped: nothing.length_grouped,
            accumulation: nothing.accumulation,
            learning_rate: nothing.learning_rate,
            weight_decay: nothing.weight_decay,
            clip_norm: nothing.clip_norm,
            dropout: nothing.dropout,
            label_smoothing: nothing.label_smoothing,
            class_weights: nothing.class_weights,
            patience: nothing.patience,
            save_interval: nothing.save_interval,
            seed: nothing.seed,
            ..config.train.clone()
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

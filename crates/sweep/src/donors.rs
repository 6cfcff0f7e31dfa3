//! The runs that can share their corpus, tokens and hidden states with others.

use std::path::PathBuf;

use midashi_config::{Config, Evaluate, Render, Run, Train};
use midashi_stage::RunFolder;

use crate::grid::Grid;

/// The folders of a sweep by number, and which of them agree in what matters before training. Number 0 is the sweep's
/// own folder, whose corpus and tokens are made before the runs; its features may exist.
pub struct Donors {
    folders: Vec<RunFolder>,
    /// The first that agrees with each.
    first: Vec<usize>,
}

impl Donors {
    /// Those of the runs of `grid` and of the sweep's configuration, `base`.
    pub fn new(base: &Config, grid: &Grid) -> Self {
        let configs: Vec<&Config> =
            [base].into_iter().chain(grid.settings.iter().map(|setting| &setting.config)).collect();
        let keys: Vec<Config> = configs.iter().map(|config| before_training(config)).collect();
        let first = |key: &Config| keys.iter().position(|known| known == key).unwrap_or_default();
        Self {
            folders: configs.into_iter().map(RunFolder::of).collect(),
            first: keys.iter().map(first).collect(),
        }
    }

    /// The sweep's own folder.
    pub fn base(&self) -> &RunFolder {
        &self.folders[0]
    }

    /// Whether the run `number` has the corpus and the tokens of the sweep's own folder.
    pub fn is_of_base(&self, number: usize) -> bool {
        self.first[number] == 0
    }

    /// The folders that may share their work with the run `number`: the earlier ones that agree with it.
    pub fn of(&self, number: usize) -> Vec<RunFolder> {
        self.earlier(number, 0).map(|other| self.folders[other].clone()).collect()
    }

    /// The first run that may share its work with the run `number`.
    pub fn first_run(&self, number: usize) -> Option<usize> {
        self.earlier(number, 1).next()
    }

    fn earlier(&self, number: usize, from: usize) -> impl Iterator<Item = usize> {
        (from..number).filter(move |&other| self.first[other] == self.first[number])
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
    use std::path::Path;

    use super::*;

    /// The numbers of the donors of each run, after that of the base.
    fn donors(sweep: &str) -> Vec<Vec<usize>> {
        let grid = Grid::new(sweep, Path::new("/dev/null"), &[]).unwrap();
        let donors = Donors::new(&Config::default(), &grid);
        let number =
            |folder: &RunFolder| donors.folders.iter().position(|it| it.path() == folder.path()).unwrap();
        let runs = 1..=grid.settings.len();
        runs.map(|run| donors.of(run).iter().map(number).collect::<Vec<_>>()).collect()
    }

    #[test]
    fn runs_that_differ_from_training_on_share_all_before_it() {
        assert_eq!(
            donors("train.learning_rate.encoder=1,2 evaluate.ensemble=true,false"),
            [vec![0], vec![0, 1], vec![0, 1, 2], vec![0, 1, 2, 3]]
        );
    }

    #[test]
    fn runs_of_another_corpus_or_trunk_share_among_themselves() {
        for key in ["corpus.split.seed=0,3", "train.trainable_layers=1,2"] {
            let found = donors(&format!("{key} train.seed=1,2"));
            // The defaults are those of one of the two values.
            let base = if key.starts_with("corpus") { vec![0] } else { vec![] };
            let with_base = |others: &[usize]| [&*base, others].concat();
            assert_eq!(found, [with_base(&[]), with_base(&[1]), vec![], vec![3]], "{key}");
        }
    }
}

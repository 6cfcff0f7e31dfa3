//! A run: a configuration, overrides, a folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::root;
use crate::invocation::{Invocation, Outcome};

/// All stages in the order of the Makefile.
pub const STAGES: [&str; 6] = ["fetch", "ingest", "tokenize", "train", "evaluate", "render"];

/// Explaining takes longer than all the rest.
const FEW_EXPLAINED: &str = "run.threads=2 evaluate.explain.texts=12 evaluate.explain.faithfulness_texts=4 evaluate.explain.matrices=2";

/// Trains in a second.
const SMALL_MODEL: &str = "model.scratch.layers=2 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000 train.epochs=2";

const PLAIN_RECIPE: &str = "train.dropout.hidden=0 train.dropout.attention=0 train.weight_decay=0 \
    train.max_grad_norm=0 train.learning_rate.schedule=constant train.learning_rate.warmup=0";

/// A run's configuration and folder. Its stages run when they are asked to.
#[derive(Clone)]
pub struct Run {
    config: PathBuf,
    artifacts: PathBuf,
    name: String,
    settings: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Run {
    /// A run called `name` below `artifacts`, of the sample corpus and a model from scratch unless told otherwise. Few texts are
    /// explained.
    pub fn sample(artifacts: impl AsRef<Path>, name: &str) -> Self {
        Self::of(root().join("data/scratch.toml"), artifacts.as_ref(), name)
    }

    /// The same with the article's configuration, `pipeline.toml`.
    pub fn article(artifacts: impl AsRef<Path>, name: &str) -> Self {
        Self::of(root().join("pipeline.toml"), artifacts.as_ref(), name)
    }

    /// The demo, which fine-tunes the encoder that `make setup` brings.
    pub fn demo(artifacts: impl AsRef<Path>, name: &str) -> Self {
        Self::of(root().join("data/sample.toml"), artifacts.as_ref(), name)
    }

    fn of(config: PathBuf, artifacts: &Path, name: &str) -> Self {
        let (artifacts, name) = (artifacts.to_owned(), name.to_owned());
        Self { config, artifacts, name, settings: Vec::new(), environment: Vec::new() }.set(FEW_EXPLAINED)
    }

    /// Adds overrides, separated by spaces; the last one of a key counts.
    #[must_use]
    pub fn set(mut self, overrides: &str) -> Self {
        self.settings.extend(overrides.split_whitespace().map(str::to_owned));
        self
    }

    /// A model from scratch that trains in a second.
    #[must_use]
    pub fn small_model(self) -> Self {
        self.set(SMALL_MODEL)
    }

    /// The article's recipe, without what practitioners add to it.
    #[must_use]
    pub fn plain_recipe(self) -> Self {
        self.set(PLAIN_RECIPE)
    }

    /// Reads the corpus at `path`.
    #[must_use]
    pub fn reads(self, path: &Path) -> Self {
        self.set(&format!("corpus.source={}", path.display()))
    }

    /// Starts from the checkpoint in `folder`.
    #[must_use]
    pub fn checkpoint(self, folder: &Path) -> Self {
        self.set(&format!("model.checkpoint={}", folder.display()))
    }

    /// Takes another configuration file.
    #[must_use]
    pub fn config(mut self, path: &Path) -> Self {
        self.config = path.to_owned();
        self
    }

    /// Sets an environment variable for every stage.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A copy of the run, of the same name, below the folder `artifacts`.
    #[must_use]
    pub fn copy_to(&self, artifacts: impl AsRef<Path>) -> Self {
        let copy = Self { artifacts: artifacts.as_ref().to_owned(), ..self.clone() };
        copy_folder(&self.folder(), &copy.folder());
        copy
    }

    /// The run's folder.
    pub fn folder(&self) -> PathBuf {
        self.artifacts.join(&self.name)
    }

    /// The artifact `name`.
    pub fn artifact(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The stage or tool `name`, ready to run.
    pub fn stage(&self, name: &str) -> Invocation {
        let run = [format!("run.artifacts={}", self.artifacts.display()), format!("run.name={}", self.name)];
        let settings = run.into_iter().chain(self.settings.iter().cloned()).collect();
        Invocation::new(name, self.config.clone(), settings, self.environment.clone())
    }

    /// Runs stages that must succeed; returns all that they printed.
    pub fn stages(&self, stages: &[&str]) -> Outcome {
        let mut all = Outcome { code: Some(0), stdout: String::new(), stderr: String::new() };
        for stage in stages {
            let outcome = self.stage(stage).succeeds();
            all.stdout += &outcome.stdout;
            all.stderr += &outcome.stderr;
        }
        all
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

//! The model that is fine-tuned, without its weights: its geometry, its categories, where the trunk
//! ends and what learns.

use midashi_bert::{BertConfig, Dropout, Graph, Result, Start, Storage, Training, Weights, classifier};
use midashi_config::TrainableLayers;
use midashi_runtime::{Engine, Session};

/// A model's shape and which part of it learns.
#[derive(Clone)]
pub struct Model {
    pub config: BertConfig,
    /// Category names.
    pub labels: Vec<String>,
    /// Where the trainable part begins.
    pub start: Start,
    pub trainable: TrainableLayers,
    /// Where numbers are dropped while it learns.
    pub dropout: Dropout,
}

impl Model {
    /// Whether the parameter `name` learns.
    pub fn learns(&self, name: &str) -> bool {
        self.config.learns(name, self.trainable.last())
    }

    /// From `start` to the logits.
    pub fn classifier(&self, start: Start) -> Result<Graph> {
        classifier(&self.config, self.labels.len(), start)
    }

    /// From the tail's start to the loss and its gradients.
    pub fn training(&self) -> Result<Graph> {
        self.gradients()?.with_gradients()
    }

    /// The same, before it is decided what becomes of the gradients.
    pub fn gradients(&self) -> Result<Training> {
        let learns = |name: &str| self.learns(name);
        Training::new(&self.config, self.labels.len(), self.start, self.dropout, learns)
    }

    /// A session of one of its graphs: what learns is fed at every run, the rest is handed over now.
    pub fn session(
        &self,
        engine: &Engine,
        name: &str,
        graph: &Graph,
        weights: &Weights,
    ) -> anyhow::Result<Session> {
        let frozen = weights.for_graph(graph, |name| !self.learns(name))?;
        let stored = |name: &str| if self.learns(name) { Storage::Input } else { Storage::External };
        Ok(engine.session(&graph.to_model(name, stored), frozen)?)
    }
}

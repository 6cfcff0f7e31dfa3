//! The model to fine-tune, without its weights: its configuration and categories, where the trunk ends and
//! which parameters are trainable.

use midashi_config::TrainableLayers;
use midashi_encoder::{
    Dropout, EncoderConfig, Graph, Head, Result, Start, Storage, Training, Weights, classifier,
};
use midashi_runtime::{Engine, Session};

/// The configuration of the model, and which part of it is trainable.
#[derive(Clone)]
pub struct Model {
    pub config: EncoderConfig,
    /// Category names.
    pub labels: Vec<String>,
    /// What computes the logits.
    pub head: Head,
    /// Where the trainable part begins.
    pub start: Start,
    pub trainable: TrainableLayers,
    /// Where the training graph has dropout.
    pub dropout: Dropout,
}

impl Model {
    /// Whether the parameter `name` is trainable.
    pub fn is_trainable(&self, name: &str) -> bool {
        self.config.is_trainable(name, self.trainable.last())
    }

    /// From `start` to the logits.
    pub fn classifier(&self, start: Start) -> Result<Graph> {
        classifier(&self.config, self.head, start)
    }

    /// From the tail's start to the loss and its gradients.
    pub fn training(&self) -> Result<Graph> {
        self.gradients().with_gradients()
    }

    /// The same, with gradients that are not yet outputs or part of an optimiser.
    pub fn gradients(&self) -> Training<'_> {
        let trainable = |name: &str| self.is_trainable(name);
        Training::new(&self.config, self.head, self.start, self.dropout, trainable)
    }

    /// A session of one of its graphs. Trainable parameters are inputs of every run; frozen ones are part
    /// of the session.
    pub fn session(
        &self,
        engine: &Engine,
        name: &str,
        graph: &Graph,
        weights: &Weights,
    ) -> anyhow::Result<Session> {
        let frozen = weights.for_graph(graph, |name| !self.is_trainable(name))?;
        let stored = |name: &str| if self.is_trainable(name) { Storage::Input } else { Storage::External };
        Ok(engine.session(&graph.to_model(name, stored), frozen)?)
    }
}

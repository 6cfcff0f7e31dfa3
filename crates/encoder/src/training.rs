//! The training graph: the loss, and the gradients as outputs, summed over micro-batches, or used for a step
//! of AdamW inside the graph.
//!
//! A graph with an optimiser needs only the batch and three numbers from outside. What it remembers is an
//! input `x` and, after the step, the output `next.x`, which is the next step's input. Weights and moments
//! can therefore stay in a device's memory.

use midashi_onnx::{Dim, ElementType, Graph, GraphBuilder, Value};

use crate::batch::BatchSizes;
use crate::config::EncoderConfig;
use crate::error::Result;
use crate::graphs::{Start, tail, targets};
use crate::head::Head;
use crate::names::{
    BIAS_CORRECTION, GRADIENT_NORM, LOGITS, LOSS, RATE_FACTOR, STEP_SIZE, attention_dropout_name,
    first_moment_name, gradient_name, gradient_sum_name, hidden_dropout_name, next_name, second_moment_name,
};
use crate::nodes::Dropout;
use crate::optimiser::{AdamW, LearningRate, Step, clipping};
use crate::padding::{BATCH, Padding, TOKENS};

/// [`classifier`](crate::classifier)'s inputs, [`TARGETS`](crate::TARGETS) and the masks of `dropout` (see
/// [`dropout_masks`]); outputs [`LOSS`], [`LOGITS`], and the gradient of each parameter that is `trainable`
/// ([`gradient_name`]).
///
/// # Errors
/// When the configuration does not fit together.
pub fn training(
    config: &EncoderConfig,
    head: Head,
    start: Start,
    dropout: Dropout,
    trainable: impl Fn(&str) -> bool,
) -> Result<Graph> {
    Training::new(config, head, start, dropout, trainable).with_gradients()
}

/// A training graph whose use of the gradients is still to be chosen.
pub struct Training<'a> {
    config: &'a EncoderConfig,
    head: Head,
    start: Start,
    dropout: Dropout,
    trainable: Box<dyn Fn(&str) -> bool + 'a>,
    accumulates: bool,
}

/// A trainable parameter.
struct Trainable<'g> {
    name: String,
    weight: Value<'g>,
    gradient: Value<'g>,
}

impl<'a> Training<'a> {
    /// The tail from `start` with this `head`, and which of its parameters are `trainable`.
    pub fn new(
        config: &'a EncoderConfig,
        head: Head,
        start: Start,
        dropout: Dropout,
        trainable: impl Fn(&str) -> bool + 'a,
    ) -> Self {
        Self { config, head, start, dropout, trainable: Box::new(trainable), accumulates: false }
    }

    /// Every gradient includes the input [`gradient_sum_name`], the sum over the step's micro-batches so far.
    #[must_use]
    pub fn with_gradient_accumulation(mut self) -> Self {
        self.accumulates = true;
        self
    }

    /// The graph with the gradients as outputs ([`gradient_name`]).
    ///
    /// # Errors
    /// When the configuration does not fit together.
    pub fn with_gradients(&self) -> Result<Graph> {
        self.with_outputs(self.accumulates, gradient_name)
    }

    /// The graph for micro-batches before a step's last one: the gradients, with those of the micro-batches
    /// so far, are the next run's sums ([`next_name`] of [`gradient_sum_name`]).
    ///
    /// # Errors
    /// When the configuration does not fit together.
    pub fn with_gradient_sums(&self) -> Result<Graph> {
        self.with_outputs(true, |name| next_name(&gradient_sum_name(name)))
    }

    /// The graph with a step of AdamW: inputs [`RATE_FACTOR`], [`STEP_SIZE`], [`BIAS_CORRECTION`] and both
    /// moments of the trainable parameters ([`first_moment_name`], [`second_moment_name`]); outputs
    /// [`GRADIENT_NORM`] and the parameters and moments after the step ([`next_name`]). `rate` is called for
    /// each parameter.
    ///
    /// # Errors
    /// When the configuration does not fit together.
    pub fn with_adamw(&self, adamw: AdamW, rate: impl Fn(&str) -> LearningRate) -> Result<Graph> {
        let graph = GraphBuilder::new();
        let trainable = self.trainable(&graph, self.accumulates);
        let [factor, size, bias_correction] = [RATE_FACTOR, STEP_SIZE, BIAS_CORRECTION]
            .map(|name| graph.input(name, ElementType::Float32, &[]));
        let norm = graph.scope("gradient_norm", || norm(&graph, &trainable));
        let limit = adamw.max_grad_norm;
        let clipping = (limit > 0.0).then(|| graph.scope("clipping", || clipping(norm, graph.scalar(limit))));
        let step = Step { adamw, factor, size, bias_correction, clipping };
        graph.output(GRADIENT_NORM, norm);
        for Trainable { name, weight, gradient } in trainable {
            let names = [name.clone(), first_moment_name(&name), second_moment_name(&name)];
            let moment = |name: &str| graph.input(name, ElementType::Float32, &weight.shape());
            let moments = [moment(&names[1]), moment(&names[2])];
            let next =
                graph.scope(&format!("adamw/{name}"), || step.apply(rate(&name), weight, gradient, moments));
            for (name, value) in names.iter().zip(next) {
                graph.output(&next_name(name), value);
            }
        }
        Ok(graph.finish()?)
    }

    fn with_outputs(&self, accumulates: bool, name_of: impl Fn(&str) -> String) -> Result<Graph> {
        let graph = GraphBuilder::new();
        for Trainable { name, gradient, .. } in self.trainable(&graph, accumulates) {
            graph.output(&name_of(&name), gradient);
        }
        Ok(graph.finish()?)
    }

    /// Adds the model and its loss; returns the trainable parameters in the order of the model.
    fn trainable<'g>(&'g self, graph: &'g GraphBuilder, accumulates: bool) -> Vec<Trainable<'g>> {
        let Self { config, head, start, dropout, .. } = *self;
        let logits = tail(graph, config, head, start, Padding::unpadded, dropout, false).logits;
        let targets = targets(graph, head);
        let loss = graph.scope("loss", || cross_entropy(logits, targets));
        graph.output(LOSS, loss);
        graph.output(LOGITS, logits);
        let is_trainable = |weight: &Value<'g>| (self.trainable)(&weight.name());
        let weights: Vec<Value<'g>> = graph.parameters_of(loss).into_iter().filter(is_trainable).collect();
        let gradients = graph.gradients(loss, &weights);
        let trainable = |(weight, gradient): (Value<'g>, Value<'g>)| {
            let name = weight.name();
            let sum = || graph.input(&gradient_sum_name(&name), ElementType::Float32, &weight.shape());
            let gradient = if accumulates { sum() + gradient } else { gradient };
            Trainable { name, weight, gradient }
        };
        weights.into_iter().zip(gradients).map(trainable).collect()
    }
}

/// A dropout mask that a training graph takes.
pub struct DropoutMask<'g> {
    /// Its input.
    pub name: &'g str,
    /// The place in the model, such as `bert.encoder.layer.0.output`.
    pub place: &'g str,
    /// What it drops.
    pub drops: Dropped,
    /// Its shape for a batch.
    pub shape: Vec<usize>,
}

/// What a dropout mask drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Numbers of hidden states.
    Hidden,
    /// Attention weights.
    Attention,
}

/// The training graph's dropout masks for a batch, in the order of the model.
pub fn dropout_masks(graph: &Graph, sizes: BatchSizes) -> Vec<DropoutMask<'_>> {
    let size = |symbol: &str| match symbol {
        BATCH => sizes.texts,
        TOKENS => sizes.longest,
        // The unpadded rows: the one axis that is left.
        _ => sizes.tokens,
    };
    let prefixes =
        [(hidden_dropout_name(""), Dropped::Hidden), (attention_dropout_name(""), Dropped::Attention)];
    let mask = |(name, shape): (_, &[Dim])| {
        let of_kind =
            |(prefix, drops): &(String, Dropped)| Some((str::strip_prefix(name, &**prefix)?, *drops));
        let (place, drops) = prefixes.iter().find_map(of_kind)?;
        let shape = shape.iter().map(|dim| graph.size_in_run(dim, &size)).collect();
        Some(DropoutMask { name, place, drops, shape })
    };
    graph.inputs().filter_map(mask).collect()
}

/// `−Σ targets · log softmax(logits)`.
fn cross_entropy<'g>(logits: Value<'g>, targets: Value<'g>) -> Value<'g> {
    -(logits.log_softmax() * targets).reduce_sum(&[0, 1], false)
}

/// The Euclidean norm of all gradients together.
fn norm<'g>(graph: &'g GraphBuilder, trainable: &[Trainable<'g>]) -> Value<'g> {
    let square = |Trainable { gradient, .. }: &Trainable<'g>| {
        gradient.reduce_sum_square(&(0..gradient.shape().len()).collect::<Vec<_>>(), false)
    };
    graph.sum(&trainable.iter().map(square).collect::<Vec<_>>()).sqrt()
}

//! What becomes of a training graph's gradients: they are outputs, they are added up, or AdamW makes a
//! step of them inside the graph.
//!
//! A graph with an optimiser needs nothing from outside but the batch and three numbers: what it has to
//! remember is an input `x` and, after the step, the output `next.x`, which is the next step's input. So
//! weights and moments can stay in a device's memory.

use midashi_onnx::{ElementType, Graph, Value};

use crate::Result;

/// Name of the input that the learning rates are multiplied with, a float32 scalar.
pub const RATE_FACTOR: &str = "rate_factor";
/// Name of the input [`RATE_FACTOR`] `/ (1 − β₁ᵗ)` of step `t`, a float32 scalar.
pub const STEP_SIZE: &str = "step_size";
/// Name of the input `1 / √(1 − β₂ᵗ)` of step `t`, a float32 scalar.
pub const BIAS_CORRECTION: &str = "bias_correction";
/// Name of the output of the whole gradient's Euclidean norm before it is clipped, a float32 scalar.
pub const GRADIENT_NORM: &str = "gradient_norm";

/// Name of the training graph's output that is the gradient of the parameter `name`.
pub fn gradient_name(name: &str) -> String {
    format!("gradient.{name}")
}

/// Name of the input of the gradient of the parameter `name`, summed over a step's earlier parts.
pub fn gradient_sum_name(name: &str) -> String {
    format!("gradient_sum.{name}")
}

/// Name of the input of the first moment of the parameter `name`.
pub fn first_moment_name(name: &str) -> String {
    format!("first_moment.{name}")
}

/// Name of the input of the second moment of the parameter `name`.
pub fn second_moment_name(name: &str) -> String {
    format!("second_moment.{name}")
}

/// Name of the output that is to be the input `name` of the next run.
pub fn next_name(name: &str) -> String {
    format!("next.{name}")
}

/// A training graph before it is decided what becomes of its gradients.
#[derive(Clone)]
pub struct Training {
    pub(crate) graph: Graph,
    /// What learns, in the order of the model: parameter and gradient.
    pub(crate) learned: Vec<(Value, Value)>,
}

/// AdamW: the decays of the moments and what keeps the division defined (Kingma & Ba 2015, algorithm 1),
/// and the largest norm of the gradient; 0 is no limit.
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta_1: f32,
    /// Decay of the second moment.
    pub beta_2: f32,
    /// Added to the divisor.
    pub epsilon: f32,
    /// The whole gradient is scaled down to this norm.
    pub clip_norm: f32,
}

/// How fast a parameter learns.
#[derive(Clone, Copy, Debug)]
pub struct LearningRate {
    /// Its learning rate where [`RATE_FACTOR`] is 1.
    pub rate: f64,
    /// Share of it that a step takes away, times the learning rate (Loshchilov & Hutter 2019).
    pub weight_decay: f64,
}

/// Scalars that all parameters of a step share.
struct Step {
    adamw: AdamW,
    factor: Value,
    size: Value,
    bias_correction: Value,
    /// What gradients are multiplied with.
    clipping: Option<Value>,
}

impl Training {
    /// Adds to every gradient the input [`gradient_sum_name`]: the sum over a step's earlier parts.
    ///
    /// # Errors
    /// When done twice.
    pub fn with_earlier_parts(mut self) -> Result<Self> {
        for (weight, gradient) in &mut self.learned {
            let name = gradient_sum_name(self.graph.name(*weight));
            let shape = self.graph.shape(*gradient).to_vec();
            let sum = self.graph.input(&name, ElementType::Float32, &shape)?;
            *gradient = self.graph.add(sum, *gradient)?;
        }
        Ok(self)
    }

    /// The gradients are outputs ([`gradient_name`]).
    ///
    /// # Errors
    /// When a name is taken.
    pub fn with_gradients(self) -> Result<Graph> {
        self.with_outputs(gradient_name)
    }

    /// The gradients, with those of the earlier parts, are the sums for the next part:
    /// [`next_name`] of [`gradient_sum_name`].
    ///
    /// # Errors
    /// When a name is taken.
    pub fn with_sums(self) -> Result<Graph> {
        self.with_earlier_parts()?.with_outputs(|name| next_name(&gradient_sum_name(name)))
    }

    fn with_outputs(mut self, name_of: impl Fn(&str) -> String) -> Result<Graph> {
        for &(weight, gradient) in &self.learned {
            let name = name_of(self.graph.name(weight));
            self.graph.output(&name, gradient)?;
        }
        self.graph.prune();
        Ok(self.graph)
    }

    /// The graph makes a step: inputs [`RATE_FACTOR`], [`STEP_SIZE`], [`BIAS_CORRECTION`] and both moments
    /// ([`first_moment_name`], [`second_moment_name`]) of what learns, outputs [`GRADIENT_NORM`] and the
    /// parameters and moments after the step ([`next_name`]). `rate` is asked for each parameter.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn with_adamw(self, adamw: AdamW, rate: impl Fn(&str) -> LearningRate) -> Result<Graph> {
        let Self { mut graph, learned } = self;
        let g = &mut graph;
        let mut scalar = |name: &str| g.input(name, ElementType::Float32, &[]);
        let (factor, size) = (scalar(RATE_FACTOR)?, scalar(STEP_SIZE)?);
        let bias_correction = scalar(BIAS_CORRECTION)?;
        let norm = g.within("gradient_norm", |g| norm(g, &learned))?;
        let clipping = (adamw.clip_norm > 0.0)
            .then(|| g.within("clipping", |g| clipping(g, norm, adamw.clip_norm)))
            .transpose()?;
        let step = Step { adamw, factor, size, bias_correction, clipping };
        g.output(GRADIENT_NORM, norm)?;
        for (weight, gradient) in learned {
            let name = g.name(weight).to_owned();
            let shape = g.shape(weight).to_vec();
            let moments = [first_moment_name(&name), second_moment_name(&name)];
            let first = g.input(&moments[0], ElementType::Float32, &shape)?;
            let second = g.input(&moments[1], ElementType::Float32, &shape)?;
            let rate = rate(&name);
            let next = g.within(&format!("adamw/{name}"), |g| {
                step.apply(g, rate, weight, gradient, [first, second])
            })?;
            for (name, value) in [&name, &moments[0], &moments[1]].into_iter().zip(next) {
                g.output(&next_name(name), value)?;
            }
        }
        graph.prune();
        Ok(graph)
    }
}

impl Step {
    /// The parameter and its moments after the step.
    fn apply(
        &self,
        g: &mut Graph,
        rate: LearningRate,
        weight: Value,
        gradient: Value,
        moments: [Value; 2],
    ) -> midashi_onnx::Result<[Value; 3]> {
        let AdamW { beta_1, beta_2, epsilon, .. } = self.adamw;
        let gradient = match self.clipping {
            Some(scale) => g.mul(gradient, scale)?,
            None => gradient,
        };
        // m ← β₁·m + (1 − β₁)·g
        let old = g.scale(moments[0], beta_1)?;
        let new = g.scale(gradient, 1.0 - beta_1)?;
        let first = g.add(old, new)?;
        // v ← β₂·v + (1 − β₂)·g²
        let old = g.scale(moments[1], beta_2)?;
        let new = g.scale(gradient, 1.0 - beta_2)?;
        let new = g.mul(new, gradient)?;
        let second = g.add(old, new)?;
        // w ← kept·w − size·m / (√v·correction + ε)
        let root = g.sqrt(second);
        let root = g.mul(root, self.bias_correction)?;
        let epsilon = g.scalar(epsilon);
        let divisor = g.add(root, epsilon)?;
        // Parameters of one rate share these scalars: ONNX Runtime merges what is computed twice.
        let size = g.scale(self.size, rate.rate as f32)?;
        let dividend = g.mul(first, size)?;
        let change = g.div(dividend, divisor)?;
        let kept = if rate.weight_decay > 0.0 {
            let one = g.scalar(1.0);
            let lost = g.scale(self.factor, (rate.rate * rate.weight_decay) as f32)?;
            let share = g.sub(one, lost)?;
            g.mul(weight, share)?
        } else {
            weight
        };
        Ok([g.sub(kept, change)?, first, second])
    }
}

/// The Euclidean norm of all gradients together.
fn norm(g: &mut Graph, learned: &[(Value, Value)]) -> midashi_onnx::Result<Value> {
    let mut squares = Vec::new();
    for &(_, gradient) in learned {
        let axes: Vec<usize> = (0..g.shape(gradient).len()).collect();
        squares.push(g.reduce_sum_square(gradient, &axes, false)?);
    }
    let sum = g.sum(&squares)?;
    Ok(g.sqrt(sum))
}

/// `limit / max(norm, limit)`, the maximum being `limit + max(norm − limit, 0)`.
fn clipping(g: &mut Graph, norm: Value, limit: f32) -> midashi_onnx::Result<Value> {
    let limit = g.scalar(limit);
    let excess = g.sub(norm, limit)?;
    let excess = g.relu(excess);
    let longer = g.add(limit, excess)?;
    g.div(limit, longer)
}

//! What computes the logits from the last hidden states, and its form in a written model.
//!
//! The classes for sequence classification of transformers have a linear layer and an activation function before the
//! linear classifier. A linear head `W·h + b` is written in their form:
//!
//! - Before tanh, as in `BertForSequenceClassification`, as a pooler of [`SCALE`] times the identity without bias, and a
//!   classifier whose weights are divided by `SCALE`. The tanh of such small numbers is linear, so the logits stay the
//!   same up to rounding. `SCALE` is a power of two, so a reader recovers the classifier's weights bit for bit.
//! - Before GELU and ReLU as rows `W` and `−W` and a classifier that subtracts the second from the first, because
//!   `f(z) − f(−z) = z` for both functions. Layer normalisation after them is linear for numbers that are small beside
//!   the root of its epsilon, and subtracting its mean changes no difference.

use midashi_onnx::Value as Node;
use ndarray::{Array2, ArrayD, Axis, Ix1, Ix2, Slice, concatenate};
use serde_json::{Map, Value};

use crate::config::EncoderConfig;
use crate::error::{Error, Result};
use crate::geometry::Activation;
use crate::native_head::NativeHead;
use crate::nodes::Nodes;
use crate::weights::Weights;

/// The factor of the identity in the pooler of a written linear head: 2⁻¹².
///
/// With a real checkpoint, powers from 2⁻¹⁰ to 2⁻¹⁴ change a logit by no more than float32 rounds it, and lose nothing in
/// float16 either. The middle one leaves room for larger hidden states (the error grows with their square) and for larger
/// weights (float16 ends at 65,504).
pub const SCALE: f32 = 1.0 / 4096.0;

/// What computes the logits from the last hidden states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of logits.
    pub labels: usize,
    /// Its layers.
    pub kind: HeadKind,
    /// What it reads.
    pub pooling: Pooling,
}

/// The layers of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// A linear layer.
    Linear,
    /// Those of the architecture's class for sequence classification in transformers: for BERT a pooler (linear layer and
    /// tanh) and a linear layer.
    Native,
}

/// What a head reads of a text's last hidden states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// That of `[CLS]`.
    #[default]
    Cls,
    /// The mean over all tokens.
    Mean,
}

impl Pooling {
    /// Its name in configurations.
    fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Mean => "mean",
        }
    }
}

impl Head {
    /// A linear classifier on `[CLS]`.
    pub fn linear(labels: usize) -> Self {
        Self { labels, kind: HeadKind::Linear, pooling: Pooling::Cls }
    }

    /// The layers of the architecture's class for sequence classification, on `[CLS]`.
    pub fn native(labels: usize) -> Self {
        Self { labels, kind: HeadKind::Native, pooling: Pooling::Cls }
    }

    /// Checks that the architecture's class for sequence classification has this pooling, so that the written model is the
    /// same for other programs.
    ///
    /// # Errors
    /// When it always reads `[CLS]`, or its layer is too narrow for the linear head of so many categories.
    pub fn check(self, config: &EncoderConfig) -> Result<()> {
        let native = config.architecture().native_head();
        if self.pooling == Pooling::Mean && native.pooling_key.is_none() {
            return Err(Error::NoMeanPooling { class: native.class });
        }
        let is_odd = self.kind == HeadKind::Linear && native.activation != Activation::Tanh;
        // A logit is written as the difference of two numbers of that layer.
        let most = config.hidden_size / 2;
        if is_odd && self.labels > most {
            return Err(Error::TooManyLabels { labels: self.labels, most });
        }
        Ok(())
    }

    /// Names and shapes of its tensors.
    pub fn tensors(self, config: &EncoderConfig) -> Vec<(String, Vec<usize>)> {
        match self.kind {
            HeadKind::Linear => linear_tensors(LINEAR, self.labels, config.hidden_size).into(),
            HeadKind::Native => {
                let native = config.architecture().native_head();
                let classifier = linear_tensors(&native.classifier, self.labels, config.hidden_size);
                native.dense_tensors(config.hidden_size).into_iter().chain(classifier).collect()
            }
        }
    }

    /// Adds the head to `weights`, randomly initialised: the classifier as in the article, the layers before it as
    /// transformers does.
    pub fn initialise(self, config: &EncoderConfig, weights: &mut Weights, seed: u64) {
        let native = config.architecture().native_head();
        let name = match self.kind {
            HeadKind::Linear => LINEAR,
            HeadKind::Native => {
                let deviation = config.initializer_range as f32;
                weights.add_dense(native.dense_tensors(config.hidden_size), deviation, seed);
                &native.classifier
            }
        };
        weights.add_classifier(name, self.labels, config.hidden_size, seed);
    }

    /// Names and shapes of the tensors before the classifier in the native head.
    pub(crate) fn dense_tensors(config: &EncoderConfig) -> Vec<(String, Vec<usize>)> {
        config.architecture().native_head().dense_tensors(config.hidden_size)
    }

    /// Whether tanh follows the first layer of the native head, as it follows a pooler.
    pub(crate) fn has_tanh(config: &EncoderConfig) -> bool {
        config.architecture().native_head().activation == Activation::Tanh
    }

    /// The class for sequence classification of the architecture in transformers, and its keys in `config.json`: the
    /// dropout before the classifier, and the pooling if the class has a choice.
    pub fn native_keys(self, config: &EncoderConfig, dropout: f64) -> (String, Map<String, Value>) {
        let native = config.architecture().native_head();
        let mut keys = Map::from_iter([(native.dropout_key.to_owned(), dropout.into())]);
        if let Some(key) = native.pooling_key {
            keys.insert(key.to_owned(), self.pooling.name().into());
        }
        (native.class, keys)
    }

    /// The head as transformers' class for sequence classification of the architecture has it.
    ///
    /// # Errors
    /// When a tensor of the head is missing, or the class cannot express the head.
    pub fn to_native(self, config: &EncoderConfig, weights: &Weights) -> Result<Weights> {
        self.check(config)?;
        let mut head = Weights::default();
        for (name, _) in self.tensors(config) {
            let tensor = weights.get(&name).ok_or_else(|| Error::Unfilled(name.clone()))?;
            head.insert(name, tensor.clone());
        }
        if self.kind == HeadKind::Native {
            return Ok(head);
        }
        let native = config.architecture().native_head();
        let [Some(weight), Some(bias)] = linear_names(LINEAR).map(|name| head.remove(&name)) else {
            return Err(Error::Unfilled(LINEAR.to_owned()));
        };
        let hidden = config.hidden_size;
        for (name, shape) in native.dense_tensors(hidden) {
            let is_scale = native.norm.as_ref().is_some_and(|(norm, _)| name == format!("{norm}.weight"));
            head.insert(name, if is_scale { ArrayD::ones(shape) } else { ArrayD::zeros(shape) });
        }
        let [dense, classifier] = [&native.dense, &native.classifier].map(|name| format!("{name}.weight"));
        let mut matrix = Array2::zeros((hidden, hidden));
        let written = if native.activation == Activation::Tanh {
            matrix.diag_mut().fill(SCALE);
            weight.mapv(|number| number / SCALE)
        } else {
            let scale = odd_scale(config, &native);
            let rows = weight.mapv(|number| number * scale);
            let rows = rows.into_dimensionality::<Ix2>().map_err(|_| Error::Unfilled(LINEAR.to_owned()))?;
            matrix.slice_axis_mut(Axis(0), Slice::from(..self.labels)).assign(&rows);
            let second = Slice::from(self.labels..2 * self.labels);
            matrix.slice_axis_mut(Axis(0), second).assign(&-rows);
            let size = if native.norm.is_some() { (config.layer_norm_eps as f32).sqrt() } else { 1.0 };
            differences(self.labels, hidden, size / scale).into_dyn()
        };
        head.insert(dense, matrix.into_dyn());
        head.insert(classifier, written);
        head.insert(format!("{}.bias", native.classifier), bias);
        Ok(head)
    }

    /// Undoes [`to_native`](Self::to_native) for a linear head in `weights`: replaces the tensors of the native head by
    /// those of the linear one. Returns whether it could: layers that compute something else stay.
    pub(crate) fn undo(config: &EncoderConfig, weights: &mut Weights) -> bool {
        let native = config.architecture().native_head();
        let linear = if native.activation == Activation::Tanh {
            undo_tanh(&native, weights)
        } else {
            undo_odd(config, &native, weights)
        };
        let Some((weight, bias)) = linear else { return false };
        for (name, _) in Self::native(0).tensors(config) {
            weights.remove(&name);
        }
        for (name, tensor) in linear_names(LINEAR).into_iter().zip([weight, bias]) {
            weights.insert(name, tensor);
        }
        true
    }

    /// The head's layers on the pooled hidden states: `[batch, labels]`.
    pub(crate) fn logits<'g>(self, nodes: Nodes<'g>, config: &EncoderConfig, pooled: Node<'g>) -> Node<'g> {
        let width = nodes.geometry.hidden_size;
        let (pooled, name) = match self.kind {
            HeadKind::Linear => (pooled, LINEAR.to_owned()),
            HeadKind::Native => {
                let native = config.architecture().native_head();
                (native.dense(nodes, pooled), native.classifier)
            }
        };
        nodes.graph.scope(&name, || {
            let dropped = nodes.drop_hidden(&name, pooled);
            nodes.linear_float32(&name, dropped, [width, self.labels], true)
        })
    }
}

impl NativeHead {
    /// Names and shapes of the tensors before the classifier.
    fn dense_tensors(&self, hidden: usize) -> Vec<(String, Vec<usize>)> {
        let mut tensors = vec![(format!("{}.weight", self.dense), vec![hidden, hidden])];
        if self.has_bias {
            tensors.push((format!("{}.bias", self.dense), vec![hidden]));
        }
        if let Some((norm, has_bias)) = &self.norm {
            tensors.push((format!("{norm}.weight"), vec![hidden]));
            if *has_bias {
                tensors.push((format!("{norm}.bias"), vec![hidden]));
            }
        }
        tensors
    }

    /// The layers before the classifier.
    fn dense<'g>(&self, nodes: Nodes<'g>, pooled: Node<'g>) -> Node<'g> {
        let width = nodes.geometry.hidden_size;
        let scope = self.dense.trim_end_matches(".dense");
        nodes.graph.scope(scope, || {
            let x = if self.drops_input { nodes.drop_hidden(&self.dense, pooled) } else { pooled };
            let x = nodes.linear_float32(&self.dense, x, [width, width], self.has_bias);
            let x = self.activation.of(x);
            match &self.norm {
                Some((norm, has_bias)) => nodes.layer_norm_with(norm, x, *has_bias),
                None => x,
            }
        })
    }
}

/// The linear head's layer in graphs and weights.
const LINEAR: &str = "classifier";

fn linear_names(name: &str) -> [String; 2] {
    ["weight", "bias"].map(|part| format!("{name}.{part}"))
}

fn linear_tensors(name: &str, labels: usize, hidden_size: usize) -> [(String, Vec<usize>); 2] {
    let [weight, bias] = linear_names(name);
    [(weight, vec![labels, hidden_size]), (bias, vec![labels])]
}

/// The power of two that rows before GELU or ReLU are multiplied with: 1, or 2⁻¹² times the root of the epsilon of a layer
/// normalisation after them.
fn odd_scale(config: &EncoderConfig, native: &NativeHead) -> f32 {
    match native.norm {
        None => 1.0,
        Some(_) => SCALE * config.layer_norm_eps.sqrt().log2().floor().exp2() as f32,
    }
}

/// `factor` times (the identity, minus the identity, zeros): `[labels, hidden]`.
fn differences(labels: usize, hidden: usize, factor: f32) -> Array2<f32> {
    Array2::from_shape_fn((labels, hidden), |(row, column)| match column.checked_sub(row) {
        Some(0) => factor,
        Some(distance) if distance == labels => -factor,
        _ => 0.0,
    })
}

fn undo_tanh(native: &NativeHead, weights: &Weights) -> Option<(ArrayD<f32>, ArrayD<f32>)> {
    let [weight, bias] = linear_names(&native.dense);
    let scale = identity_scale(weights.get(&weight)?, weights.get(&bias)?)?;
    let [weight, bias] = linear_names(&native.classifier);
    Some((weights.get(&weight)?.mapv(|number| number * scale), weights.get(&bias)?.clone()))
}

/// Whether the layers before a classifier are those that a linear head is written with.
pub(crate) fn is_linear_form(config: &EncoderConfig, dense: &[(String, ArrayD<f32>)]) -> bool {
    let Some((_, weight)) = dense.first() else { return false };
    if Head::has_tanh(config) {
        return dense.get(1).is_some_and(|(_, bias)| identity_scale(weight, bias).is_some());
    }
    let Ok(rows) = weight.view().into_dimensionality::<Ix2>() else { return false };
    let used = rows.rows().into_iter().take_while(|row| row.iter().any(|number| *number != 0.0)).count();
    let (first, others) = rows.split_at(Axis(0), used / 2);
    let (second, rest) = others.split_at(Axis(0), used / 2);
    used > 0 && used.is_multiple_of(2) && first == -&second && rest.iter().all(|number| *number == 0.0)
}

fn undo_odd(
    config: &EncoderConfig,
    native: &NativeHead,
    weights: &Weights,
) -> Option<(ArrayD<f32>, ArrayD<f32>)> {
    let [name, bias] = linear_names(&native.classifier);
    let (classifier, bias) =
        (weights.get(&name)?.view().into_dimensionality::<Ix2>().ok()?, weights.get(&bias)?);
    let (labels, hidden) = classifier.dim();
    if 2 * labels > hidden || classifier != differences(labels, hidden, *classifier.first()?) {
        return None;
    }
    let dense = weights.get(&format!("{}.weight", native.dense))?.view().into_dimensionality::<Ix2>().ok()?;
    let rows = |from: usize, to: usize| dense.slice_axis(Axis(0), Slice::from(from..to)).to_owned();
    let first = rows(0, labels);
    let zeros = Array2::zeros((hidden - 2 * labels, hidden));
    let expected = concatenate(Axis(0), &[first.view(), (-&first).view(), zeros.view()]).ok()?;
    let scale = odd_scale(config, native);
    (dense == expected).then(|| (first.mapv(|number| number / scale).into_dyn(), bias.clone()))
}

/// The factor of a pooler that is a power of two, 1 at most, times the identity without bias; `None` for every other
/// pooler.
pub(crate) fn identity_scale(weight: &ArrayD<f32>, bias: &ArrayD<f32>) -> Option<f32> {
    /// The bits of a float32's mantissa.
    const MANTISSA: u32 = (1 << (f32::MANTISSA_DIGITS - 1)) - 1;
    let matrix = weight.view().into_dimensionality::<Ix2>().ok()?;
    let bias = bias.view().into_dimensionality::<Ix1>().ok()?;
    let scale = *matrix.first()?;
    let is_power_of_two = scale.is_normal() && scale.to_bits() & MANTISSA == 0;
    if !is_power_of_two || !(0.0..=1.0).contains(&scale) || bias.iter().any(|number| *number != 0.0) {
        return None;
    }
    let is_right = |row: usize, column: usize, number: f32| {
        if row == column { number == scale } else { number == 0.0 }
    };
    let rows = matrix.axis_iter(Axis(0)).enumerate();
    let mut numbers = rows
        .flat_map(|(row, numbers)| numbers.into_iter().enumerate().map(move |(column, n)| (row, column, *n)));
    numbers.all(|(row, column, number)| is_right(row, column, number)).then_some(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> EncoderConfig {
        serde_json::from_str(
            r#"{"model_type": "bert", "vocab_size": 5, "hidden_size": 8, "num_hidden_layers": 1,
                "num_attention_heads": 2, "intermediate_size": 4, "max_position_embeddings": 4}"#,
        )
        .unwrap()
    }

    #[test]
    fn a_linear_head_is_recovered_bit_for_bit() {
        let config = config();
        let mut weights = Weights::default();
        weights.add_classifier(LINEAR, 3, config.hidden_size, 7);
        // The smallest and the largest numbers that a training could reach.
        if let Some(numbers) = weights.get_mut("classifier.weight").and_then(|tensor| tensor.as_slice_mut()) {
            numbers[..4].copy_from_slice(&[f32::MIN_POSITIVE / 8.0, -0.0, 1e30, -1e-30]);
        }
        let written = Head::linear(3).to_native(&config, &weights).unwrap();
        assert_eq!(written.get("bert.pooler.dense.weight").unwrap().sum(), 8.0 * SCALE);
        assert_ne!(written.get("classifier.weight"), weights.get("classifier.weight"));
        let mut read = written;
        assert!(Head::undo(&config, &mut read));
        let bits = |weights: &Weights| -> Vec<(String, Vec<u32>)> {
            let of = |(name, tensor): (&str, &ArrayD<f32>)| {
                (name.to_owned(), tensor.iter().map(|number| number.to_bits()).collect())
            };
            weights.iter().map(of).collect()
        };
        assert_eq!(bits(&read), bits(&weights));
    }

    #[test]
    fn more_categories_than_a_native_head_holds_are_refused_before_the_training() {
        let of = |architecture: &str| -> EncoderConfig {
            let mut keys = serde_json::to_value(config()).unwrap();
            keys["model_type"] = architecture.into();
            serde_json::from_value(keys).unwrap()
        };
        // A logit takes two of the eight numbers of a layer with ReLU or GELU, and any number of one with tanh.
        for (architecture, most) in [("bert", 100), ("roberta", 100), ("distilbert", 4)] {
            let config = of(architecture);
            Head::linear(most).check(&config).unwrap();
            Head::native(100).check(&config).unwrap();
        }
        let refused = Head::linear(5).check(&of("distilbert"));
        assert!(matches!(refused, Err(Error::TooManyLabels { labels: 5, most: 4 })), "{refused:?}");
    }

    #[test]
    fn only_a_power_of_two_times_the_identity_is_undone() {
        let identity =
            |scale: f32| ArrayD::from_shape_fn(vec![4, 4], |at| if at[0] == at[1] { scale } else { 0.0 });
        let zeros = ArrayD::zeros(vec![4]);
        assert_eq!(identity_scale(&identity(0.125), &zeros), Some(0.125));
        assert_eq!(identity_scale(&identity(0.1), &zeros), None, "not a power of two");
        assert_eq!(identity_scale(&identity(2.0), &zeros), None, "the tanh is not linear there");
        assert_eq!(identity_scale(&identity(-0.125), &zeros), None);
        assert_eq!(identity_scale(&identity(0.0), &zeros), None);
        assert_eq!(identity_scale(&identity(0.125), &ArrayD::ones(vec![4])), None, "a bias");
        let mut other = identity(0.125);
        other[[1, 2]] = 1e-9;
        assert_eq!(identity_scale(&other, &zeros), None);
        other = identity(0.125);
        other[[3, 3]] = 0.25;
        assert_eq!(identity_scale(&other, &zeros), None);
    }
}

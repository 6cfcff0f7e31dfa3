//! AdamW inside the training graph: weights and moments stay on the device between steps, where the fused
//! optimiser would copy them to the host and back.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use midashi_config::Train;
use midashi_encoder::{
    AdamW, BIAS_CORRECTION, GRADIENT_NORM, LOGITS, LOSS, RATE_FACTOR, STEP_SIZE, Weights, first_moment_name,
    gradient_sum_name, next_name, second_moment_name,
};
use midashi_runtime::{DeviceTensor, Engine, Outputs, Session, Tensor};
use ndarray::{ArrayD, arr0};

use crate::model::Model;
use crate::optimiser::adam::{BETA_1, BETA_2, EPSILON};
use crate::optimiser::interface::{MicroBatch, Optimiser, views};
use crate::optimiser::learning_rate::learning_rate;
use crate::optimiser::state::{State, TensorState};

/// Outputs that are copied to the host after each run.
const RESULTS: [&str; 3] = [LOSS, LOGITS, GRADIENT_NORM];

/// Device tensors by the graph input that they are fed to. A run replaces them and never changes them, so
/// saved ones are shared and not copied.
type Tensors = BTreeMap<String, Rc<DeviceTensor>>;

/// The training graph with its optimiser, and all weights.
pub struct InGraph<'a> {
    engine: &'a Engine,
    /// Runs the micro-batches of a step before its last, with gradient accumulation.
    accumulating: Option<Session>,
    /// Runs the last or only micro-batch and makes the step.
    stepping: Session,
    weights: Weights,
    trainable: Tensors,
    moments: Tensors,
    /// The trainable tensors after the best epoch.
    best: Option<Tensors>,
    /// Accumulated gradients: before a step, and after its micro-batches so far.
    zeros: Tensors,
    sums: Tensors,
    steps: usize,
}

impl<'a> InGraph<'a> {
    /// Before the first step.
    pub fn new(engine: &'a Engine, model: &Model, train: &Train, weights: Weights) -> Result<Self> {
        let adamw = AdamW {
            beta_1: BETA_1,
            beta_2: BETA_2,
            epsilon: EPSILON,
            max_grad_norm: train.max_grad_norm as f32,
        };
        let rate = |name: &str| learning_rate(model, train, name);
        let gradients = model.gradients();
        let (accumulating, stepping) = if train.gradient_accumulation_steps > 1 {
            (
                Some(gradients.with_gradient_sums()?),
                gradients.with_gradient_accumulation().with_adamw(adamw, rate)?,
            )
        } else {
            (None, gradients.with_adamw(adamw, rate)?)
        };

        let (mut trainable, mut moments, mut zeros) = (Tensors::new(), Tensors::new(), Tensors::new());
        for (name, shape) in stepping.parameters().filter(|(name, _)| model.is_trainable(name)) {
            let tensor = weights.get(name).with_context(|| format!("there is no tensor {name}"))?;
            trainable.insert(name.to_owned(), Rc::new(engine.to_device(tensor.view())?));
            let zero = Rc::new(engine.to_device(ArrayD::zeros(shape).view())?);
            moments.extend(moment_names(name).map(|moment| (moment, zero.clone())));
            if accumulating.is_some() {
                zeros.insert(gradient_sum_name(name), zero);
            }
        }
        let accumulating = accumulating.map(|graph| model.session(engine, "accumulating", &graph, &weights));
        Ok(Self {
            accumulating: accumulating.transpose()?,
            stepping: model.session(engine, "stepping", &stepping, &weights)?,
            engine,
            trainable,
            moments,
            best: None,
            sums: zeros.clone(),
            zeros,
            steps: 0,
            weights,
        })
    }

    /// Runs the last or only micro-batch of a step and makes the step.
    fn step(&mut self, inputs: &[(&str, Tensor<'_>)], factor: f64) -> Result<Outputs> {
        self.steps += 1;
        let size = factor / (1.0 - f64::from(BETA_1).powi(self.steps as i32));
        let correction = 1.0 / (1.0 - f64::from(BETA_2).powi(self.steps as i32)).sqrt();
        let scalars = [(RATE_FACTOR, factor), (STEP_SIZE, size), (BIAS_CORRECTION, correction)];
        let scalars = scalars.map(|(name, number)| (name, arr0(number as f32).into_dyn()));
        let scalars = scalars.iter().map(|(name, number)| (*name, number.view().into()));
        let inputs: Vec<(&str, Tensor<'_>)> = views(inputs).chain(scalars).collect();
        let sums = std::mem::replace(&mut self.sums, self.zeros.clone());
        run(&mut self.stepping, &inputs, &sums, &mut [&mut self.trainable, &mut self.moments])
    }
}

impl Optimiser for InGraph<'_> {
    fn trainable(&self) -> Vec<(&str, Tensor<'_>)> {
        self.trainable.iter().map(|(name, tensor)| (name.as_str(), tensor.as_ref().into())).collect()
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn run(&mut self, inputs: &[(&str, Tensor<'_>)], factor: Option<f64>) -> Result<MicroBatch> {
        let outputs = match (factor, &mut self.accumulating) {
            (Some(factor), _) => self.step(inputs, factor)?,
            (None, Some(session)) => run(session, inputs, &self.trainable, &mut [&mut self.sums])?,
            (None, None) => bail!("there is no graph that accumulates gradients"),
        };
        let (loss, logits) = (outputs.float32(LOSS)?.sum(), outputs.float32(LOGITS)?.to_owned());
        let gradient_norm = factor.map(|_| outputs.float32(GRADIENT_NORM)).transpose()?;
        Ok(MicroBatch { loss, logits, gradient_norm: gradient_norm.map(|norm| norm.sum()) })
    }

    fn save_best(&mut self) {
        self.best = Some(self.trainable.clone());
    }

    fn restore_best(&mut self) {
        if let Some(best) = self.best.take() {
            self.trainable = best;
        }
    }

    fn state(&self) -> Result<State<'_>> {
        let on_host = |tensors: &Tensors, name: &str| {
            let tensor = tensors.get(name).with_context(|| format!("there is no tensor {name}"))?;
            anyhow::Ok(tensor.to_host()?.into())
        };
        let mut state = State::new();
        for name in self.trainable.keys() {
            let [first, second] = moment_names(name);
            let tensor = TensorState {
                weight: on_host(&self.trainable, name)?,
                best: self.best.as_ref().map(|best| on_host(best, name)).transpose()?,
                moments: [on_host(&self.moments, &first)?, on_host(&self.moments, &second)?],
            };
            state.extend(tensor.named(name));
        }
        Ok(state)
    }

    fn restore(&mut self, mut state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()> {
        self.steps = steps;
        let on_device = |tensor: ArrayD<f32>| anyhow::Ok(Rc::new(self.engine.to_device(tensor.view())?));
        let mut all_best = Tensors::new();
        for (name, tensor) in &mut self.trainable {
            let TensorState { weight, best, moments } = TensorState::take(&mut state, name, &tensor.shape())?;
            *tensor = on_device(weight)?;
            for (name, moment) in moment_names(name).into_iter().zip(moments) {
                self.moments.insert(name, on_device(moment)?);
            }
            if let Some(best) = best {
                all_best.insert(name.clone(), on_device(best)?);
            }
        }
        self.best = (!all_best.is_empty()).then_some(all_best);
        Ok(())
    }

    fn into_weights(mut self: Box<Self>) -> Result<Weights> {
        for (name, tensor) in self.trainable {
            self.weights.insert(name, tensor.to_host()?);
        }
        Ok(self.weights)
    }
}

/// Inputs of the first and second moment of the parameter `name`.
fn moment_names(name: &str) -> [String; 2] {
    [first_moment_name(name), second_moment_name(name)]
}

/// Feeds `inputs` from the host, and `fed` and `updated` from the device; replaces `updated` by their
/// values after the run.
fn run(
    session: &mut Session,
    inputs: &[(&str, Tensor<'_>)],
    fed: &Tensors,
    updated: &mut [&mut Tensors],
) -> Result<Outputs> {
    let on_device = updated.iter().map(|tensors| &**tensors).chain([fed]).flatten();
    let on_device = on_device.map(|(name, tensor)| (name.as_str(), tensor.as_ref().into()));
    let inputs = views(inputs).chain(on_device).collect();
    let mut outputs = session.run_with_device_outputs(inputs, |name| !RESULTS.contains(&name))?;
    for (name, tensor) in updated.iter_mut().flat_map(|tensors| tensors.iter_mut()) {
        *tensor = Rc::new(outputs.take(&next_name(name))?);
    }
    Ok(outputs)
}

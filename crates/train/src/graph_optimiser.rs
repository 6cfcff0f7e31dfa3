//! AdamW inside the training graph: weights and moments stay on the device from step to step, where the
//! fused optimiser would have them copied to the host and back. Both give the same numbers.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context, Result};
use midashi_bert::{
    AdamW, BIAS_CORRECTION, GRADIENT_NORM, Graph, LOGITS, LOSS, RATE_FACTOR, STEP_SIZE, Weights,
    first_moment_name, gradient_sum_name, next_name, second_moment_name,
};
use midashi_config::Train;
use midashi_runtime::{Engine, Outputs, Resident, Session, Tensor};
use ndarray::{ArrayD, arr0};

use crate::adam::{BETA_1, BETA_2, EPSILON};
use crate::learner::{KEPT, Learner, MOMENTS, Part, SavedTensor, State, WEIGHT};
use crate::model::Model;
use crate::optimiser::learning_rate_of;

/// What comes to the host after each run.
const RESULTS: [&str; 3] = [LOSS, LOGITS, GRADIENT_NORM];

/// Tensors on the device by the input of the graph that they are fed to. A run makes new ones of them and
/// leaves the old as they were, so that whoever wants to keep some shares them.
type Tensors = BTreeMap<String, Rc<Resident>>;

/// The training graph with its optimiser, and all weights.
pub struct GraphOptimiser<'a> {
    engine: &'a Engine,
    /// Runs a step's parts but the last, where steps have parts.
    adding: Option<Session>,
    /// Runs the last part, or the whole batch, and makes the step.
    stepping: Session,
    weights: Weights,
    learned: Tensors,
    moments: Tensors,
    /// What learns, after the best epoch.
    kept: Option<Tensors>,
    /// The gradients' sums before a step's first part, and of its parts so far.
    zeros: Tensors,
    sums: Tensors,
    steps: usize,
}

impl<'a> GraphOptimiser<'a> {
    /// Before the first step.
    pub fn new(engine: &'a Engine, model: &Model, train: &Train, weights: Weights) -> Result<Self> {
        let session = |name: &str, graph: &Graph| model.session(engine, name, graph, &weights);
        let adamw =
            AdamW { beta_1: BETA_1, beta_2: BETA_2, epsilon: EPSILON, clip_norm: train.clip_norm as f32 };
        let rate = |name: &str| learning_rate_of(model, train, name);
        let gradients = model.gradients()?;
        let (adding, stepping) = if train.accumulation > 1 {
            (Some(gradients.clone().with_sums()?), gradients.with_earlier_parts()?.with_adamw(adamw, rate)?)
        } else {
            (None, gradients.with_adamw(adamw, rate)?)
        };

        let (mut learned, mut moments, mut zeros) = (Tensors::new(), Tensors::new(), Tensors::new());
        for (name, shape) in stepping.parameters().filter(|(name, _)| model.learns(name)) {
            let tensor = weights.get(name).with_context(|| format!("there is no tensor {name}"))?;
            learned.insert(name.to_owned(), Rc::new(engine.resident(tensor.view())?));
            let zero = Rc::new(engine.resident(ArrayD::zeros(shape).view())?);
            moments.insert(first_moment_name(name), zero.clone());
            moments.insert(second_moment_name(name), zero.clone());
            if adding.is_some() {
                zeros.insert(gradient_sum_name(name), zero);
            }
        }
        Ok(Self {
            adding: adding.map(|graph| session("adding", &graph)).transpose()?,
            stepping: session("stepping", &stepping)?,
            engine,
            learned,
            moments,
            kept: None,
            sums: zeros.clone(),
            zeros,
            steps: 0,
            weights,
        })
    }

    /// Computes a part of a step that is not its last, and adds its gradients to those of the parts before.
    fn add_part(&mut self, inputs: &[(&str, Tensor<'_>)]) -> Result<Outputs> {
        let session = self.adding.as_mut().context("a step has one part, as train.accumulation says")?;
        run(session, inputs, &[&self.learned], &mut [&mut self.sums])
    }

    /// Computes a step's last or only part and makes the step, with the learning rates times `factor`.
    fn step(&mut self, inputs: &[(&str, Tensor<'_>)], factor: f64) -> Result<Outputs> {
        self.steps += 1;
        let size = factor / (1.0 - f64::from(BETA_1).powi(self.steps as i32));
        let correction = 1.0 / (1.0 - f64::from(BETA_2).powi(self.steps as i32)).sqrt();
        let scalars = [(RATE_FACTOR, factor), (STEP_SIZE, size), (BIAS_CORRECTION, correction)];
        let scalars = scalars.map(|(name, number)| (name, arr0(number as f32).into_dyn()));
        let mut inputs: Vec<(&str, Tensor<'_>)> =
            inputs.iter().map(|(name, tensor)| (*name, tensor.view())).collect();
        inputs.extend(scalars.iter().map(|(name, number)| (*name, number.view().into())));
        let sums = std::mem::replace(&mut self.sums, self.zeros.clone());
        run(&mut self.stepping, &inputs, &[&sums], &mut [&mut self.learned, &mut self.moments])
    }
}

impl Learner for GraphOptimiser<'_> {
    fn learned(&self) -> Vec<(&str, Tensor<'_>)> {
        self.learned.iter().map(|(name, tensor)| (name.as_str(), tensor.as_ref().into())).collect()
    }

    fn steps(&self) -> usize {
        self.steps
    }

    fn learn(&mut self, inputs: &[(&str, Tensor<'_>)], last: Option<f64>) -> Result<Part> {
        let outputs = match last {
            Some(factor) => self.step(inputs, factor)?,
            None => self.add_part(inputs)?,
        };
        let (loss, logits) = (outputs.float32(LOSS)?.sum(), outputs.float32(LOGITS)?.to_owned());
        let gradient_norm = last.map(|_| outputs.float32(GRADIENT_NORM)).transpose()?;
        Ok(Part { loss, logits, gradient_norm: gradient_norm.map(|norm| norm.sum()) })
    }

    fn keep(&mut self) {
        self.kept = Some(self.learned.clone());
    }

    fn put_back_kept(&mut self) {
        if let Some(kept) = self.kept.take() {
            self.learned = kept;
        }
    }

    fn state(&self) -> Result<State<'_>> {
        let mut state = State::new();
        for (name, weight) in &self.learned {
            let moments = [first_moment_name(name), second_moment_name(name)];
            let moments = moments.iter().map(|moment| self.moments.get(moment));
            let kept = self.kept.as_ref().and_then(|kept| kept.get(name)).map(|kept| (KEPT, kept));
            let moments = MOMENTS.into_iter().zip(moments).filter_map(|(what, moment)| Some((what, moment?)));
            for (what, tensor) in [(WEIGHT, weight)].into_iter().chain(kept).chain(moments) {
                state.push((format!("{what}{name}"), tensor.to_host()?.into()));
            }
        }
        Ok(state)
    }

    fn restore(&mut self, mut state: HashMap<String, Vec<f32>>, steps: usize) -> Result<()> {
        self.steps = steps;
        let resident =
            |tensor: &ArrayD<f32>| Ok::<_, anyhow::Error>(Rc::new(self.engine.resident(tensor.view())?));
        let mut kept = Tensors::new();
        for (name, tensor) in &mut self.learned {
            let saved = SavedTensor::take(&mut state, name, &tensor.shape())?;
            *tensor = resident(&saved.weight)?;
            let moments = [first_moment_name(name), second_moment_name(name)];
            for (moment, numbers) in moments.into_iter().zip(&saved.moments) {
                self.moments.insert(moment, resident(numbers)?);
            }
            if let Some(numbers) = &saved.kept {
                kept.insert(name.clone(), resident(numbers)?);
            }
        }
        self.kept = (!kept.is_empty()).then_some(kept);
        Ok(())
    }

    fn into_weights(mut self: Box<Self>) -> Result<Weights> {
        for (name, tensor) in self.learned {
            self.weights.insert(name, tensor.to_host()?);
        }
        Ok(self.weights)
    }
}

/// Feeds `inputs`, what is `fed` from the device and what is `remembered`, which becomes what the graph
/// makes of it.
fn run(
    session: &mut Session,
    inputs: &[(&str, Tensor<'_>)],
    fed: &[&Tensors],
    remembered: &mut [&mut Tensors],
) -> Result<Outputs> {
    let from_host = inputs.iter().map(|(name, tensor)| (*name, tensor.view()));
    let on_device = fed.iter().copied().chain(remembered.iter().map(|tensors| &**tensors)).flatten();
    let on_device = on_device.map(|(name, tensor)| (name.as_str(), tensor.as_ref().into()));
    let mut outputs =
        session.run_keeping(from_host.chain(on_device).collect(), |name| !RESULTS.contains(&name))?;
    for (name, tensor) in remembered.iter_mut().flat_map(|tensors| tensors.iter_mut()) {
        *tensor = Rc::new(outputs.take(&next_name(name))?);
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use midashi_bert::{
        Batch, BertConfig, Dropout, PaddingRule, Start, Storage, TARGETS, TextIds, gradient_name,
    };
    use midashi_config::{LearningRates, Schedule, TrainableLayers};
    use midashi_runtime::DeviceChoice;
    use ndarray::{Array2, ArrayViewD};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use crate::dropout;
    use crate::optimiser::Optimiser;
    use crate::schedule::Course;

    const STEPS: usize = 20;
    const LABELS: usize = 4;
    const VOCABULARY: i32 = 40;
    /// Token types of the longest text.
    const TYPES: [i32; 11] = [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];
    /// Largest difference accepted, relative to the largest number of the tensor.
    const TOLERANCE: f32 = 1e-6;

    fn engine() -> Engine {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache/onnxruntime");
        Engine::open(&folder, DeviceChoice::Cpu, 1).unwrap()
    }

    fn model() -> Model {
        let config: BertConfig = serde_json::from_value(serde_json::json!({
            "model_type": "bert", "vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 3,
            "num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 12
        }))
        .unwrap();
        let dropout = Dropout { hidden: true, attention: true };
        let labels = (0..LABELS).map(|label| label.to_string()).collect();
        Model { config, labels, start: Start::InputIds, trainable: TrainableLayers::All, dropout }
    }

    /// Everything at once: decay, clipping, schedule, rates by layer, dropout.
    fn recipe(accumulation: usize, clip_norm: f64) -> Train {
        Train {
            learning_rate: LearningRates {
                encoder: 1e-3,
                classifier: 3e-3,
                schedule: Schedule::Linear,
                warmup: 0.2,
                layer_decay: 0.8,
            },
            weight_decay: 0.1,
            clip_norm,
            dropout: midashi_config::Dropout { hidden: 0.1, attention: 0.1 },
            accumulation,
            ..Train::default()
        }
    }

    /// What is fed to the training graph besides what learns.
    struct Fed {
        texts: Batch,
        targets: ArrayD<f32>,
        masks: Vec<(String, ArrayD<f32>)>,
    }

    impl Fed {
        fn inputs(&self) -> Vec<(&str, Tensor<'_>)> {
            let mut inputs: Vec<(&str, Tensor<'_>)> = self.texts.inputs();
            inputs.push((TARGETS, self.targets.view().into()));
            inputs.extend(self.masks.iter().map(|(name, mask)| (name.as_str(), mask.view().into())));
            inputs
        }
    }

    /// The parts of each step, texts of different lengths.
    fn steps(graph: &Graph, train: &Train) -> Vec<Vec<Fed>> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut run = 0;
        let mut part = || {
            run += 1;
            let mut text =
                || (0..rng.random_range(3..12)).map(|_| rng.random_range(1..VOCABULARY)).collect::<Vec<_>>();
            let texts: Vec<Vec<i32>> = (0..4).map(|_| text()).collect();
            let texts: Vec<TextIds<'_>> = texts
                .iter()
                .map(|ids| TextIds { input_ids: ids, token_type_ids: &TYPES[..ids.len()] })
                .collect();
            let texts = Batch::of_ids(&texts, 0, PaddingRule::Masked);
            let answers: Vec<usize> = (0..4).map(|_| rng.random_range(0..LABELS)).collect();
            let share = 0.25 / train.accumulation as f32;
            let target = |(row, label)| if answers[row] == label { share } else { 0.0 };
            let targets = Array2::from_shape_fn((4, LABELS), target).into_dyn();
            let masks = dropout::masks(graph, train.dropout, 5, run, texts.sizes());
            Fed { texts, targets, masks }
        };
        (0..STEPS).map(|_| (0..train.accumulation).map(|_| part()).collect()).collect()
    }

    fn assert_close(what: &str, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) {
        assert_eq!(found.shape(), expected.shape(), "{what}");
        let largest = expected.iter().fold(0.0_f32, |most, number| most.max(number.abs()));
        let furthest = found
            .iter()
            .zip(expected)
            .fold(0.0_f32, |most, (found, expected)| most.max((found - expected).abs()));
        assert!(furthest <= TOLERANCE * largest, "{what}: {furthest} of {largest}");
    }

    /// Trains with both optimisers on the same batches; the fused one gets gradients and adds up parts.
    fn compare(accumulation: usize, clip_norm: f64) {
        let (engine, model, train) = (engine(), model(), recipe(accumulation, clip_norm));
        let mut weights = Weights::scratch(&model.config, 0);
        weights.add_classifier(LABELS, model.config.hidden_size, 0);
        let before = weights.clone();
        let graph = model.training().unwrap();
        let steps = steps(&graph, &train);
        let course = Course::new(&train.learning_rate, STEPS);
        let names: Vec<String> = graph.parameters().map(|(name, _)| name.to_owned()).collect();

        let mut training = engine.session(&graph.to_model("training", |_| Storage::Input), vec![]).unwrap();
        let mut fused = Optimiser::new(&model, &train, weights.clone(), names.clone()).unwrap();
        let mut in_graph = GraphOptimiser::new(&engine, &model, &train, weights).unwrap();
        let mut clipped = 0;
        for (number, parts) in steps.iter().enumerate() {
            let factor = course.factor(number);
            let mut sums: Vec<ArrayD<f32>> = Vec::new();
            for (at, part) in parts.iter().enumerate() {
                let mut inputs = part.inputs();
                inputs.extend(fused.learned().map(|(name, tensor)| (name, tensor.view().into())));
                let expected = training.run(inputs).unwrap();
                let gradients = names.iter().map(|name| expected.float32(&gradient_name(name)).unwrap());
                if at == 0 {
                    sums = gradients.map(|gradient| gradient.to_owned()).collect();
                } else {
                    sums.iter_mut().zip(gradients).for_each(|(sum, gradient)| *sum += &gradient);
                }
                let is_last = at + 1 == parts.len();
                let found = in_graph.learn(&part.inputs(), is_last.then_some(factor)).unwrap();
                assert_close("loss", arr0(found.loss).into_dyn().view(), expected.float32(LOSS).unwrap());
                assert_close("logits", found.logits.view(), expected.float32(LOGITS).unwrap());
                if is_last {
                    let gradients: Vec<ArrayViewD<'_, f32>> = sums.iter().map(|sum| sum.view()).collect();
                    let norm = arr0(fused.step(&gradients, factor).unwrap()).into_dyn();
                    assert_close("norm", arr0(found.gradient_norm.unwrap()).into_dyn().view(), norm.view());
                    clipped += usize::from(norm.sum() > train.clip_norm as f32);
                }
            }
        }
        assert!((1..STEPS).contains(&clipped), "{clipped} of {STEPS} gradients were clipped");
        let found = Box::new(in_graph).into_weights().unwrap();
        // A key's bias adds the same to all of a token's scores, which the softmax takes away again: its
        // gradient is 0 in exact arithmetic, and Adam makes whole steps of what rounding leaves of it.
        for (name, expected) in fused.learned().filter(|(name, _)| !name.ends_with(".key.bias")) {
            assert_close(name, found.get(name).unwrap().view(), expected.view());
            let moved = expected != before.get(name).unwrap();
            assert!(moved, "{name} learned");
        }
    }

    #[test]
    fn after_twenty_steps_the_weights_are_those_of_the_fused_optimiser() {
        compare(1, 3.0);
    }

    #[test]
    fn parts_of_a_step_make_the_same_weights_as_with_the_fused_optimiser() {
        compare(3, 1.8);
    }
    /// The state as it comes from a file.
    fn saved(learner: &dyn Learner) -> HashMap<String, Vec<f32>> {
        let state = learner.state().unwrap().into_iter();
        state.map(|(name, tensor)| (name, tensor.iter().copied().collect())).collect()
    }

    #[test]
    fn a_saved_state_goes_on_in_the_same_numbers_and_the_kept_weights_come_back() {
        let (engine, model, train) = (engine(), model(), recipe(2, 1.0));
        let mut weights = Weights::scratch(&model.config, 0);
        weights.add_classifier(LABELS, model.config.hidden_size, 0);
        let steps = steps(&model.training().unwrap(), &train);
        let new = || GraphOptimiser::new(&engine, &model, &train, weights.clone()).unwrap();
        let go = |learner: &mut GraphOptimiser<'_>, steps: &[Vec<Fed>]| {
            for parts in steps {
                learner.learn(&parts[0].inputs(), None).unwrap();
                learner.learn(&parts[1].inputs(), Some(0.5)).unwrap();
            }
        };
        let mut through = new();
        go(&mut through, &steps[..2]);
        through.keep();
        let kept = saved(&through);
        go(&mut through, &steps[2..4]);

        let mut resumed = new();
        resumed.restore(saved(&through), 4).unwrap();
        assert_eq!(saved(&resumed), saved(&through));
        go(&mut through, &steps[4..6]);
        go(&mut resumed, &steps[4..6]);
        assert_eq!(saved(&resumed), saved(&through), "every number of weights and moments");
        assert_eq!((resumed.steps(), through.steps()), (6, 6));

        resumed.put_back_kept();
        let found = Box::new(resumed).into_weights().unwrap();
        for (name, tensor) in weights.iter() {
            let found = found.get(name).unwrap().as_slice().unwrap();
            assert_eq!(found, kept[&format!("{WEIGHT}{name}")], "{name}");
            assert_ne!(found, tensor.as_slice().unwrap(), "{name} learned");
        }
        let error = new().restore(HashMap::new(), 1).unwrap_err().to_string();
        assert!(error.contains("the saved state has no bert.embeddings.LayerNorm.bias"), "{error}");
    }
}

//! The fine-tuned model as two graphs that start at word embeddings: one that classifies, and one that gives
//! all attention and the gradient with respect to the embeddings.

use std::path::Path;

use midashi_bert::{
    ATTENTION, Batch, BertConfig, Checkpoint, Graph, INPUTS_EMBEDS, LOGITS, Start, Storage, TARGETS, TextIds,
    WORD_EMBEDDINGS, Weights, attentions_name, batches_by_length, classifier, explanation, gradient_name,
    softmax,
};
use midashi_runtime::{Engine, Outputs, Session, Tensor};
use ndarray::{Array2, Array4, ArrayD, ArrayView2, Axis, s};

use crate::{Error, Result, head_mean, rollout};

/// With gradients a graph keeps what all layers computed: so much smaller are its batches.
const GRADIENT_SHARE: usize = 4;

/// A fine-tuned model that says what a text is.
pub struct Classifier {
    config: BertConfig,
    /// `[vocabulary, hidden_size]`
    embeddings: ArrayD<f32>,
    labels: usize,
    batch_tokens: usize,
    session: Session,
}

/// A fine-tuned model that can be asked why.
pub struct Explainer {
    classifier: Classifier,
    explanation: Session,
}

/// What the model says of a text.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Probability of each category.
    pub probabilities: Vec<f32>,
    /// What `[CLS]` attends to in the last layer, `[heads, tokens]`; rows sum to 1.
    pub attention: Array2<f32>,
}

/// What one run of the graph with gradients says of a text.
#[derive(Clone, Debug)]
pub struct Attribution {
    /// `[layers, heads, tokens, tokens]`: of each token in the third axis to all in the fourth, where it sums to 1.
    pub attentions: Array4<f32>,
    /// Gradient of the category's logit with respect to the word embeddings, times these, `[tokens]`.
    pub gradient_x_input: Vec<f32>,
}

impl Attribution {
    /// What `[CLS]` attends to in each layer, mean over the heads: `[layers, tokens]`, rows sum to 1.
    pub fn layer_attention(&self) -> Vec<Vec<f32>> {
        self.head_means().iter().map(|layer| layer.row(0).to_vec()).collect()
    }

    /// Attention rollout, `[tokens]`; sums to 1.
    pub fn rollout(&self) -> Vec<f32> {
        rollout(self.head_means().iter().map(|layer| layer.view())).to_vec()
    }

    fn head_means(&self) -> Vec<Array2<f32>> {
        self.attentions.outer_iter().map(head_mean).collect()
    }
}

impl Classifier {
    /// Opens the checkpoint in `folder` with its classifier of `labels` categories; batches have at most
    /// `batch_tokens` tokens.
    ///
    /// # Errors
    /// When a weight is missing or damaged, or ONNX Runtime refuses the graph.
    pub fn open(engine: &Engine, folder: &Path, labels: usize, batch_tokens: usize) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)?;
        let weights = checkpoint.encoder_and_classifier(labels)?;
        Self::of(engine, checkpoint.config().clone(), weights, labels, batch_tokens)
    }

    fn of(
        engine: &Engine,
        config: BertConfig,
        mut weights: Weights,
        labels: usize,
        batch_tokens: usize,
    ) -> Result<Self> {
        let graph = classifier(&config, labels, Start::InputsEmbeds)?;
        let session = session(engine, &graph, "classifier", &weights)?;
        let embeddings = weights.remove(WORD_EMBEDDINGS);
        let embeddings =
            embeddings.ok_or_else(|| midashi_bert::Error::Unfilled(WORD_EMBEDDINGS.to_owned()))?;
        Ok(Self { config, embeddings, labels, batch_tokens, session })
    }

    /// Classifies texts, however many.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or the graph fails.
    pub fn classify(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Answer>> {
        let mut answers: Vec<Option<Answer>> = vec![None; texts.len()];
        for batch in self.batches(texts, self.batch_tokens) {
            let chosen: Vec<TextIds<'_>> = batch.iter().map(|&text| texts[text]).collect();
            let words = self.words(&chosen)?;
            let inputs = self.batch(&words, &chosen);
            let outputs = self.session.run(inputs.inputs())?;
            let (logits, attention) = (outputs.float32(LOGITS)?, outputs.float32(ATTENTION)?);
            for (row, &text) in batch.iter().enumerate() {
                let tokens = texts[text].input_ids.len();
                let attention = attention.slice(s![row, .., ..tokens]).to_owned();
                let probabilities = softmax(logits.slice(s![row, ..]));
                answers[text] = Some(Answer { probabilities, attention });
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    fn batches(&self, texts: &[TextIds<'_>], budget: usize) -> Vec<Vec<usize>> {
        let lengths: Vec<usize> = texts.iter().map(|text| text.input_ids.len()).collect();
        batches_by_length(&lengths, budget)
    }

    /// The texts' word embeddings, each `[tokens, hidden_size]`.
    fn words(&self, texts: &[TextIds<'_>]) -> Result<Vec<Array2<f32>>> {
        let rows = self.embeddings.len_of(Axis(0));
        let of = |text: &TextIds<'_>| {
            let ids = text
                .input_ids
                .iter()
                .map(|&id| usize::try_from(id).ok().filter(|&row| row < rows).ok_or(Error::Id { id, rows }));
            let ids = ids.collect::<Result<Vec<usize>>>()?;
            Ok(self.embeddings.select(Axis(0), &ids).slice(s![.., ..]).to_owned())
        };
        texts.iter().map(of).collect()
    }

    fn batch(&self, words: &[Array2<f32>], texts: &[TextIds<'_>]) -> Batch {
        let numbers: Vec<Vec<f32>> = words.iter().map(|words| words.iter().copied().collect()).collect();
        let rows: Vec<(&[f32], &[i32])> =
            numbers.iter().zip(texts).map(|(words, text)| (words.as_slice(), text.token_type_ids)).collect();
        Batch::of_embeddings(&rows, self.config.hidden_size)
    }
}

impl Explainer {
    /// Opens the checkpoint in `folder` with its classifier of `labels` categories; batches have at most
    /// `batch_tokens` tokens.
    ///
    /// # Errors
    /// When a weight is missing or damaged, or ONNX Runtime refuses the graphs.
    pub fn open(engine: &Engine, folder: &Path, labels: usize, batch_tokens: usize) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)?;
        let config = checkpoint.config().clone();
        let weights = checkpoint.encoder_and_classifier(labels)?;
        let explanation = session(engine, &explanation(&config, labels)?, "explanation", &weights)?;
        let classifier = Classifier::of(engine, config, weights, labels, batch_tokens)?;
        Ok(Self { classifier, explanation })
    }

    /// Classifies texts, however many.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or the graph fails.
    pub fn classify(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Answer>> {
        self.classifier.classify(texts)
    }

    /// The batches in which texts are best explained.
    pub fn explanation_batches(&self, texts: &[TextIds<'_>]) -> Vec<Vec<usize>> {
        self.classifier.batches(texts, self.classifier.batch_tokens / GRADIENT_SHARE)
    }

    /// Explains one batch of texts, each with respect to the logit of its category.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, there is no such category, or the graph fails.
    pub fn explain(&mut self, texts: &[TextIds<'_>], categories: &[usize]) -> Result<Vec<Attribution>> {
        let words = self.classifier.words(texts)?;
        let outputs = self.run_explanation(&words, texts, categories)?;
        let gradients = outputs.float32(&gradient_name(INPUTS_EMBEDS))?;
        let config = &self.classifier.config;
        let layers = (0..config.num_hidden_layers).map(|layer| outputs.float32(&attentions_name(layer)));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let attribution = |(row, words): (usize, &Array2<f32>)| {
            let (tokens, _) = words.dim();
            let of_layers = layers.iter().map(|layer| layer.slice(s![row, .., ..tokens, ..tokens]));
            let mut attentions = Array4::zeros((layers.len(), config.num_attention_heads, tokens, tokens));
            attentions.outer_iter_mut().zip(of_layers).for_each(|(mut to, from)| to.assign(&from));
            let gradient = gradients.slice(s![row, ..tokens, ..]);
            Attribution { attentions, gradient_x_input: products(gradient, words.view()) }
        };
        Ok(words.iter().enumerate().map(attribution).collect())
    }

    /// Integrated gradients of the category's logit, `[tokens]`: the way from the `baseline`, ids of as many
    /// tokens, to the text's word embeddings, times the mean gradient at the middles of `points` equal parts of it.
    /// Their sum is the logits' difference between text and baseline, but for what so few points leave.
    ///
    /// # Errors
    /// When the baseline is not as long, an id is not in the vocabulary, there is no such category, or the graph fails.
    pub fn integrated_gradients(
        &mut self,
        text: TextIds<'_>,
        baseline: &[i32],
        category: usize,
        points: usize,
    ) -> Result<Vec<f32>> {
        let (found, expected) = (baseline.len(), text.input_ids.len());
        if found != expected {
            return Err(Error::Baseline { found, expected });
        }
        let from = self.classifier.words(&[TextIds { input_ids: baseline, ..text }])?.remove(0);
        let way = self.classifier.words(&[text])?.remove(0) - &from;
        let mut mean = Array2::<f32>::zeros(way.raw_dim());
        let together = (self.classifier.batch_tokens / GRADIENT_SHARE / text.input_ids.len().max(1)).max(1);
        let places: Vec<f32> = (0..points).map(|point| (point as f32 + 0.5) / points as f32).collect();
        for places in places.chunks(together) {
            let words: Vec<Array2<f32>> = places.iter().map(|&place| &from + &(&way * place)).collect();
            let (texts, categories) = (vec![text; places.len()], vec![category; places.len()]);
            let outputs = self.run_explanation(&words, &texts, &categories)?;
            let gradients = outputs.float32(&gradient_name(INPUTS_EMBEDS))?;
            (0..places.len()).for_each(|row| mean += &gradients.slice(s![row, .., ..]));
        }
        mean /= points as f32;
        Ok(products(mean.view(), way.view()))
    }

    fn run_explanation(
        &mut self,
        words: &[Array2<f32>],
        texts: &[TextIds<'_>],
        categories: &[usize],
    ) -> Result<Outputs> {
        let batch = self.classifier.batch(words, texts);
        let labels = self.classifier.labels;
        if let Some(&category) = categories.iter().find(|category| **category >= labels) {
            return Err(Error::Category { category, labels });
        }
        let mut targets = Array2::<f32>::zeros((texts.len(), labels));
        categories.iter().enumerate().for_each(|(row, &category)| targets[[row, category]] = 1.0);
        let targets = targets.into_dyn();
        let mut inputs = batch.inputs();
        inputs.push((TARGETS, Tensor::from(targets.view())));
        Ok(self.explanation.run(inputs)?)
    }
}

/// The graph with its parameters' numbers from `weights`.
fn session(engine: &Engine, graph: &Graph, name: &str, weights: &Weights) -> Result<Session> {
    let parameters = weights.for_graph(graph, |_| true)?;
    Ok(engine.session(&graph.to_model(name, |_| Storage::External), parameters)?)
}

/// Row by row the products' sum.
fn products(one: ArrayView2<'_, f32>, other: ArrayView2<'_, f32>) -> Vec<f32> {
    one.rows().into_iter().zip(other.rows()).map(|(one, other)| one.dot(&other)).collect()
}

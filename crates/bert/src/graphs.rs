//! The graphs: trunk, classifier and training, which a run needs, and all that an encoder gives.
//!
//! *Trunk* is the embeddings and the frozen layers, computed once per text. *Tail* is what comes
//! after it; a tail that starts at the input ids is the whole model.

use midashi_onnx::{ElementType, Graph, Value};

use crate::Result;
use crate::batch::BatchSizes;
use crate::config::BertConfig;
use crate::layers::{
    self, BATCH, Dropout, Encoder, Padding, Products, Rows, TOKENS, Words, embeddings, encoder_layer,
};
use crate::optimiser::{Training, gradient_name};

/// Name of the graphs' input of token ids, int64 `[batch, tokens]`.
pub const INPUT_IDS: &str = "input_ids";
/// Name of the input of word embeddings where a graph starts at them, float32
/// `[batch, tokens, hidden_size]`: the rows of [`WORD_EMBEDDINGS`](crate::WORD_EMBEDDINGS) that
/// [`INPUT_IDS`] names, or others between them.
pub const INPUTS_EMBEDS: &str = "inputs_embeds";
/// Name of the graphs' input that says which text of a pair a token belongs to, int64 `[batch, tokens]`:
/// rows of the token type embeddings, 0 for single texts.
pub const TOKEN_TYPE_IDS: &str = "token_type_ids";
/// Name of the graphs' input that is 1 for tokens and 0 for padding, int64 `[batch, tokens]`.
pub const ATTENTION_MASK: &str = "attention_mask";
/// Name of the tail's input of trunk features, float32 `[batch, tokens, hidden_size]`, and of the
/// trunk's output, which has no padding: text after text, `[all tokens, hidden_size]`.
pub const HIDDEN_STATES: &str = "hidden_states";
/// Name of the training graph's input of what is to be learned, float32 `[batch, labels]`: how much
/// each category counts for each text. A 1 at the text's category, divided by the number of texts, makes
/// the loss their mean cross-entropy; label smoothing and class weights are other numbers.
pub const TARGETS: &str = "targets";
/// Name of the classifier's output before the softmax, float32 `[batch, labels]`.
pub const LOGITS: &str = "logits";
/// Name of the classifier's output of the last layer's `[CLS]` row, float32
/// `[batch, heads, tokens]`; each head's row sums to 1.
pub const ATTENTION: &str = "attention";
/// Name of the training graph's output `−Σ targets · log softmax(logits)`, a float32 scalar.
pub const LOSS: &str = "loss";

/// Name of the encoder's output after the last layer, float32 `[batch, tokens, hidden_size]`.
pub const LAST_HIDDEN_STATE: &str = "last_hidden_state";
/// Name of the pooler's output, float32 `[batch, hidden_size]`.
pub const POOLER_OUTPUT: &str = "pooler_output";

/// Name of the output of one layer's attention, float32 `[batch, heads, tokens, tokens]`: of each
/// token in the third axis to all tokens in the fourth, where it sums to 1.
pub fn attentions_name(layer: usize) -> String {
    format!("attentions.{layer}")
}

/// Where a tail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the token ids: the tail is the whole model.
    InputIds,
    /// At the word embeddings of the tokens: the whole model but for looking them up.
    InputsEmbeds,
    /// After the embeddings and this many layers, which the trunk computes. At least one layer
    /// is left to the tail.
    AfterLayers(usize),
}

impl Start {
    /// The tail's start when the last `trainable` layers learn.
    ///
    /// The trunk never takes the last layer, even if nothing in it learns: of that layer only
    /// `[CLS]` is needed, which costs little, and its attention is what the report shows.
    pub fn for_trainable_layers(config: &BertConfig, trainable: usize) -> Self {
        Self::AfterLayers(config.num_hidden_layers - trainable.clamp(1, config.num_hidden_layers))
    }

    /// How many layers the trunk computes; none without a trunk.
    pub fn trunk_layers(self) -> Option<usize> {
        match self {
            Self::InputIds | Self::InputsEmbeds => None,
            Self::AfterLayers(layers) => Some(layers),
        }
    }
}

/// Inputs [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; outputs [`LAST_HIDDEN_STATE`],
/// [`POOLER_OUTPUT`] if there is a `pooler`, and every layer's attention ([`attentions_name`]).
///
/// # Errors
/// When the configuration does not fit together.
pub fn outputs(config: &BertConfig, pooler: bool) -> Result<Graph> {
    let mut graph = Graph::new();
    let (mut hidden, encoder) = inputs(&mut graph, config, Padding::masked, Products::Float32)?;
    for layer in 0..config.num_hidden_layers {
        let output = encoder_layer(&mut graph, encoder, layer, hidden, Rows::All)?;
        graph.output(&attentions_name(layer), output.attention)?;
        hidden = output.hidden;
    }
    let by_text = graph.reshape(hidden, &[BATCH.into(), TOKENS.into(), config.hidden_size.into()])?;
    graph.output(LAST_HIDDEN_STATE, by_text)?;
    if pooler {
        let pooled = layers::pooler(&mut graph, encoder, hidden)?;
        graph.output(POOLER_OUTPUT, pooled)?;
    }
    graph.prune();
    Ok(graph)
}

/// Inputs [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; output [`HIDDEN_STATES`] after the
/// first `layers` layers, whose linear parts are multiplied in `products`.
///
/// # Errors
/// When the configuration does not fit together.
pub fn trunk(config: &BertConfig, layers: usize, products: Products) -> Result<Graph> {
    let mut graph = Graph::new();
    let (mut hidden, encoder) = inputs(&mut graph, config, Padding::left_out, products)?;
    for layer in 0..layers {
        hidden = encoder_layer(&mut graph, encoder, layer, hidden, Rows::All)?.hidden;
    }
    graph.output(HIDDEN_STATES, hidden)?;
    graph.prune();
    Ok(graph)
}

/// Inputs [`INPUT_IDS`] and [`TOKEN_TYPE_IDS`], or [`HIDDEN_STATES`], and [`ATTENTION_MASK`]; outputs
/// [`LOGITS`] and [`ATTENTION`].
///
/// # Errors
/// When the configuration does not fit together.
pub fn classifier(config: &BertConfig, labels: usize, start: Start) -> Result<Graph> {
    let mut graph = Graph::new();
    let (logits, attention) = tail(&mut graph, config, labels, start, Padding::masked, Dropout::default())?;
    graph.output(LOGITS, logits)?;
    graph.output(ATTENTION, attention)?;
    graph.prune();
    Ok(graph)
}

/// Inputs [`INPUTS_EMBEDS`], [`TOKEN_TYPE_IDS`], [`ATTENTION_MASK`] and [`TARGETS`]; outputs [`LOGITS`],
/// every layer's attention ([`attentions_name`]), and the gradient of `Σ targets · logits` with respect to
/// the embeddings, float32 `[batch, tokens, hidden_size]` ([`gradient_name`](crate::gradient_name) of
/// [`INPUTS_EMBEDS`]).
///
/// # Errors
/// When the configuration does not fit together.
pub fn explanation(config: &BertConfig, labels: usize) -> Result<Graph> {
    let mut graph = Graph::new();
    let shape = [BATCH.into(), TOKENS.into(), config.hidden_size.into()];
    let words = graph.input(INPUTS_EMBEDS, ElementType::Float32, &shape)?;
    let positions = &shape[..2];
    let token_type_ids = graph.input(TOKEN_TYPE_IDS, ElementType::Int64, positions)?;
    let attention_mask = graph.input(ATTENTION_MASK, ElementType::Int64, positions)?;
    let padding = Padding::masked(&mut graph, attention_mask)?;
    let encoder = Encoder { config, padding, dropout: Dropout::default(), products: Products::Float32 };
    let mut hidden = embeddings(&mut graph, encoder, Words::Embedded(words), token_type_ids)?;
    for layer in 0..config.num_hidden_layers {
        let output = encoder_layer(&mut graph, encoder, layer, hidden, Rows::All)?;
        graph.output(&attentions_name(layer), output.attention)?;
        hidden = output.hidden;
    }
    let cls = layers::cls_rows(&mut graph, encoder, hidden)?;
    let logits = read_by_classifier(&mut graph, encoder, labels, cls)?;
    graph.output(LOGITS, logits)?;
    let targets = graph.input(TARGETS, ElementType::Float32, &[BATCH.into(), labels.into()])?;
    let weighted = graph.mul(logits, targets)?;
    let score = graph.reduce_sum(weighted, &[0, 1], false)?;
    let gradient = graph.gradients(score, &[words])?[0];
    graph.output(&gradient_name(INPUTS_EMBEDS), gradient)?;
    graph.prune();
    Ok(graph)
}

/// [`classifier`]'s inputs, [`TARGETS`] and the masks of `dropout` (see [`dropout_masks`]); outputs
/// [`LOSS`], [`LOGITS`], and for each parameter that `learns` its gradient ([`gradient_name`]).
///
/// # Errors
/// When the configuration does not fit together.
pub fn training(
    config: &BertConfig,
    labels: usize,
    start: Start,
    dropout: Dropout,
    learns: impl Fn(&str) -> bool,
) -> Result<Graph> {
    Training::new(config, labels, start, dropout, learns)?.with_gradients()
}

impl Training {
    /// As [`training`], before it is decided what becomes of the gradients.
    ///
    /// # Errors
    /// When the configuration does not fit together.
    pub fn new(
        config: &BertConfig,
        labels: usize,
        start: Start,
        dropout: Dropout,
        learns: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let mut graph = Graph::new();
        let (logits, _) = tail(&mut graph, config, labels, start, Padding::left_out, dropout)?;
        let targets = graph.input(TARGETS, ElementType::Float32, &[BATCH.into(), labels.into()])?;
        let loss = graph.within("loss", |g| cross_entropy(g, logits, targets))?;
        graph.output(LOSS, loss)?;
        graph.output(LOGITS, logits)?;
        graph.prune();
        let names = graph.parameters().map(|(name, _)| name).filter(|name| learns(name));
        let parameters: Vec<Value> = names.filter_map(|name| graph.find_parameter(name)).collect();
        let gradients = graph.gradients(loss, &parameters)?;
        Ok(Self { graph, learned: parameters.into_iter().zip(gradients).collect() })
    }
}

/// Names of the training graph's dropout masks, in the order of the model, and their shapes for a batch.
pub fn dropout_masks(graph: &Graph, sizes: BatchSizes) -> Vec<(String, Vec<usize>)> {
    let size = |symbol: &str| match symbol {
        BATCH => sizes.texts,
        TOKENS => sizes.longest,
        // The rows without padding, the one axis that is left.
        _ => sizes.tokens,
    };
    let prefix = layers::dropout_name("");
    let masks = graph.inputs().filter(|(name, _)| name.starts_with(&prefix));
    masks.map(|(name, shape)| (name.to_owned(), shape.iter().map(|dim| dim.size(size)).collect())).collect()
}

/// Adds [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; returns the embeddings and what the
/// layers need.
fn inputs<'a>(
    graph: &mut Graph,
    config: &'a BertConfig,
    padding: impl FnOnce(&mut Graph, Value) -> midashi_onnx::Result<Padding>,
    products: Products,
) -> midashi_onnx::Result<(Value, Encoder<'a>)> {
    let mut integers = |name| graph.input(name, ElementType::Int64, &[BATCH.into(), TOKENS.into()]);
    let (input_ids, token_type_ids) = (integers(INPUT_IDS)?, integers(TOKEN_TYPE_IDS)?);
    let attention_mask = integers(ATTENTION_MASK)?;
    let padding = padding(graph, attention_mask)?;
    let encoder = Encoder { config, padding, dropout: Dropout::default(), products };
    Ok((embeddings(graph, encoder, Words::Ids(input_ids), token_type_ids)?, encoder))
}

/// `−Σ targets · log softmax(logits)`.
fn cross_entropy(g: &mut Graph, logits: Value, targets: Value) -> midashi_onnx::Result<Value> {
    let log_probabilities = g.log_softmax(logits);
    let weighted = g.mul(log_probabilities, targets)?;
    let sum = g.reduce_sum(weighted, &[0, 1], false)?;
    g.scale(sum, -1.0)
}

/// Layers from `start` on, the last for `[CLS]` alone, and the linear classifier. Returns logits
/// `[batch, labels]` and the last layer's attention `[batch, heads, tokens]`.
fn tail(
    graph: &mut Graph,
    config: &BertConfig,
    labels: usize,
    start: Start,
    padding: impl FnOnce(&mut Graph, Value) -> midashi_onnx::Result<Padding>,
    dropout: Dropout,
) -> midashi_onnx::Result<(Value, Value)> {
    let width = config.hidden_size;
    let last = config.num_hidden_layers - 1;
    let positions = [BATCH.into(), TOKENS.into()];
    let attention_mask = graph.input(ATTENTION_MASK, ElementType::Int64, &positions)?;
    let padding = padding(graph, attention_mask)?;
    let encoder = Encoder { config, padding, dropout, products: Products::Float32 };
    let (mut hidden, first) = match start {
        Start::InputIds => {
            let mut integers = |name| graph.input(name, ElementType::Int64, &positions);
            let (input_ids, token_type_ids) = (integers(INPUT_IDS)?, integers(TOKEN_TYPE_IDS)?);
            (embeddings(graph, encoder, Words::Ids(input_ids), token_type_ids)?, 0)
        }
        Start::InputsEmbeds => {
            let shape = [&positions[..], &[width.into()]].concat();
            let words = graph.input(INPUTS_EMBEDS, ElementType::Float32, &shape)?;
            let token_type_ids = graph.input(TOKEN_TYPE_IDS, ElementType::Int64, &positions)?;
            (embeddings(graph, encoder, Words::Embedded(words), token_type_ids)?, 0)
        }
        Start::AfterLayers(layers) => {
            let shape = [&positions[..], &[width.into()]].concat();
            let texts = graph.input(HIDDEN_STATES, ElementType::Float32, &shape)?;
            let rows = graph.reshape(texts, &[layers::positions(), width.into()])?;
            (padding.strip(graph, rows)?, layers.min(last))
        }
    };
    for layer in first..last {
        hidden = encoder_layer(graph, encoder, layer, hidden, Rows::All)?.hidden;
    }
    let output = encoder_layer(graph, encoder, last, hidden, Rows::Cls)?;
    let heads = config.num_attention_heads;
    let attention = graph.reshape(output.attention, &[BATCH.into(), heads.into(), TOKENS.into()])?;
    Ok((read_by_classifier(graph, encoder, labels, output.hidden)?, attention))
}

/// The linear classifier on the rows of `[CLS]`: `[batch, labels]`.
fn read_by_classifier(
    graph: &mut Graph,
    encoder: Encoder<'_>,
    labels: usize,
    cls: Value,
) -> midashi_onnx::Result<Value> {
    graph.within("classifier", |g| {
        let read = layers::with_dropout(g, encoder.dropout.hidden, "classifier", cls)?;
        layers::linear(g, "classifier", read, encoder.config.hidden_size, labels)
    })
}

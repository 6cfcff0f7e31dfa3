//! The graphs that compute a model's results: trunk, classifier, explanation, and all outputs of an encoder.
//!
//! The *trunk* is the embeddings and the frozen layers, computed once per text. The *tail* is the layers
//! after it and the classifier; a tail that starts at the input ids is the whole model.

use midashi_onnx::{ElementType, Graph, GraphBuilder, Value};

use crate::config::EncoderConfig;
use crate::error::Result;
use crate::head::{Head, Pooling};
use crate::names::{
    ATTENTION, ATTENTION_MASK, HIDDEN_STATES, INPUT_IDS, INPUTS_EMBEDS, LAST_HIDDEN_STATE, LOGITS,
    POOLER_OUTPUT, TARGETS, TOKEN_TYPE_IDS, attentions_name, cls_attention_name, gradient_name,
    mean_attention_name,
};
use crate::nodes::{Dropout, MatmulPrecision, Nodes, Rows, Words};
use crate::padding::{BATCH, Padding, TOKENS, positions};

/// Where a tail begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the token ids: the tail is the whole model.
    InputIds,
    /// At the word embeddings of the tokens: the whole model without their lookup.
    InputsEmbeds,
    /// After the embeddings and this many layers, which the trunk computes. At least one layer is left to the
    /// tail.
    AfterLayers(usize),
}

impl Start {
    /// The tail's start when the last `trainable` layers are trained.
    ///
    /// The trunk never contains the last layer, even if it is frozen: only its `[CLS]` row is needed, which
    /// costs little, and the report shows its attention.
    pub fn for_trainable_layers(config: &EncoderConfig, trainable: usize) -> Self {
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
pub fn outputs(config: &EncoderConfig, pooler: bool) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let (nodes, embeddings) = from_ids(&graph, config, Padding::masked, MatmulPrecision::Float32);
    let hidden = layers_with_attention(nodes, config, embeddings, LayerAttention::Matrices);
    let by_text = [BATCH.into(), TOKENS.into(), config.hidden_size.into()];
    graph.output(LAST_HIDDEN_STATE, hidden.reshape(&by_text));
    if let Some(name) = config.architecture().pooler().filter(|_| pooler) {
        let (cls, width) = (nodes.cls_rows(hidden), config.hidden_size);
        let scope = name.trim_end_matches(".dense");
        let pooled = graph.scope(scope, || nodes.linear_float32(&name, cls, [width, width], true).tanh());
        graph.output(POOLER_OUTPUT, pooled);
    }
    Ok(graph.finish()?)
}

/// Inputs [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; output [`HIDDEN_STATES`] after the
/// first `layers` layers, whose linear parts are multiplied in `precision`.
///
/// # Errors
/// When the configuration does not fit together.
pub fn trunk(config: &EncoderConfig, layers: usize, precision: MatmulPrecision<'_>) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let (nodes, embeddings) = from_ids(&graph, config, Padding::unpadded, precision);
    let layer = |hidden, layer| config.architecture().layer(nodes, layer, hidden, Rows::All).hidden;
    graph.output(HIDDEN_STATES, (0..layers).fold(embeddings, layer));
    Ok(graph.finish()?)
}

/// As [`trunk`] in float32, with the range of each input of a linear layer as outputs
/// ([`ActivationRanges::include`](crate::ActivationRanges::include)).
///
/// # Errors
/// When the configuration does not fit together.
pub fn calibration(config: &EncoderConfig, layers: usize) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let (nodes, embeddings) = from_ids(&graph, config, Padding::unpadded, MatmulPrecision::Float32);
    let nodes = Nodes { outputs_ranges: true, ..nodes };
    let layer = |hidden, layer| config.architecture().layer(nodes, layer, hidden, Rows::All).hidden;
    graph.output(HIDDEN_STATES, (0..layers).fold(embeddings, layer));
    Ok(graph.finish()?)
}

/// Inputs [`INPUT_IDS`] and [`TOKEN_TYPE_IDS`], or [`INPUTS_EMBEDS`] and [`TOKEN_TYPE_IDS`], or
/// [`HIDDEN_STATES`], and [`ATTENTION_MASK`]; outputs [`LOGITS`] and [`ATTENTION`].
///
/// # Errors
/// When the configuration does not fit together.
pub fn classifier(config: &EncoderConfig, head: Head, start: Start) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let output = tail(&graph, config, head, start, Padding::masked, Dropout::default(), true);
    output.add_to(&graph);
    Ok(graph.finish()?)
}

/// The whole classifier for other programs: inputs [`INPUT_IDS`], [`ATTENTION_MASK`] and [`TOKEN_TYPE_IDS`]; outputs
/// [`LOGITS`] and [`ATTENTION`].
///
/// Unless the model reads `pairs` of texts, the token types are 0 and need not be fed: tokenizers of RoBERTa's kind do
/// not give them. For pairs they must be fed, because ONNX Runtime does not list an optional input among the inputs, and
/// programs such as optimum feed only those that are listed.
///
/// # Errors
/// When the configuration does not fit together.
pub fn exported_classifier(config: &EncoderConfig, head: Head, pairs: bool) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let [input_ids, attention_mask] = [INPUT_IDS, ATTENTION_MASK].map(|name| integers(&graph, name));
    let token_type_ids = match pairs {
        true => integers(&graph, TOKEN_TYPE_IDS),
        false => graph.optional_zeros(TOKEN_TYPE_IDS, input_ids),
    };
    let nodes = Nodes::new(&graph, config, Padding::masked(&graph, attention_mask));
    let embeddings = config.architecture().embeddings(nodes, Words::Ids(input_ids), token_type_ids);
    classify(nodes, config, embeddings, 0, head, true).add_to(&graph);
    Ok(graph.finish()?)
}

/// Inputs [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; output [`LOGITS`]: the whole model for
/// predictions without explanations. The layers' linear parts are multiplied in `precision`, the head's in
/// float32.
///
/// # Errors
/// When the configuration does not fit together.
pub fn logits(config: &EncoderConfig, head: Head, precision: MatmulPrecision<'_>) -> Result<Graph> {
    let graph = GraphBuilder::new();
    // Texts of a batch are as good as equally long, so padded rows cost less than leaving them out and in again.
    let (nodes, embeddings) = from_ids(&graph, config, Padding::masked, precision);
    graph.output(LOGITS, classify(nodes, config, embeddings, 0, head, false).logits);
    Ok(graph.finish()?)
}

/// What [`explanation`] outputs of the attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionOutputs {
    /// Nothing.
    Nothing,
    /// The mean over the heads of every layer ([`mean_attention_name`]), which is all that the attention of layers and
    /// rollout need: a twelfth of what twelve heads have.
    Means,
}

/// Inputs [`INPUTS_EMBEDS`], [`TOKEN_TYPE_IDS`], [`ATTENTION_MASK`] and [`TARGETS`]; outputs [`LOGITS`], the gradient of
/// `Σ targets · logits` with respect to the embeddings, float32 `[batch, tokens, hidden_size]` ([`gradient_name`] of
/// [`INPUTS_EMBEDS`]), and the requested attention.
///
/// If the head reads `[CLS]` alone, the last layer is computed for `[CLS]` alone, and so is its gradient.
///
/// # Errors
/// When the configuration does not fit together.
pub fn explanation(config: &EncoderConfig, head: Head, outputs: AttentionOutputs) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let (nodes, words, embeddings) = from_embeddings(&graph, config);
    let has_means = outputs == AttentionOutputs::Means;
    let last = config.num_hidden_layers - 1;
    let output_mean = |layer: usize, attention: Value<'_>| {
        if has_means {
            graph.output(&mean_attention_name(layer), attention.reduce_mean(&[1], false));
        }
    };
    let all_rows = Nodes { outputs_attention: has_means, ..nodes };
    let hidden = (0..last).fold(embeddings, |hidden, layer| {
        let output = config.architecture().layer(all_rows, layer, hidden, Rows::All);
        output_mean(layer, output.attention);
        output.hidden
    });
    let Classification { logits, attention } = last_layer_and_head(nodes, config, hidden, head, has_means);
    let of_cls = [BATCH.into(), config.num_attention_heads.into(), 1.into(), TOKENS.into()];
    output_mean(last, attention.reshape(&of_cls));
    graph.output(LOGITS, logits);
    let score = (logits * targets(&graph, head)).reduce_sum(&[0, 1], false);
    graph.output(&gradient_name(INPUTS_EMBEDS), graph.gradients(score, &[words])[0]);
    Ok(graph.finish()?)
}

/// What [`attentions`] outputs of each layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerAttention {
    /// Every head's matrix ([`attentions_name`]). Its size grows with the square of the length.
    Matrices,
    /// The mean of the heads' matrices ([`mean_attention_name`]): all that rollout needs.
    Means,
    /// Every head's row of `[CLS]` ([`cls_attention_name`]).
    OfCls,
}

impl LayerAttention {
    /// The output's name.
    pub fn name(self, layer: usize) -> String {
        match self {
            Self::Matrices => attentions_name(layer),
            Self::Means => mean_attention_name(layer),
            Self::OfCls => cls_attention_name(layer),
        }
    }
}

/// Inputs [`INPUTS_EMBEDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; outputs the requested attention of every layer.
///
/// # Errors
/// When the configuration does not fit together.
pub fn attentions(config: &EncoderConfig, outputs: LayerAttention) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let (nodes, _, embeddings) = from_embeddings(&graph, config);
    layers_with_attention(nodes, config, embeddings, outputs);
    Ok(graph.finish()?)
}

/// Adds the input [`TARGETS`].
pub(crate) fn targets(graph: &GraphBuilder, head: Head) -> Value<'_> {
    graph.input(TARGETS, ElementType::Float32, &[BATCH.into(), head.labels.into()])
}

/// An input of integers, `[batch, tokens]`.
fn integers<'g>(graph: &'g GraphBuilder, name: &str) -> Value<'g> {
    graph.input(name, ElementType::Int64, &[BATCH.into(), TOKENS.into()])
}

/// An input of a row for each token, `[batch, tokens, hidden_size]`.
fn rows<'g>(graph: &'g GraphBuilder, name: &str, config: &EncoderConfig) -> Value<'g> {
    graph.input(name, ElementType::Float32, &[BATCH.into(), TOKENS.into(), config.hidden_size.into()])
}

/// Adds [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; returns the encoder and the embeddings.
fn from_ids<'g>(
    graph: &'g GraphBuilder,
    config: &'g EncoderConfig,
    padding: impl FnOnce(&'g GraphBuilder, Value<'g>) -> Padding<'g>,
    precision: MatmulPrecision<'g>,
) -> (Nodes<'g>, Value<'g>) {
    let [input_ids, token_type_ids, attention_mask] =
        [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK].map(|name| integers(graph, name));
    let nodes = Nodes { precision, ..Nodes::new(graph, config, padding(graph, attention_mask)) };
    (nodes, config.architecture().embeddings(nodes, Words::Ids(input_ids), token_type_ids))
}

/// Adds [`INPUTS_EMBEDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; returns the encoder, the words' embeddings and the
/// hidden states before the first layer.
fn from_embeddings<'g>(
    graph: &'g GraphBuilder,
    config: &'g EncoderConfig,
) -> (Nodes<'g>, Value<'g>, Value<'g>) {
    let words = rows(graph, INPUTS_EMBEDS, config);
    let [token_type_ids, attention_mask] = [TOKEN_TYPE_IDS, ATTENTION_MASK].map(|name| integers(graph, name));
    let nodes = Nodes::new(graph, config, Padding::masked(graph, attention_mask));
    (nodes, words, config.architecture().embeddings(nodes, Words::Embedded(words), token_type_ids))
}

/// All layers for all tokens and what follows them, with every layer's attention as an output.
fn layers_with_attention<'g>(
    nodes: Nodes<'g>,
    config: &EncoderConfig,
    embeddings: Value<'g>,
    outputs: LayerAttention,
) -> Value<'g> {
    let nodes = Nodes { outputs_attention: true, ..nodes };
    let heads = config.num_attention_heads;
    let mut attentions = Vec::new();
    let hidden = (0..config.num_hidden_layers).fold(embeddings, |hidden, layer| {
        let output = config.architecture().layer(nodes, layer, hidden, Rows::All);
        attentions.push(output.attention);
        output.hidden
    });
    // ONNX Runtime computes last what no other node needs, the last of those nodes first. In this order it computes what is
    // output of a layer before the next layer, and frees the layer's attention.
    for (layer, attention) in attentions.into_iter().enumerate().rev() {
        let output = match outputs {
            LayerAttention::Matrices => attention,
            LayerAttention::Means => attention.reduce_mean(&[1], false),
            LayerAttention::OfCls => {
                attention.take_first(2, 1).reshape(&[BATCH.into(), heads.into(), TOKENS.into()])
            }
        };
        nodes.graph.output(&outputs.name(layer), output);
    }
    config.architecture().finish(nodes, hidden)
}

/// What a classifier computes.
pub(crate) struct Classification<'g> {
    /// `[batch, labels]`
    pub(crate) logits: Value<'g>,
    /// The last layer's attention from `[CLS]`, `[batch, heads, tokens]`.
    attention: Value<'g>,
}

impl Classification<'_> {
    /// Adds the outputs [`LOGITS`] and [`ATTENTION`].
    fn add_to(self, graph: &GraphBuilder) {
        graph.output(LOGITS, self.logits);
        graph.output(ATTENTION, self.attention);
    }
}

/// Layers from `start` on, and the head.
pub(crate) fn tail<'g>(
    graph: &'g GraphBuilder,
    config: &'g EncoderConfig,
    head: Head,
    start: Start,
    padding: impl FnOnce(&'g GraphBuilder, Value<'g>) -> Padding<'g>,
    dropout: Dropout,
    outputs_attention: bool,
) -> Classification<'g> {
    let last = config.num_hidden_layers - 1;
    let padding = padding(graph, integers(graph, ATTENTION_MASK));
    let nodes = Nodes { dropout, ..Nodes::new(graph, config, padding) };
    let embeddings = |words| config.architecture().embeddings(nodes, words, integers(graph, TOKEN_TYPE_IDS));
    let (hidden, first) = match start {
        Start::InputIds => (embeddings(Words::Ids(integers(graph, INPUT_IDS))), 0),
        Start::InputsEmbeds => (embeddings(Words::Embedded(rows(graph, INPUTS_EMBEDS, config))), 0),
        Start::AfterLayers(layers) => {
            let hidden = rows(graph, HIDDEN_STATES, config);
            let hidden = hidden.reshape(&[positions(), config.hidden_size.into()]);
            (padding.unpad(hidden), layers.min(last))
        }
    };
    classify(nodes, config, hidden, first, head, outputs_attention)
}

/// The layers from `first` on, the last for `[CLS]` alone if the head reads nothing else, and the head.
fn classify<'g>(
    nodes: Nodes<'g>,
    config: &EncoderConfig,
    hidden: Value<'g>,
    first: usize,
    head: Head,
    outputs_attention: bool,
) -> Classification<'g> {
    let layer = |hidden, layer| config.architecture().layer(nodes, layer, hidden, Rows::All).hidden;
    let hidden = (first..config.num_hidden_layers - 1).fold(hidden, layer);
    last_layer_and_head(nodes, config, hidden, head, outputs_attention)
}

/// The last layer, for `[CLS]` alone if the head reads nothing else, and the head.
fn last_layer_and_head<'g>(
    nodes: Nodes<'g>,
    config: &EncoderConfig,
    hidden: Value<'g>,
    head: Head,
    outputs_attention: bool,
) -> Classification<'g> {
    let (architecture, last) = (config.architecture(), config.num_hidden_layers - 1);
    let (pooled, attention) = match head.pooling {
        Pooling::Cls => {
            let output = architecture.layer(nodes, last, hidden, Rows::Cls);
            (architecture.finish(nodes, output.hidden), output.attention)
        }
        Pooling::Mean => {
            let nodes = Nodes { outputs_attention, ..nodes };
            let output = architecture.layer(nodes, last, hidden, Rows::All);
            let hidden = architecture.finish(nodes, output.hidden);
            // The first token's row of the attention matrix.
            (nodes.mean_rows(hidden), output.attention.take_first(2, 1))
        }
    };
    let heads = config.num_attention_heads;
    let attention = attention.reshape(&[BATCH.into(), heads.into(), TOKENS.into()]);
    Classification { logits: head.logits(nodes, config, pooled), attention }
}

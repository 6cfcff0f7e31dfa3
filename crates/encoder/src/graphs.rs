//! The graphs that compute a model's results: trunk, classifier, explanation, and all outputs of an encoder.
//!
//! The *trunk* is the embeddings and the frozen layers, computed once per text. The *tail* is the layers
//! after it and the classifier; a tail that starts at the input ids is the whole model.

use midashi_onnx::{ElementType, Graph, GraphBuilder, Value};

use crate::config::EncoderConfig;
use crate::error::Result;
use crate::head::Head;
use crate::layers::{BATCH, Dropout, Encoder, MatmulPrecision, Padding, Rows, TOKENS, Words, positions};
use crate::names::{
    ATTENTION, ATTENTION_MASK, HIDDEN_STATES, INPUT_IDS, INPUTS_EMBEDS, LAST_HIDDEN_STATE, LOGITS,
    POOLER_OUTPUT, TARGETS, TOKEN_TYPE_IDS, attentions_name, gradient_name,
};

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
    let (encoder, embeddings) = from_ids(&graph, config, Padding::masked, MatmulPrecision::Float32);
    let hidden = layers_with_attention(encoder, embeddings);
    let by_text = [BATCH.into(), TOKENS.into(), config.hidden_size.into()];
    graph.output(LAST_HIDDEN_STATE, hidden.reshape(&by_text));
    if pooler {
        graph.output(POOLER_OUTPUT, encoder.pooler(encoder.cls_rows(hidden)));
    }
    Ok(graph.finish()?)
}

/// Inputs [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; output [`HIDDEN_STATES`] after the
/// first `layers` layers, whose linear parts are multiplied in `precision`.
///
/// # Errors
/// When the configuration does not fit together.
pub fn trunk(config: &EncoderConfig, layers: usize, precision: MatmulPrecision) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let (encoder, embeddings) = from_ids(&graph, config, Padding::unpadded, precision);
    let layer = |hidden, layer| encoder.layer(layer, hidden, Rows::All).hidden;
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
    let (logits, attention) = tail(&graph, config, head, start, Padding::masked, Dropout::default());
    graph.output(LOGITS, logits);
    graph.output(ATTENTION, attention);
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
    let (padding, dropout) = (Padding::masked(&graph, attention_mask), Dropout::default());
    let encoder = Encoder { graph: &graph, config, padding, dropout, precision: MatmulPrecision::Float32 };
    let embeddings = encoder.embeddings(Words::Ids(input_ids), token_type_ids);
    let (logits, attention) = classify(encoder, embeddings, 0, head);
    graph.output(LOGITS, logits);
    graph.output(ATTENTION, attention);
    Ok(graph.finish()?)
}

/// Inputs [`INPUT_IDS`], [`TOKEN_TYPE_IDS`] and [`ATTENTION_MASK`]; output [`LOGITS`]: the whole model for
/// predictions without explanations. The layers' linear parts are multiplied in `precision`, the head's in
/// float32.
///
/// # Errors
/// When the configuration does not fit together.
pub fn logits(config: &EncoderConfig, head: Head, precision: MatmulPrecision) -> Result<Graph> {
    let graph = GraphBuilder::new();
    // Texts of a batch are as good as equally long, so padded rows cost less than leaving them out and in again.
    let (encoder, embeddings) = from_ids(&graph, config, Padding::masked, precision);
    let last = config.num_hidden_layers - 1;
    let layer = |hidden, layer| encoder.layer(layer, hidden, Rows::All).hidden;
    let cls = encoder.layer(last, (0..last).fold(embeddings, layer), Rows::Cls).hidden;
    graph.output(LOGITS, encoder.head(cls, head));
    Ok(graph.finish()?)
}

/// Inputs [`INPUTS_EMBEDS`], [`TOKEN_TYPE_IDS`], [`ATTENTION_MASK`] and [`TARGETS`]; outputs [`LOGITS`],
/// every layer's attention ([`attentions_name`]), and the gradient of `Σ targets · logits` with respect to
/// the embeddings, float32 `[batch, tokens, hidden_size]` ([`gradient_name`] of [`INPUTS_EMBEDS`]).
///
/// # Errors
/// When the configuration does not fit together.
pub fn explanation(config: &EncoderConfig, head: Head) -> Result<Graph> {
    let graph = GraphBuilder::new();
    let words = rows(&graph, INPUTS_EMBEDS, config);
    let token_type_ids = integers(&graph, TOKEN_TYPE_IDS);
    let padding = Padding::masked(&graph, integers(&graph, ATTENTION_MASK));
    let (dropout, precision) = (Dropout::default(), MatmulPrecision::Float32);
    let encoder = Encoder { graph: &graph, config, padding, dropout, precision };
    let hidden = layers_with_attention(encoder, encoder.embeddings(Words::Embedded(words), token_type_ids));
    let logits = encoder.head(encoder.cls_rows(hidden), head);
    graph.output(LOGITS, logits);
    let score = (logits * targets(&graph, head)).reduce_sum(&[0, 1], false);
    graph.output(&gradient_name(INPUTS_EMBEDS), graph.gradients(score, &[words])[0]);
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
    precision: MatmulPrecision,
) -> (Encoder<'g>, Value<'g>) {
    let [input_ids, token_type_ids, attention_mask] =
        [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK].map(|name| integers(graph, name));
    let padding = padding(graph, attention_mask);
    let encoder = Encoder { graph, config, padding, dropout: Dropout::default(), precision };
    (encoder, encoder.embeddings(Words::Ids(input_ids), token_type_ids))
}

/// All layers for all tokens, with every layer's attention as an output.
fn layers_with_attention<'g>(encoder: Encoder<'g>, embeddings: Value<'g>) -> Value<'g> {
    (0..encoder.config.num_hidden_layers).fold(embeddings, |hidden, layer| {
        let output = encoder.layer(layer, hidden, Rows::All);
        encoder.graph.output(&attentions_name(layer), output.attention);
        output.hidden
    })
}

/// Layers from `start` on, the last for `[CLS]` alone, and the head. Returns logits
/// `[batch, labels]` and the last layer's attention `[batch, heads, tokens]`.
pub(crate) fn tail<'g>(
    graph: &'g GraphBuilder,
    config: &'g EncoderConfig,
    head: Head,
    start: Start,
    padding: impl FnOnce(&'g GraphBuilder, Value<'g>) -> Padding<'g>,
    dropout: Dropout,
) -> (Value<'g>, Value<'g>) {
    let last = config.num_hidden_layers - 1;
    let padding = padding(graph, integers(graph, ATTENTION_MASK));
    let encoder = Encoder { graph, config, padding, dropout, precision: MatmulPrecision::Float32 };
    let (hidden, first) = match start {
        Start::InputIds => {
            let ids = integers(graph, INPUT_IDS);
            (encoder.embeddings(Words::Ids(ids), integers(graph, TOKEN_TYPE_IDS)), 0)
        }
        Start::InputsEmbeds => {
            let words = rows(graph, INPUTS_EMBEDS, config);
            (encoder.embeddings(Words::Embedded(words), integers(graph, TOKEN_TYPE_IDS)), 0)
        }
        Start::AfterLayers(layers) => {
            let hidden = rows(graph, HIDDEN_STATES, config);
            let hidden = hidden.reshape(&[positions(), config.hidden_size.into()]);
            (padding.unpad(hidden), layers.min(last))
        }
    };
    classify(encoder, hidden, first, head)
}

/// The layers from `first` on, the last for `[CLS]` alone, and the head: logits and the last layer's attention.
fn classify<'g>(encoder: Encoder<'g>, hidden: Value<'g>, first: usize, head: Head) -> (Value<'g>, Value<'g>) {
    let last = encoder.config.num_hidden_layers - 1;
    let layer = |hidden, layer| encoder.layer(layer, hidden, Rows::All).hidden;
    let output = encoder.layer(last, (first..last).fold(hidden, layer), Rows::Cls);
    let heads = encoder.config.num_attention_heads;
    let attention = output.attention.reshape(&[BATCH.into(), heads.into(), TOKENS.into()]);
    (encoder.head(output.hidden, head), attention)
}

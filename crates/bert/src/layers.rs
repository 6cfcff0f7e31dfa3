//! BERT's building blocks as graph nodes (Devlin et al. 2019; Vaswani et al. 2017).
//!
//! Hidden states travel as matrices `[batch·tokens, hidden_size]`, so that every linear layer is
//! one `Gemm` on Hugging Face's own weight layout `[out, in]`, and so is each of its gradients.

use midashi_onnx::{Dim, Gelu, Graph, Result, Value};

use crate::config::{Activation, BertConfig, POOLER, layer_name};

/// Axis of the texts in a batch.
pub(crate) const BATCH: &str = "batch";
/// Axis of the tokens of the longest text in the batch.
pub(crate) const TOKENS: &str = "tokens";

/// Which tokens of a text a layer computes results for. All of them are attended to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Every token.
    All,
    /// `[CLS]` alone: all that the classifier reads of the last layer.
    Cls,
}

/// What a layer computes.
pub(crate) struct LayerOutput {
    /// `[batch·rows, hidden_size]`
    pub(crate) hidden: Value,
    /// Attention weights after the softmax, `[batch, heads, rows, tokens]`.
    pub(crate) attention: Value,
}

impl Rows {
    /// How many tokens of each text, as an axis.
    fn per_text(self) -> Dim {
        match self {
            Self::All => TOKENS.into(),
            Self::Cls => 1.into(),
        }
    }

    /// How many rows the matrix of hidden states has.
    pub(crate) fn in_batch(self) -> Dim {
        [&BATCH.into(), &self.per_text()].into_iter().product()
    }
}

/// Sum of word, position and token type embeddings, normalised: `[batch·tokens, hidden_size]`.
/// Token type 0 is taken for every token, as for a single text.
pub(crate) fn embeddings(graph: &mut Graph, config: &BertConfig, input_ids: Value) -> Result<Value> {
    const NAME: &str = "bert.embeddings";
    graph.within(NAME, |g| {
        let hidden = config.hidden_size;
        let words = g.parameter(&format!("{NAME}.word_embeddings.weight"), &[config.vocab_size, hidden])?;
        let positions = g.parameter(
            &format!("{NAME}.position_embeddings.weight"),
            &[config.max_position_embeddings, hidden],
        )?;
        let types =
            g.parameter(&format!("{NAME}.token_type_embeddings.weight"), &[config.type_vocab_size, hidden])?;
        let word = g.gather(words, input_ids)?;
        let position = g.take_as_many(positions, TOKENS)?;
        let first_type = g.take_first(types, 0, 1)?;
        let sum = g.add(word, first_type)?;
        let sum = g.add(sum, position)?;
        let rows = g.reshape(sum, &[Rows::All.in_batch(), hidden.into()])?;
        layer_norm(g, config, NAME, rows)
    })
}

/// What is added to attention scores: 0 for tokens, the lowest float for padding, so that padding
/// gets no attention. `[batch, 1, 1, tokens]`
pub(crate) fn attention_bias(graph: &mut Graph, attention_mask: Value) -> Result<Value> {
    graph.within("attention_mask", |g| {
        let mask = g.to_float(attention_mask);
        let one = g.scalar(1.0);
        let absent = g.sub(one, mask)?;
        let bias = g.scale(absent, f32::MIN)?;
        g.reshape(bias, &[BATCH.into(), 1.into(), 1.into(), TOKENS.into()])
    })
}

/// One Transformer layer on `[batch·tokens, hidden_size]`.
///
/// With [`Rows::Cls`] keys and values are computed for all tokens and everything else for `[CLS]`
/// alone; the result for `[CLS]` is the same, because a layer's rows do not depend on each other
/// but through keys and values.
pub(crate) fn encoder_layer(
    graph: &mut Graph,
    config: &BertConfig,
    layer: usize,
    hidden: Value,
    bias: Value,
    rows: Rows,
) -> Result<LayerOutput> {
    let name = layer_name(layer);
    graph.within(&name, |g| {
        let own = match rows {
            Rows::All => hidden,
            Rows::Cls => cls_rows(g, config, hidden)?,
        };
        let (context, attention) = self_attention(g, config, &name, hidden, own, bias, rows)?;
        let width = config.hidden_size;
        let attended = linear(g, &format!("{name}.attention.output.dense"), context, width, width)?;
        let attended = g.add(attended, own)?;
        let attended = layer_norm(g, config, &format!("{name}.attention.output"), attended)?;
        let wide =
            linear(g, &format!("{name}.intermediate.dense"), attended, width, config.intermediate_size)?;
        let active = match config.hidden_act {
            Activation::Gelu => g.gelu(wide, Gelu::Exact),
            Activation::GeluNew => g.gelu(wide, Gelu::Tanh),
            Activation::Relu => g.relu(wide),
        };
        let narrow = linear(g, &format!("{name}.output.dense"), active, config.intermediate_size, width)?;
        let sum = g.add(narrow, attended)?;
        let hidden = layer_norm(g, config, &format!("{name}.output"), sum)?;
        Ok(LayerOutput { hidden, attention })
    })
}

/// Scaled dot-product attention of `own` rows to all rows of `hidden`.
fn self_attention(
    g: &mut Graph,
    config: &BertConfig,
    name: &str,
    hidden: Value,
    own: Value,
    bias: Value,
    rows: Rows,
) -> Result<(Value, Value)> {
    let width = config.hidden_size;
    let heads = |g: &mut Graph, part: &str, input, rows: Rows, order: &[usize]| {
        let all_heads = linear(g, &format!("{name}.attention.self.{part}"), input, width, width)?;
        let (heads, size) = (config.num_attention_heads, config.head_size());
        let split = g.reshape(all_heads, &[BATCH.into(), rows.per_text(), heads.into(), size.into()])?;
        g.transpose(split, order)
    };
    let query = heads(g, "query", own, rows, &[0, 2, 1, 3])?;
    let key = heads(g, "key", hidden, Rows::All, &[0, 2, 3, 1])?;
    let value = heads(g, "value", hidden, Rows::All, &[0, 2, 1, 3])?;
    let scores = g.matmul(query, key)?;
    let scaled = g.scale(scores, 1.0 / (config.head_size() as f32).sqrt())?;
    let masked = g.add(scaled, bias)?;
    let attention = g.softmax(masked);
    let context = g.matmul(attention, value)?;
    let context = g.transpose(context, &[0, 2, 1, 3])?;
    Ok((g.reshape(context, &[rows.in_batch(), width.into()])?, attention))
}

/// Rows of `[CLS]`, the first token of each text: `[batch, hidden_size]`.
pub(crate) fn cls_rows(g: &mut Graph, config: &BertConfig, hidden: Value) -> Result<Value> {
    let width = config.hidden_size;
    let by_text = g.reshape(hidden, &[BATCH.into(), TOKENS.into(), width.into()])?;
    let first = g.take_first(by_text, 1, 1)?;
    g.reshape(first, &[BATCH.into(), width.into()])
}

/// A linear layer on `[CLS]` and tanh: `[batch, hidden_size]`.
pub(crate) fn pooler(graph: &mut Graph, config: &BertConfig, hidden: Value) -> Result<Value> {
    graph.within("bert.pooler", |g| {
        let cls = cls_rows(g, config, hidden)?;
        let dense = linear(g, POOLER, cls, config.hidden_size, config.hidden_size)?;
        Ok(g.tanh(dense))
    })
}

/// `x·Wᵀ + b` with the parameters `name.weight` `[out, in]` and `name.bias` `[out]`.
pub(crate) fn linear(g: &mut Graph, name: &str, x: Value, input: usize, output: usize) -> Result<Value> {
    let weight = g.parameter(&format!("{name}.weight"), &[output, input])?;
    let bias = g.parameter(&format!("{name}.bias"), &[output])?;
    g.gemm(x, weight, Some(bias), false, true)
}

fn layer_norm(g: &mut Graph, config: &BertConfig, name: &str, x: Value) -> Result<Value> {
    let weight = g.parameter(&format!("{name}.LayerNorm.weight"), &[config.hidden_size])?;
    let bias = g.parameter(&format!("{name}.LayerNorm.bias"), &[config.hidden_size])?;
    g.layer_normalization(x, weight, bias, config.layer_norm_eps as f32)
}

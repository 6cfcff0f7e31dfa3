//! BERT's building blocks as graph nodes (Devlin et al. 2019; Vaswani et al. 2017).
//!
//! Hidden states travel as matrices `[rows, hidden_size]`, so that every linear layer is one `Gemm`
//! on Hugging Face's own weight layout `[out, in]`, and so is each of its gradients. There is a row
//! for every position of the padded batch, or only for those that hold a token: padding is then left
//! out of all that is done row by row, and only attention sees the texts as long as the longest.

use midashi_onnx::{Dim, ElementType, Gelu, Graph, PresentRows, Result, Value};

use crate::config::{Activation, BertConfig, POOLER, layer_name};
use crate::quantize;

/// Axis of the texts in a batch.
pub(crate) const BATCH: &str = "batch";
/// Axis of the tokens of the longest text in the batch.
pub(crate) const TOKENS: &str = "tokens";

/// Axis of the batch's tokens without its padding.
const PRESENT: &str = "present";

/// What of a batch is padding, and what becomes of it.
#[derive(Clone, Copy)]
pub(crate) struct Padding {
    /// Added to attention scores: 0 for tokens, the lowest float for padding, so that padding gets
    /// no attention. `[batch, 1, 1, tokens]`
    bias: Value,
    /// The rows that hold a token, where the others are left out of the hidden states.
    present: Option<PresentRows>,
}

/// Where numbers of the hidden states are dropped while learning (Srivastava et al. 2014; BERT's
/// places): each place is an input of the graph, a float32 mask to multiply with, 0 where a number is
/// dropped and 1 / (1 − share) elsewhere. So whoever feeds it decides, and every device drops the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropout {
    /// After the embeddings, after what attention and the feed-forward layers give, and before the
    /// classifier.
    pub hidden: bool,
    /// Of attention weights.
    pub attention: bool,
}

/// What all layers of a graph have in common.
#[derive(Clone, Copy)]
pub(crate) struct Encoder<'a> {
    pub(crate) config: &'a BertConfig,
    pub(crate) padding: Padding,
    pub(crate) dropout: Dropout,
    pub(crate) products: Products,
}

/// In which numbers a layer's linear parts are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Products {
    /// float32
    #[default]
    Float32,
    /// 8-bit integers, to which activations are rounded when they are there (see
    /// [`Weights::quantized`](crate::Weights::quantized)).
    Int8,
}

/// `x` with some numbers dropped; the mask is the input `dropout.<place>`.
pub(crate) fn with_dropout(g: &mut Graph, applies: bool, place: &str, x: Value) -> Result<Value> {
    if !applies {
        return Ok(x);
    }
    let shape = g.shape(x).to_vec();
    let mask = g.input(&dropout_name(place), ElementType::Float32, &shape)?;
    g.mul(x, mask)
}

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
    /// `[rows, hidden_size]`
    pub(crate) hidden: Value,
    /// Attention weights after the softmax, `[batch, heads, rows, tokens]`.
    pub(crate) attention: Value,
}

impl Encoder<'_> {
    /// A layer's linear part.
    fn linear(self, g: &mut Graph, name: &str, x: Value, input: usize, output: usize) -> Result<Value> {
        match self.products {
            Products::Float32 => linear(g, name, x, input, output),
            Products::Int8 => quantize::linear(g, name, x, input, output),
        }
    }
}

impl Rows {
    /// How many tokens of each text, as an axis.
    fn per_text(self) -> Dim {
        match self {
            Self::All => TOKENS.into(),
            Self::Cls => 1.into(),
        }
    }
}

impl Padding {
    /// Padding has rows in the hidden states, and no attention.
    pub(crate) fn masked(graph: &mut Graph, attention_mask: Value) -> Result<Self> {
        graph.within("attention_mask", |g| {
            let mask = g.to_float(attention_mask);
            let one = g.scalar(1.0);
            let absent = g.sub(one, mask)?;
            let bias = g.scale(absent, f32::MIN)?;
            let bias = g.reshape(bias, &[BATCH.into(), 1.into(), 1.into(), TOKENS.into()])?;
            Ok(Self { bias, present: None })
        })
    }

    /// Padding has no rows in the hidden states either: nothing is computed for it, which in a batch
    /// of texts in random order is almost half of all.
    pub(crate) fn left_out(graph: &mut Graph, attention_mask: Value) -> Result<Self> {
        let masked = Self::masked(graph, attention_mask)?;
        graph.within("attention_mask", |g| {
            let mask = g.reshape(attention_mask, &[positions()])?;
            Ok(Self { present: Some(g.present_rows(mask, PRESENT)?), ..masked })
        })
    }

    /// How many rows the hidden states have.
    fn rows(self) -> Dim {
        self.present.map_or_else(positions, |_| PRESENT.into())
    }

    /// The rows that the hidden states have of something with a row for every position.
    pub(crate) fn strip(self, graph: &mut Graph, x: Value) -> Result<Value> {
        self.present.map_or(Ok(x), |present| graph.without_padding(x, present))
    }

    /// Hidden states with a row for every position; those of padding are not defined.
    pub(crate) fn restore(self, graph: &mut Graph, hidden: Value) -> Result<Value> {
        self.present.map_or(Ok(hidden), |present| graph.with_padding(hidden, present))
    }
}

/// Name of the input that is the dropout mask of a place in the model, such as
/// `bert.encoder.layer.0.output`.
pub(crate) fn dropout_name(place: &str) -> String {
    format!("dropout.{place}")
}

/// All positions of the padded batch: `batch·tokens`.
pub(crate) fn positions() -> Dim {
    [&BATCH.into(), &TOKENS.into()].into_iter().product()
}

/// A batch's words, a number or a row for every position.
#[derive(Clone, Copy)]
pub(crate) enum Words {
    /// Rows of the word embeddings, int64 `[batch, tokens]`.
    Ids(Value),
    /// Their embeddings, float32 `[batch, tokens, hidden_size]`.
    Embedded(Value),
}

/// Sum of word, position and token type embeddings, normalised: `[rows, hidden_size]`.
pub(crate) fn embeddings(
    graph: &mut Graph,
    encoder: Encoder<'_>,
    words: Words,
    token_type_ids: Value,
) -> Result<Value> {
    const NAME: &str = "bert.embeddings";
    let Encoder { config, padding, dropout, .. } = encoder;
    graph.within(NAME, |g| {
        let width = config.hidden_size;
        let mut table = |part: &str, rows| g.parameter(&format!("{NAME}.{part}.weight"), &[rows, width]);
        let rows_of_words = table("word_embeddings", config.vocab_size)?;
        let places = table("position_embeddings", config.max_position_embeddings)?;
        let types = table("token_type_embeddings", config.type_vocab_size)?;
        let rows = |g: &mut Graph, x: Value, rest: &[Dim]| match padding.present {
            None => Ok(x),
            Some(_) => {
                let x = g.reshape(x, &[&[positions()], rest].concat())?;
                padding.strip(g, x)
            }
        };
        let words = match words {
            Words::Ids(ids) => Words::Ids(rows(g, ids, &[])?),
            Words::Embedded(words) => Words::Embedded(rows(g, words, &[width.into()])?),
        };
        let type_ids = rows(g, token_type_ids, &[])?;
        let place = match padding.present {
            None => g.take_as_many(places, TOKENS)?,
            Some(present) => {
                let number_in_text = g.modulo_size(present.numbers(), TOKENS)?;
                g.gather(places, number_in_text)?
            }
        };
        let word = match words {
            Words::Ids(ids) => g.gather(rows_of_words, ids)?,
            Words::Embedded(word) => word,
        };
        let token_type = g.gather(types, type_ids)?;
        let sum = g.add(word, token_type)?;
        let sum = g.add(sum, place)?;
        let rows = g.reshape(sum, &[padding.rows(), width.into()])?;
        let normalised = layer_norm(g, config, NAME, rows)?;
        with_dropout(g, dropout.hidden, NAME, normalised)
    })
}

/// One Transformer layer on `[rows, hidden_size]`.
///
/// With [`Rows::Cls`] keys and values are computed for all tokens and everything else for `[CLS]`
/// alone; the result for `[CLS]` is the same, because a layer's rows do not depend on each other
/// but through keys and values.
pub(crate) fn encoder_layer(
    graph: &mut Graph,
    encoder: Encoder<'_>,
    layer: usize,
    hidden: Value,
    rows: Rows,
) -> Result<LayerOutput> {
    let Encoder { config, dropout, .. } = encoder;
    let name = layer_name(layer);
    graph.within(&name, |g| {
        let own = match rows {
            Rows::All => hidden,
            Rows::Cls => cls_rows(g, encoder, hidden)?,
        };
        let (context, attention) = self_attention(g, encoder, &name, hidden, own, rows)?;
        let width = config.hidden_size;
        let attended = encoder.linear(g, &format!("{name}.attention.output.dense"), context, width, width)?;
        let attended = with_dropout(g, dropout.hidden, &format!("{name}.attention.output"), attended)?;
        let attended = g.add(attended, own)?;
        let attended = layer_norm(g, config, &format!("{name}.attention.output"), attended)?;
        let inner = config.intermediate_size;
        let wide = encoder.linear(g, &format!("{name}.intermediate.dense"), attended, width, inner)?;
        let active = match config.hidden_act {
            Activation::Gelu => g.gelu(wide, Gelu::Exact),
            Activation::GeluNew => g.gelu(wide, Gelu::Tanh),
            Activation::Relu => g.relu(wide),
        };
        let narrow = encoder.linear(g, &format!("{name}.output.dense"), active, inner, width)?;
        let narrow = with_dropout(g, dropout.hidden, &format!("{name}.output"), narrow)?;
        let sum = g.add(narrow, attended)?;
        let hidden = layer_norm(g, config, &format!("{name}.output"), sum)?;
        Ok(LayerOutput { hidden, attention })
    })
}

/// Scaled dot-product attention of `own` rows to all rows of `hidden`.
fn self_attention(
    g: &mut Graph,
    encoder: Encoder<'_>,
    name: &str,
    hidden: Value,
    own: Value,
    rows: Rows,
) -> Result<(Value, Value)> {
    let Encoder { config, padding, dropout, .. } = encoder;
    let width = config.hidden_size;
    let heads = |g: &mut Graph, part: &str, input, rows: Rows, order: &[usize]| {
        let mut all_heads =
            encoder.linear(g, &format!("{name}.attention.self.{part}"), input, width, width)?;
        if rows == Rows::All {
            all_heads = padding.restore(g, all_heads)?;
        }
        let (heads, size) = (config.num_attention_heads, config.head_size());
        let split = g.reshape(all_heads, &[BATCH.into(), rows.per_text(), heads.into(), size.into()])?;
        g.transpose(split, order)
    };
    let query = heads(g, "query", own, rows, &[0, 2, 1, 3])?;
    let key = heads(g, "key", hidden, Rows::All, &[0, 2, 3, 1])?;
    let value = heads(g, "value", hidden, Rows::All, &[0, 2, 1, 3])?;
    let scores = g.matmul(query, key)?;
    let scaled = g.scale(scores, 1.0 / (config.head_size() as f32).sqrt())?;
    let masked = g.add(scaled, padding.bias)?;
    let attention = g.softmax(masked);
    let kept = with_dropout(g, dropout.attention, &format!("{name}.attention.self"), attention)?;
    let context = g.matmul(kept, value)?;
    let context = g.transpose(context, &[0, 2, 1, 3])?;
    let context = match rows {
        Rows::All => {
            let context = g.reshape(context, &[positions(), width.into()])?;
            padding.strip(g, context)?
        }
        Rows::Cls => g.reshape(context, &[BATCH.into(), width.into()])?,
    };
    Ok((context, attention))
}

/// Rows of `[CLS]`, the first token of each text: `[batch, hidden_size]`.
pub(crate) fn cls_rows(g: &mut Graph, encoder: Encoder<'_>, hidden: Value) -> Result<Value> {
    let Encoder { config, padding, .. } = encoder;
    let width = config.hidden_size;
    let by_text = |g: &mut Graph, x, rest: &[Dim]| {
        let shape = [&[BATCH.into(), TOKENS.into()], rest].concat();
        let by_text = g.reshape(x, &shape)?;
        let first = g.take_first(by_text, 1, 1)?;
        g.reshape(first, &[&[BATCH.into()], rest].concat())
    };
    match padding.present {
        None => by_text(g, hidden, &[width.into()]),
        Some(present) => {
            let first = by_text(g, present.numbers_of_padded(), &[])?;
            g.gather(hidden, first)
        }
    }
}

/// A linear layer on `[CLS]` and tanh: `[batch, hidden_size]`.
pub(crate) fn pooler(graph: &mut Graph, encoder: Encoder<'_>, hidden: Value) -> Result<Value> {
    graph.within("bert.pooler", |g| {
        let cls = cls_rows(g, encoder, hidden)?;
        let width = encoder.config.hidden_size;
        let dense = linear(g, POOLER, cls, width, width)?;
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

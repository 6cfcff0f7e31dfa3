//! BERT's building blocks as graph nodes (Devlin et al. 2019; Vaswani et al. 2017).
//!
//! Hidden states are matrices `[rows, hidden_size]`, so that every linear layer is one `Gemm` on Hugging
//! Face's own weight layout `[out, in]`, and so is each of its gradients. There is a row for every position
//! of the padded batch or, unpadded, for those that hold a token. Only attention needs the padded batch.

use midashi_onnx::{Dim, ElementType, Gelu, GraphBuilder, UnpaddedRows, Value};

use crate::config::{Activation, EncoderConfig, POOLER, layer_name};
use crate::head::Head;
use crate::names::dropout_name;
use crate::quantize;

/// Axis of the texts in a batch.
pub(crate) const BATCH: &str = "batch";
/// Axis of the tokens of the longest text in the batch.
pub(crate) const TOKENS: &str = "tokens";
/// Axis of the unpadded rows, by its name in written models.
const UNPADDED: &str = "present";

/// What in a batch is padding.
#[derive(Clone, Copy)]
pub(crate) struct Padding<'g> {
    /// Added to attention scores, `[batch, 1, 1, tokens]`: 0 for tokens and the lowest float for padding, so
    /// that padding gets no attention.
    bias: Value<'g>,
    /// The rows of the hidden states where these are unpadded.
    rows: Option<UnpaddedRows<'g>>,
}

/// Where numbers of the hidden states are dropped in training (Srivastava et al. 2014, at BERT's places).
/// Each place is an input of the graph, a float32 mask to multiply with: 0 where a number is dropped and
/// `1 / (1 − rate)` elsewhere. The masks are fed so that every device drops the same numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropout {
    /// After the embeddings, attention and feed-forward layers, and before the classifier.
    pub hidden: bool,
    /// Of attention weights.
    pub attention: bool,
}

/// The numbers in which matrices of a layer's linear parts are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatmulPrecision {
    /// 32-bit floats.
    #[default]
    Float32,
    /// 8-bit integers. Activations are quantised in the graph, weights by
    /// [`Weights::quantized`](crate::Weights::quantized).
    Int8,
    /// 8-bit integers that round less where hidden states and GELU have few small steps. Weights are the same.
    FineInt8,
}

/// The numbers that a linear part multiplies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Factor {
    /// Normalised hidden states.
    Hidden,
    /// Means of values, weighted by attention.
    Context,
    /// The output of the activation function.
    Activated,
}

/// What all layers of a graph have in common.
#[derive(Clone, Copy)]
pub(crate) struct Encoder<'g> {
    pub(crate) graph: &'g GraphBuilder,
    pub(crate) config: &'g EncoderConfig,
    pub(crate) padding: Padding<'g>,
    pub(crate) dropout: Dropout,
    pub(crate) precision: MatmulPrecision,
}

/// The tokens of a text that a layer computes results for. All tokens are attended to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Every token.
    All,
    /// `[CLS]` alone, which is all that the classifier reads of the last layer.
    Cls,
}

/// A batch's words.
#[derive(Clone, Copy)]
pub(crate) enum Words<'g> {
    /// Rows of the word embeddings, int64 `[batch, tokens]`.
    Ids(Value<'g>),
    /// Their embeddings, float32 `[batch, tokens, hidden_size]`.
    Embedded(Value<'g>),
}

/// What a layer computes.
pub(crate) struct LayerOutput<'g> {
    /// `[rows, hidden_size]`
    pub(crate) hidden: Value<'g>,
    /// Attention weights after the softmax, `[batch, heads, rows, tokens]`.
    pub(crate) attention: Value<'g>,
}

/// All positions of the padded batch: `batch·tokens`.
pub(crate) fn positions() -> Dim {
    [&BATCH.into(), &TOKENS.into()].into_iter().product()
}

impl<'g> Padding<'g> {
    /// Padding has rows in the hidden states, but gets no attention.
    pub(crate) fn masked(graph: &'g GraphBuilder, attention_mask: Value<'g>) -> Self {
        graph.scope("attention_mask", || {
            let bias = (1.0 - attention_mask.to_float()) * f32::MIN;
            Self { bias: bias.reshape(&[BATCH.into(), 1.into(), 1.into(), TOKENS.into()]), rows: None }
        })
    }

    /// Padding has no rows in the hidden states either: in a batch of texts in random order almost half of
    /// all positions are padding, and nothing is computed for them.
    pub(crate) fn unpadded(graph: &'g GraphBuilder, attention_mask: Value<'g>) -> Self {
        let masked = Self::masked(graph, attention_mask);
        graph.scope("attention_mask", || {
            let rows = UnpaddedRows::new(attention_mask.reshape(&[positions()]), UNPADDED);
            Self { rows: Some(rows), ..masked }
        })
    }

    /// `x`, which has a row for every position, with the rows of the hidden states.
    pub(crate) fn unpad(self, x: Value<'g>) -> Value<'g> {
        self.rows.map_or(x, |rows| rows.unpad(x))
    }

    /// Hidden states with a row for every position; those of padding are not defined.
    fn pad(self, hidden: Value<'g>) -> Value<'g> {
        self.rows.map_or(hidden, |rows| rows.pad(hidden))
    }
}

impl<'g> Encoder<'g> {
    /// Sum of word, position and token type embeddings, normalised: `[rows, hidden_size]`.
    pub(crate) fn embeddings(self, words: Words<'g>, token_type_ids: Value<'g>) -> Value<'g> {
        const NAME: &str = "bert.embeddings";
        let Self { graph, config, padding, .. } = self;
        let width = config.hidden_size;
        graph.scope(NAME, || {
            let table = |part, rows| graph.parameter(&format!("{NAME}.{part}.weight"), &[rows, width]);
            let word_table = table("word_embeddings", config.vocab_size);
            let position_table = table("position_embeddings", config.max_position_embeddings);
            let type_table = table("token_type_embeddings", config.type_vocab_size);
            let unpad = |x: Value<'g>, row: &[Dim]| match padding.rows {
                None => x,
                Some(rows) => rows.unpad(x.reshape(&[&[positions()], row].concat())),
            };
            let word_rows = match words {
                Words::Ids(ids) => unpad(ids, &[]),
                Words::Embedded(embedded) => unpad(embedded, &[width.into()]),
            };
            let type_ids = unpad(token_type_ids, &[]);
            let (position, count) = match padding.rows {
                None => (position_table.take_as_many(TOKENS), positions()),
                Some(rows) => (position_table.gather(rows.in_padded().modulo_size(TOKENS)), UNPADDED.into()),
            };
            let word = match words {
                Words::Ids(_) => word_table.gather(word_rows),
                Words::Embedded(_) => word_rows,
            };
            let sum = word + type_table.gather(type_ids) + position;
            let normalised = self.layer_norm(NAME, sum.reshape(&[count, width.into()]));
            self.drop_hidden(NAME, normalised)
        })
    }

    /// One Transformer layer on `[rows, hidden_size]`.
    ///
    /// With [`Rows::Cls`] keys and values are computed for all tokens and everything else for `[CLS]` alone.
    /// The result for `[CLS]` is the same, because rows depend on each other only through keys and values.
    pub(crate) fn layer(self, layer: usize, hidden: Value<'g>, rows: Rows) -> LayerOutput<'g> {
        let name = layer_name(layer);
        let (width, inner) = (self.config.hidden_size, self.config.intermediate_size);
        self.graph.scope(&name, || {
            let own = match rows {
                Rows::All => hidden,
                Rows::Cls => self.cls_rows(hidden),
            };
            let (context, attention) = self.self_attention(&name, hidden, own, rows);
            let attended =
                self.add_and_norm(&format!("{name}.attention.output"), context, width, own, Factor::Context);
            let wide =
                self.linear(&format!("{name}.intermediate.dense"), attended, width, inner, Factor::Hidden);
            let active = match self.config.hidden_act {
                Activation::Gelu => wide.gelu(Gelu::Exact),
                Activation::GeluNew => wide.gelu(Gelu::Tanh),
                Activation::Relu => wide.relu(),
            };
            let hidden =
                self.add_and_norm(&format!("{name}.output"), active, inner, attended, Factor::Activated);
            LayerOutput { hidden, attention }
        })
    }

    /// Attention of `own` rows to all rows of `hidden`, `softmax(Q·Kᵀ/√d)·V`, and its weights.
    fn self_attention(
        self,
        name: &str,
        hidden: Value<'g>,
        own: Value<'g>,
        rows: Rows,
    ) -> (Value<'g>, Value<'g>) {
        let Self { config, padding, .. } = self;
        let (width, size) = (config.hidden_size, config.head_size());
        let name = format!("{name}.attention.self");
        let heads = |part: &str, x: Value<'g>, rows: Rows, perm: [usize; 4]| {
            let x = self.linear(&format!("{name}.{part}"), x, width, width, Factor::Hidden);
            let (x, per_text) = match rows {
                Rows::All => (padding.pad(x), TOKENS.into()),
                Rows::Cls => (x, 1.into()),
            };
            x.reshape(&[BATCH.into(), per_text, config.num_attention_heads.into(), size.into()])
                .transpose(&perm)
        };
        let query = heads("query", own, rows, [0, 2, 1, 3]);
        let key_transposed = heads("key", hidden, Rows::All, [0, 2, 3, 1]);
        let value = heads("value", hidden, Rows::All, [0, 2, 1, 3]);
        let scores = query.matmul(key_transposed) * (1.0 / (size as f32).sqrt());
        let attention = (scores + padding.bias).softmax();
        let weights = self.drop(self.dropout.attention, &name, attention);
        let context = weights.matmul(value).transpose(&[0, 2, 1, 3]);
        let context = match rows {
            Rows::All => padding.unpad(context.reshape(&[positions(), width.into()])),
            Rows::Cls => context.reshape(&[BATCH.into(), width.into()]),
        };
        (context, attention)
    }

    /// Rows of `[CLS]`, the first token of each text: `[batch, hidden_size]`.
    pub(crate) fn cls_rows(self, hidden: Value<'g>) -> Value<'g> {
        let first = |x: Value<'g>, row: &[Dim]| {
            let by_text = x.reshape(&[&[BATCH.into(), TOKENS.into()], row].concat());
            by_text.take_first(1, 1).reshape(&[&[BATCH.into()], row].concat())
        };
        match self.padding.rows {
            None => first(hidden, &[self.config.hidden_size.into()]),
            Some(rows) => hidden.gather(first(rows.in_unpadded(), &[])),
        }
    }

    /// A linear layer on the rows of `[CLS]` and tanh: `[batch, hidden_size]`.
    pub(crate) fn pooler(self, cls: Value<'g>) -> Value<'g> {
        let width = self.config.hidden_size;
        self.graph.scope("bert.pooler", || linear(self.graph, POOLER, cls, width, width).tanh())
    }

    /// The head on the rows of `[CLS]`: `[batch, labels]`.
    pub(crate) fn head(self, cls: Value<'g>, Head { labels, pooler }: Head) -> Value<'g> {
        const NAME: &str = "classifier";
        let width = self.config.hidden_size;
        let cls = if pooler { self.pooler(cls) } else { cls };
        self.graph.scope(NAME, || linear(self.graph, NAME, self.drop_hidden(NAME, cls), width, labels))
    }

    /// A linear layer, the residual connection and layer normalisation.
    fn add_and_norm(
        self,
        name: &str,
        x: Value<'g>,
        input: usize,
        residual: Value<'g>,
        factor: Factor,
    ) -> Value<'g> {
        let dense = self.linear(&format!("{name}.dense"), x, input, self.config.hidden_size, factor);
        self.layer_norm(name, self.drop_hidden(name, dense) + residual)
    }

    fn linear(self, name: &str, x: Value<'g>, input: usize, output: usize, factor: Factor) -> Value<'g> {
        let is_gelu = self.config.hidden_act != Activation::Relu;
        let multiply = match (self.precision, factor) {
            (MatmulPrecision::Float32, _) => linear,
            (MatmulPrecision::FineInt8, Factor::Hidden) => quantize::linear_of_two_digits,
            (MatmulPrecision::FineInt8, Factor::Activated) if is_gelu => quantize::linear_of_gelu,
            (MatmulPrecision::Int8 | MatmulPrecision::FineInt8, _) => quantize::linear,
        };
        multiply(self.graph, name, x, input, output)
    }

    fn layer_norm(self, name: &str, x: Value<'g>) -> Value<'g> {
        let width = [self.config.hidden_size];
        let [weight, bias] =
            ["weight", "bias"].map(|part| self.graph.parameter(&format!("{name}.LayerNorm.{part}"), &width));
        x.layer_normalization(weight, bias, self.config.layer_norm_eps as f32)
    }

    fn drop_hidden(self, place: &str, x: Value<'g>) -> Value<'g> {
        self.drop(self.dropout.hidden, place, x)
    }

    /// `x` with some numbers dropped, if the place has dropout.
    fn drop(self, applies: bool, place: &str, x: Value<'g>) -> Value<'g> {
        let mask = || self.graph.input(&dropout_name(place), ElementType::Float32, &x.shape());
        if applies { x * mask() } else { x }
    }
}

/// `x·Wᵀ + b` with the parameters `name.weight` `[out, in]` and `name.bias` `[out]`.
fn linear<'g>(g: &'g GraphBuilder, name: &str, x: Value<'g>, input: usize, output: usize) -> Value<'g> {
    let weight = g.parameter(&format!("{name}.weight"), &[output, input]);
    let bias = g.parameter(&format!("{name}.bias"), &[output]);
    x.gemm(weight, Some(bias), false, true)
}

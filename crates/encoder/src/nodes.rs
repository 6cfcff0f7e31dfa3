//! Building blocks that the encoders share, as graph nodes.
//!
//! Hidden states are matrices `[rows, hidden_size]`, so that every linear layer is one `Gemm` on Hugging
//! Face's own weight layout `[out, in]`, and so is each of its gradients. There is a row for every position
//! of the padded batch or, unpadded, for those that hold a token. Only attention needs the padded batch.

use std::ops::Range;

use midashi_onnx::{Dim, ElementType, Gelu, GraphBuilder, Value};

use crate::geometry::{Activation, Geometry};
use crate::head_rows::HeadRows;
use crate::linear::Linear;
use crate::names::{attention_dropout_name, hidden_dropout_name};
use crate::padding::{BATCH, Padding, TOKENS, positions};
use crate::ranges::{ActivationRanges, observe};

/// Where numbers of the hidden states are dropped in training (Srivastava et al. 2014, at the architecture's
/// places). Each place is an input of the graph, a float32 mask to multiply with: 0 where a number is dropped
/// and `1 / (1 − rate)` elsewhere. The masks are fed so that every device drops the same numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropout {
    /// After the embeddings, attention and feed-forward layers, and in the head.
    pub hidden: bool,
    /// Of attention weights.
    pub attention: bool,
}

/// The numbers in which matrices of a layer's linear parts are multiplied.
#[derive(Clone, Copy, Debug, Default)]
pub enum MatmulPrecision<'a> {
    /// 32-bit floats.
    #[default]
    Float32,
    /// 8-bit integers. Activations are rounded in the graph by their ranges ([`calibration`](crate::calibration)), weights by
    /// [`Weights::quantized`](crate::Weights::quantized).
    Int8(&'a ActivationRanges),
    /// 8-bit integers for a model whose ranges are not known, with a second digit for hidden states.
    FineInt8,
}

/// The numbers that a linear part multiplies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor {
    /// Normalised hidden states.
    Hidden,
    /// Means of values, weighted by attention.
    Context,
    /// The output of GELU.
    Gelu,
    /// The output of another activation function.
    Activated,
    /// The product of an activation function and a gate, which has few large numbers of both signs.
    Gated,
}

/// The tokens of a text that a layer computes results for. All tokens are attended to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// Every token.
    All,
    /// `[CLS]` alone, which is all that most heads read of the last layer.
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

/// What all layers of a graph have in common.
#[derive(Clone, Copy)]
pub(crate) struct Nodes<'g> {
    pub(crate) graph: &'g GraphBuilder,
    pub(crate) geometry: &'g Geometry,
    pub(crate) padding: Padding<'g>,
    pub(crate) dropout: Dropout,
    pub(crate) precision: MatmulPrecision<'g>,
    /// Whether the graph outputs the range of each input of a linear layer.
    pub(crate) outputs_ranges: bool,
    /// Whether the graph outputs the attention weights of every layer for every token.
    pub(crate) outputs_attention: bool,
}

impl<'g> Nodes<'g> {
    /// For a graph in float32 without dropout that outputs no attention but the last layer's from `[CLS]`.
    pub(crate) fn new(graph: &'g GraphBuilder, geometry: &'g Geometry, padding: Padding<'g>) -> Self {
        let (dropout, precision) = (Dropout::default(), MatmulPrecision::Float32);
        Self { graph, geometry, padding, dropout, precision, outputs_ranges: false, outputs_attention: false }
    }

    /// The table `name` of embeddings, `[rows, hidden_size]`.
    pub(crate) fn table(self, name: &str, rows: usize) -> Value<'g> {
        self.graph.parameter(name, &[rows, self.geometry.hidden_size])
    }

    /// The word embeddings of the hidden states' rows, `[rows, hidden_size]`, from the table `name`. With unpadded
    /// rows, padding is not looked up.
    pub(crate) fn word_embeddings(self, name: &str, words: Words<'g>) -> Value<'g> {
        let Geometry { vocab_size, hidden_size, .. } = *self.geometry;
        let table = self.table(name, vocab_size);
        let rows = match words {
            Words::Ids(ids) => table.gather(self.rows(ids, &[])),
            Words::Embedded(embedded) => self.rows(embedded, &[hidden_size.into()]),
        };
        rows.reshape(&[self.padding.count(), hidden_size.into()])
    }

    /// `x`, `[batch, tokens]` and the axes `row`, for the rows of the hidden states. Padded rows keep both axes.
    pub(crate) fn rows(self, x: Value<'g>, row: &[Dim]) -> Value<'g> {
        match self.padding.rows {
            None => x,
            Some(rows) => rows.unpad(x.reshape(&[&[positions()], row].concat())),
        }
    }

    /// `x`, which has a row for every token, with one axis for the heads: `[batch, tokens, heads, head_size]` in the
    /// order `perm`. `rows` are the tokens of `x`.
    pub(crate) fn by_head(self, x: Value<'g>, rows: Rows, perm: &[usize]) -> Value<'g> {
        let (heads, size) = (self.geometry.num_attention_heads, self.geometry.head_size());
        if let (Rows::All, Some(head_rows)) = (rows, self.head_rows()) {
            // The order with heads before tokens has these two axes exchanged.
            let axis = |&axis: &usize| match axis {
                1 => 2,
                2 => 1,
                axis => axis,
            };
            let (by_head, perm) = (head_rows.split(x, size), perm.iter().map(axis).collect::<Vec<_>>());
            return if perm == [0, 1, 2, 3] { by_head } else { by_head.transpose(&perm) };
        }
        let per_text = match rows {
            Rows::All => TOKENS.into(),
            Rows::Cls => 1.into(),
        };
        x.reshape(&[BATCH.into(), per_text, heads.into(), size.into()]).transpose(perm)
    }

    /// The heads' parts of the hidden states, where these are unpadded.
    fn head_rows(self) -> Option<HeadRows<'g>> {
        self.padding.rows.map(|rows| HeadRows::of(self.padding, rows, self.geometry.num_attention_heads))
    }

    /// The inverse of [`by_head`](Self::by_head): `[batch, heads, tokens, head_size]` to `[rows, hidden_size]`.
    pub(crate) fn join_heads(self, x: Value<'g>, rows: Rows) -> Value<'g> {
        if let (Rows::All, Some(head_rows)) = (rows, self.head_rows()) {
            return head_rows.join(x, self.geometry.head_size());
        }
        let (joined, width) = (x.transpose(&[0, 2, 1, 3]), self.geometry.hidden_size);
        match rows {
            Rows::All => joined.reshape(&[positions(), width.into()]),
            Rows::Cls => joined.reshape(&[BATCH.into(), width.into()]),
        }
    }

    /// `hidden` for `rows`.
    pub(crate) fn select(self, hidden: Value<'g>, rows: Rows) -> Value<'g> {
        match rows {
            Rows::All => hidden,
            Rows::Cls => self.cls_rows(hidden),
        }
    }

    /// Rows of `[CLS]`, the first token of each text: `[batch, hidden_size]`.
    pub(crate) fn cls_rows(self, hidden: Value<'g>) -> Value<'g> {
        let first = |x: Value<'g>, row: &[Dim]| {
            let by_text = x.reshape(&[&[BATCH.into(), TOKENS.into()], row].concat());
            by_text.take_first(1, 1).reshape(&[&[BATCH.into()], row].concat())
        };
        match self.padding.rows {
            None => first(hidden, &[self.geometry.hidden_size.into()]),
            Some(rows) => hidden.gather(first(rows.in_unpadded(), &[])),
        }
    }

    /// `hidden` text by text, `[batch, tokens, hidden_size]`. Padding is not defined, and no result may depend on it.
    pub(crate) fn by_text(self, hidden: Value<'g>) -> Value<'g> {
        let shape = [BATCH.into(), TOKENS.into(), self.geometry.hidden_size.into()];
        self.padding.pad(hidden).reshape(&shape)
    }

    /// The mean of each text's tokens, padding left out: `[batch, hidden_size]`.
    pub(crate) fn mean_rows(self, hidden: Value<'g>) -> Value<'g> {
        let mask = self.padding.mask.to_float().reshape(&[BATCH.into(), 1.into(), TOKENS.into()]);
        let weights = mask / mask.reduce_sum(&[2], true);
        let mean = weights.matmul(self.by_text(hidden));
        mean.reshape(&[BATCH.into(), self.geometry.hidden_size.into()])
    }

    /// `x·Wᵀ + b` with the parameters `name.weight` `[out, in]` and, if there is a `bias`, `name.bias` `[out]`; in the
    /// graph's precision.
    pub(crate) fn linear(
        self,
        name: &str,
        x: Value<'g>,
        sizes: [usize; 2],
        bias: bool,
        factor: Factor,
    ) -> Value<'g> {
        self.linear_part(name, x, sizes, 0..sizes[1], bias, factor)
    }

    /// As [`linear`](Self::linear), the outputs `part` alone. ONNX Runtime cuts matrices that are not trained when it loads
    /// them, so that a part costs no more than a layer of its own.
    pub(crate) fn linear_part(
        self,
        name: &str,
        x: Value<'g>,
        [input, output]: [usize; 2],
        part: Range<usize>,
        bias: bool,
        factor: Factor,
    ) -> Value<'g> {
        if self.outputs_ranges {
            observe(self.graph, name, x);
        }
        let linear = Linear { graph: self.graph, name, input, output, part, has_bias: bias };
        match (self.precision, factor) {
            (MatmulPrecision::Float32, _) => linear.in_float32(x),
            // Means of values have few numbers that are much larger than the others, so a shift is not worth its time.
            (MatmulPrecision::Int8(ranges), _) => {
                linear.in_calibrated_int8(x, ranges, factor == Factor::Hidden)
            }
            (MatmulPrecision::FineInt8, Factor::Hidden | Factor::Gated) => linear.in_two_digits(x),
            (MatmulPrecision::FineInt8, Factor::Gelu) => linear.of_gelu(x),
            (MatmulPrecision::FineInt8, Factor::Context | Factor::Activated) => linear.in_int8(x),
        }
    }

    /// As [`linear`](Self::linear), always in float32.
    pub(crate) fn linear_float32(
        self,
        name: &str,
        x: Value<'g>,
        [input, output]: [usize; 2],
        bias: bool,
    ) -> Value<'g> {
        Linear { graph: self.graph, name, input, output, part: 0..output, has_bias: bias }.in_float32(x)
    }

    /// Layer normalisation with the parameters `name.weight` and `name.bias`.
    pub(crate) fn layer_norm(self, name: &str, x: Value<'g>) -> Value<'g> {
        self.layer_norm_with(name, x, true)
    }

    /// Layer normalisation with the parameter `name.weight` and, if it `has_bias`, `name.bias`.
    pub(crate) fn layer_norm_with(self, name: &str, x: Value<'g>, has_bias: bool) -> Value<'g> {
        let width = self.geometry.hidden_size;
        let weight = self.graph.parameter(&format!("{name}.weight"), &[width]);
        let bias = has_bias.then(|| self.graph.parameter(&format!("{name}.bias"), &[width]));
        x.layer_normalization(weight, bias, self.geometry.layer_norm_eps as f32)
    }

    /// `x` with some numbers dropped, if the graph drops hidden states.
    pub(crate) fn drop_hidden(self, place: &str, x: Value<'g>) -> Value<'g> {
        if self.dropout.hidden { self.drop(&hidden_dropout_name(place), x) } else { x }
    }

    /// Attention weights with some numbers dropped, if the graph drops them.
    pub(crate) fn drop_attention(self, place: &str, x: Value<'g>) -> Value<'g> {
        if self.dropout.attention { self.drop(&attention_dropout_name(place), x) } else { x }
    }

    fn drop(self, mask: &str, x: Value<'g>) -> Value<'g> {
        x * self.graph.input(mask, ElementType::Float32, &x.shape())
    }
}

impl Activation {
    /// The function of `x`.
    pub(crate) fn of(self, x: Value<'_>) -> Value<'_> {
        match self {
            Self::Gelu => x.gelu(Gelu::Exact),
            Self::GeluNew => x.gelu(Gelu::Tanh),
            Self::Relu => x.relu(),
            Self::Tanh => x.tanh(),
        }
    }

    /// What a linear part after it multiplies.
    pub(crate) fn factor(self) -> Factor {
        match self {
            Self::Gelu | Self::GeluNew => Factor::Gelu,
            Self::Relu | Self::Tanh => Factor::Activated,
        }
    }
}

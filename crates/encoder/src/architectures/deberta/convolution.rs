//! The convolution beside the first layer, by which DeBERTa-v2 learns of neighbouring tokens.

use midashi_onnx::Value;

use super::layers::{CONVOLUTION, Convolution};
use crate::nodes::{Nodes, Rows};
use crate::padding::{BATCH, TOKENS, positions};

impl Convolution {
    /// `LayerNorm(output + f(conv(input)))`, where `input` are the rows before the first layer and `output` those after it.
    ///
    /// A convolution is a sum of linear layers on a token's neighbours, which are zeros outside of the text. As such, it
    /// is computed for tokens alone and not for padding, and in large matrices rather than text by text.
    pub(super) fn add<'g>(
        self,
        nodes: Nodes<'g>,
        input: Value<'g>,
        output: Value<'g>,
        rows: Rows,
    ) -> Value<'g> {
        let width = nodes.geometry.hidden_size;
        nodes.graph.scope(CONVOLUTION, || {
            let texts =
                nodes.padding.pad_with_zeros(input).reshape(&[BATCH.into(), TOKENS.into(), width.into()]);
            let neighbours = match rows {
                Rows::All => texts.neighbours(1, self.kernel),
                Rows::Cls => texts.neighbours_of_first(1, self.kernel),
            };
            let neighbours = neighbours.into_iter().map(|neighbour| match rows {
                Rows::All => nodes.padding.unpad(neighbour.reshape(&[positions(), width.into()])),
                Rows::Cls => neighbour.reshape(&[BATCH.into(), width.into()]),
            });
            let name = format!("{CONVOLUTION}.conv");
            let weight = nodes.graph.parameter(&format!("{name}.weight"), &[width, width, self.kernel]);
            let bias = nodes.graph.parameter(&format!("{name}.bias"), &[width]);
            let by_neighbour = weight.transpose(&[2, 0, 1]);
            let convolved = neighbours.enumerate().fold(bias, |sum, (at, neighbour)| {
                neighbour.gemm(by_neighbour.at(0, at), Some(sum), false, true)
            });
            let active = self.activation.of(nodes.drop_hidden(CONVOLUTION, convolved));
            nodes.layer_norm(&format!("{CONVOLUTION}.LayerNorm"), output + active)
        })
    }
}

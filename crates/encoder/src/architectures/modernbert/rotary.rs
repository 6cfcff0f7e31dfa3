//! Rotary position embeddings (Su et al. 2021, "RoFormer"): a query and a key of each head are rotated by angles
//! proportional to their positions, so that their product depends on the distance alone.
//!
//! Numbers `i` and `i + d/2` of a head's `d` are the two coordinates that angle `i` rotates.

use midashi_onnx::{Dim, Value};

use crate::nodes::Nodes;
use crate::padding::{BATCH, TOKENS};

/// The base of the wavelengths, `rope_theta`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Theta(pub f64);

impl Theta {
    /// The angles of one position, `theta^(−2i/d)`, in float32 as transformers has them.
    pub(super) fn frequencies(self, head_size: usize) -> Vec<f32> {
        let exponent = |at: usize| (2 * at) as f32 / head_size as f32;
        (0..head_size / 2).map(|at| 1.0 / self.0.powf(exponent(at).into()) as f32).collect()
    }

    /// `x`, `[rows, hidden_size]`, with each head rotated by the position of its row.
    pub(super) fn rotate<'g>(self, nodes: Nodes<'g>, x: Value<'g>) -> Value<'g> {
        let (heads, half) = (nodes.geometry.num_attention_heads, nodes.geometry.head_size() / 2);
        let rows: Vec<Dim> = match nodes.padding.rows {
            None => vec![BATCH.into(), TOKENS.into()],
            Some(_) => vec![nodes.padding.count()],
        };
        let coordinates = x.reshape(&[&rows[..], &[heads.into(), 2.into(), half.into()]].concat());
        let swapped = coordinates.flip(rows.len() + 1);
        let rotated = coordinates * self.of_rows(nodes, Function::Cosine)
            + swapped * self.of_rows(nodes, Function::Sine);
        rotated.reshape(&x.shape())
    }

    /// The factors of both coordinates for each row, `[rows, 1, 2, d/2]`: the cosine twice, or minus the sine and the
    /// sine. All layers of one base share them.
    fn of_rows(self, nodes: Nodes<'_>, function: Function) -> Value<'_> {
        let graph = nodes.graph;
        graph.shared(&format!("rotary.{}.{function:?}", self.0), || {
            let frequencies = self.frequencies(nodes.geometry.head_size());
            let half = frequencies.len();
            let position = graph.range(TOKENS).to_float().reshape(&[TOKENS.into(), 1.into()]);
            let angle = position * graph.floats(&[half], &frequencies);
            let angle = angle.reshape(&[TOKENS.into(), 1.into(), 1.into(), half.into()]);
            let of_position = match function {
                Function::Cosine => angle.cos() * graph.floats(&[2, 1], &[1.0, 1.0]),
                Function::Sine => angle.sin() * graph.floats(&[2, 1], &[-1.0, 1.0]),
            };
            match nodes.padding.rows {
                None => of_position,
                Some(rows) => of_position.gather(rows.in_padded().modulo_size(TOKENS)),
            }
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Function {
    Cosine,
    Sine,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_are_those_of_transformers() {
        // `ModernBertRotaryEmbedding.compute_default_rope_parameters` of transformers 5.24, head size 64.
        let expected = [
            (10_000.0, [(1, 0.749_894_2_f32), (16, 0.01), (31, 0.000_133_352_15)]),
            (160_000.0, [(1, 0.687_656_2), (16, 0.0025), (31, 9.088_847e-6)]),
        ];
        for (theta, of_angles) in expected {
            let found = Theta(theta).frequencies(64);
            assert_eq!((found.len(), found[0]), (32, 1.0));
            for (at, frequency) in of_angles {
                // PyTorch's own power differs by 3e-7 from one of its code paths to another.
                let difference = (found[at] / frequency - 1.0).abs();
                assert!(difference < 4e-7, "base {theta}, angle {at}: {}", found[at]);
            }
        }
    }
}

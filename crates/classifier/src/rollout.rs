//! Attention rollout: attention through all layers.

use ndarray::{Array1, ArrayView2};

/// Attention rollout (Abnar and Zuidema 2020, section 3): the share of each token in `[CLS]` after the last layer. Each
/// layer's attention, mean over heads, `[tokens, tokens]`, is averaged with the identity for the residual connection, and
/// the layers' matrices are multiplied; the result is the product's row of `[CLS]`. `layers` are in the order of the
/// model; the last may have the row of `[CLS]` alone. The result sums to 1.
pub fn rollout<'a>(layers: impl DoubleEndedIterator<Item = ArrayView2<'a, f32>>) -> Array1<f32> {
    // From the last layer to the first, vector-matrix products suffice; of the last layer the row of [CLS] does.
    let mut row: Option<Array1<f32>> = None;
    for layer in layers.rev() {
        let mut mixed = match &row {
            Some(row) => row.dot(&layer) + row,
            None => of_cls(layer),
        };
        mixed *= 0.5;
        row = Some(mixed);
    }
    row.unwrap_or_default()
}

/// The row of `[CLS]`, the first token, of `layer + 1`.
fn of_cls(layer: ArrayView2<'_, f32>) -> Array1<f32> {
    let mut row = layer.outer_iter().next().map(|row| row.to_owned()).unwrap_or_default();
    row.iter_mut().take(1).for_each(|first| *first += 1.0);
    row
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rollout_multiplies_the_layers_mixed_with_the_identity() {
        let (first, last) = (array![[0.0, 1.0], [0.5, 0.5]], array![[0.5, 0.5], [1.0, 0.0]]);
        // ½(first + 1) = [[½, ½], [¼, ¾]], ½(last + 1) = [[¾, ¼], [½, ½]]; the row of [CLS] of their product is
        // ¾·[½, ½] + ¼·[¼, ¾].
        let found = rollout([first.view(), last.view()].into_iter());
        assert_eq!(found, array![0.4375, 0.5625]);
        let cls_alone = last.slice(ndarray::s![..1, ..]);
        assert_eq!(rollout([first.view(), cls_alone].into_iter()), found);
        assert!(rollout(std::iter::empty()).is_empty(), "no layers");
    }
}

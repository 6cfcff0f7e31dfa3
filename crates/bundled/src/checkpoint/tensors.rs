//! The tensors: their names in both files, and their shapes.

use crate::error::Result;
use crate::packed::{Geometry, PackedEncoder, Values};

/// A tensor under its name in transformers' `BertModel`.
pub(super) struct Tensor<'f> {
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) values: Values<'f>,
}

/// All tensors, sorted by name.
pub(super) fn all<'f>(encoder: &PackedEncoder<'f>) -> Result<Vec<Tensor<'f>>> {
    let Geometry { hidden_size: hidden, intermediate_size: inner, .. } = encoder.geometry();
    let Geometry { layers, vocabulary_rows, positions, token_types, .. } = encoder.geometry();
    let mut tensors = Vec::new();
    let mut add = |packed: String, name: String, shape: &[usize]| -> Result<()> {
        let values = encoder.tensor(&packed, shape)?;
        tensors.push(Tensor { name, shape: shape.to_vec(), values });
        Ok(())
    };
    for (packed, name, shape) in [
        ("word", "word_embeddings.weight", &[vocabulary_rows, hidden][..]),
        ("pos", "position_embeddings.weight", &[positions, hidden]),
        ("type", "token_type_embeddings.weight", &[token_types, hidden]),
        ("ln.w", "LayerNorm.weight", &[hidden]),
        ("ln.b", "LayerNorm.bias", &[hidden]),
    ] {
        add(format!("emb.{packed}"), format!("embeddings.{name}"), shape)?;
    }
    for layer in 0..layers {
        for (packed, name, outputs, inputs) in [
            ("q", "attention.self.query", hidden, hidden),
            ("k", "attention.self.key", hidden, hidden),
            ("v", "attention.self.value", hidden, hidden),
            ("ao", "attention.output.dense", hidden, hidden),
            ("fi", "intermediate.dense", inner, hidden),
            ("fo", "output.dense", hidden, inner),
        ] {
            let name = format!("encoder.layer.{layer}.{name}");
            add(format!("l{layer}.{packed}.w"), format!("{name}.weight"), &[outputs, inputs])?;
            add(format!("l{layer}.{packed}.b"), format!("{name}.bias"), &[outputs])?;
        }
        for (packed, name) in [("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")] {
            let name = format!("encoder.layer.{layer}.{name}");
            add(format!("l{layer}.{packed}.w"), format!("{name}.weight"), &[hidden])?;
            add(format!("l{layer}.{packed}.b"), format!("{name}.bias"), &[hidden])?;
        }
    }
    tensors.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(tensors)
}

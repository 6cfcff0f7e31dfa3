//! The header: the format's name and version, and the sizes of the encoder.

use super::cursor::Cursor;
use super::values::BLOCK;
use crate::error::{Result, damaged};

const NAME: &[u8] = b"E5S1";
const VERSION: u32 = 1;

/// The sizes of a BERT encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Number of Transformer layers.
    pub layers: usize,
    /// Number of attention heads in a layer.
    pub attention_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Rows of the word embeddings.
    pub vocabulary_rows: usize,
    /// Rows of the position embeddings.
    pub positions: usize,
    /// Rows of the token-type embeddings.
    pub token_types: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: f32,
}

/// Reads the header.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Geometry> {
    let name = cursor.take(NAME.len(), "the format's name")?;
    if name != NAME {
        return Err(damaged("byte 0", format!("{:?}", name.escape_ascii().to_string()), "the name E5S1"));
    }
    let version = cursor.u32("the format's version")?;
    if version != VERSION {
        return Err(damaged("byte 4", format!("version {version} of the format"), "version 1"));
    }
    let geometry = Geometry {
        hidden_size: cursor.size("the hidden size")?,
        layers: cursor.size("the number of layers")?,
        attention_heads: cursor.size("the number of attention heads")?,
        intermediate_size: cursor.size("the intermediate size")?,
        vocabulary_rows: cursor.size("the rows of the word embeddings")?,
        positions: cursor.size("the rows of the position embeddings")?,
        token_types: cursor.size("the rows of the token-type embeddings")?,
        layer_norm_epsilon: cursor.f32("epsilon of layer normalisation")?,
    };
    let block = cursor.size("the size of a block")?;
    let Geometry { hidden_size, layers, attention_heads, intermediate_size, .. } = geometry;
    let wrong = |found: String, expected: &str| Err(damaged("header", found, expected));
    if block != BLOCK {
        return wrong(format!("blocks of {block} numbers"), "blocks of 32");
    }
    for (size, what) in [
        (layers, "layers"),
        (geometry.vocabulary_rows, "rows of the word embeddings"),
        (geometry.positions, "rows of the position embeddings"),
        (geometry.token_types, "rows of the token-type embeddings"),
    ] {
        if size == 0 {
            return wrong(format!("no {what}"), "at least one");
        }
    }
    if hidden_size == 0 || attention_heads == 0 || !hidden_size.is_multiple_of(attention_heads) {
        return wrong(
            format!("hidden size {hidden_size}, {attention_heads} attention heads"),
            "a hidden size that is a multiple of the number of heads",
        );
    }
    if intermediate_size == 0
        || !hidden_size.is_multiple_of(BLOCK)
        || !intermediate_size.is_multiple_of(BLOCK)
    {
        return wrong(
            format!("hidden size {hidden_size}, intermediate size {intermediate_size}"),
            "multiples of 32, because blocks do not cross rows",
        );
    }
    let epsilon = geometry.layer_norm_epsilon;
    if !epsilon.is_finite() || epsilon <= 0.0 {
        return wrong(format!("epsilon {epsilon}"), "a number above 0");
    }
    Ok(geometry)
}

//! `README.md`, the model card.

use super::origin::Origin;
use crate::packed::{Geometry, PackedEncoder};

/// The file's content. Its first lines are the metadata from which a fine-tuned model's card takes the licence.
pub(super) fn card(encoder: &PackedEncoder<'_>, origin: &Origin<'_>) -> String {
    let Origin { model, licence, package, sha256 } = origin;
    let Geometry { hidden_size, layers, vocabulary_rows, .. } = encoder.geometry();
    format!(
        "---\n\
         license: {licence}\n\
         base_model: {model}\n\
         ---\n\
         \n\
         # {model} from 4 bits\n\
         \n\
         The encoder of {model}: {layers} layers, hidden size {hidden_size}, {vocabulary_rows} word embeddings. It was made from\n\
         the file of the package {package}, which holds matrices and word embeddings in 4 bits (blocks of 32 numbers\n\
         with a float16 scale) and the other tensors in float32. The numbers here are those of the file, in float32. They are not\n\
         those of the original model, from which rounding to 4 bits has removed precision. The file has no pooler.\n\
         \n\
         `tokenizer.json` has the pieces and scores of the file, and its map of characters followed by NFKC.\n\
         \n\
         SHA-256 of the file: `{sha256}`. Licence of the weights, as the package states it: {licence}.\n"
    )
}

//! The inputs of the training graph: which texts make a batch, their targets, dropout masks, and the word
//! embeddings that they use.

mod batches;
mod dropout;
mod targets;
mod used_rows;

pub use batches::Batches;
pub use dropout::masks as dropout_masks;
pub use targets::Targets;
pub use used_rows::UsedRows;

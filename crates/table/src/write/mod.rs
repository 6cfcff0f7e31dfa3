//! Writing tables: a file per format.

mod arrow_ipc;
mod compressed;
mod delimited;
mod failure;
mod formulas;
mod json_lines;
mod parquet;
mod times;
mod writer;

pub use formulas::Formulas;
pub use writer::{WriteOptions, Writer};

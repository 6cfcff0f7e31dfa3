//! A corpus of tables: read as a stream, twice.

mod bad_rows;
pub mod features;
pub mod rows;
mod survey;
pub mod table_corpus;

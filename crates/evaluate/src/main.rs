//! Stage 5, being written.

mod metrics;
mod table;

fn main() {}

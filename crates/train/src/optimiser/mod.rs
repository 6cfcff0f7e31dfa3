//! AdamW for the trainable tensors, in two places with the same numbers: `fused` on the host, one parallel
//! pass over each tensor, and `in_graph` on the device, as part of the training graph.

mod adam;
mod fused;
mod in_graph;
mod interface;
mod learning_rate;
mod open;
mod schedule;
mod state;
#[cfg(test)]
mod tests;

pub use interface::Optimiser;
pub use open::open;
pub use schedule::LearningRateSchedule;
pub use state::State;

//! The training loop: epochs of steps and validation, the history they leave, and the file from which an
//! interrupted training resumes.

mod epochs;
mod history;
mod interrupt;
mod state_file;
mod tail;
mod tensorboard;

pub use epochs::train;
pub use state_file::{StateFile, remove_state};
pub use tail::Tail;

//! The encoders that Midashi knows, a folder for each.

mod all;
mod architecture;
mod bert;
mod deberta;
mod modernbert;

pub(crate) use all::read;
pub(crate) use architecture::{Architecture, Description, Keys};

//! The encoders that Midashi knows, a folder for each.

mod all;
mod architecture;
mod bert;
mod deberta;

pub(crate) use all::read;
pub(crate) use architecture::{Architecture, Description, Keys};

#![doc = include_str!("../README.md")]

mod builder;
mod error;
mod gradient;
mod graph;
mod node;
mod operators;
mod padding;
mod proto;
mod shape;
mod size;
mod window;
mod write;

pub use builder::{GraphBuilder, Place, Value};
pub use error::{Error, Result};
pub use graph::Graph;
pub use node::{ElementType, Gelu};
pub use padding::UnpaddedRows;
pub use shape::{Dim, Shape};
pub use size::Size;
pub use write::{FileRange, Storage};

//! An ONNX graph as a value: build it, differentiate it, write it.
//!
//! ```
//! use midashi_onnx::{Dim, ElementType, Graph, Storage};
//!
//! // The mean of (x·wᵀ)² over a batch, and its gradient with respect to w.
//! let mut graph = Graph::new();
//! let batch = Dim::symbol("batch");
//! let x = graph.input("x", ElementType::Float32, &[batch, 3.into()])?;
//! let w = graph.parameter("w", &[1, 3])?;
//! let y = graph.gemm(x, w, None, false, true)?;
//! let squared = graph.mul(y, y)?;
//! let loss = graph.reduce_mean(squared, &[0, 1], false)?;
//! let gradient = graph.gradients(loss, &[w])?[0];
//! assert_eq!(graph.shape(gradient), [1.into(), 3.into()]);
//!
//! graph.output("loss", loss)?;
//! graph.output("gradient", gradient)?;
//! graph.prune();
//! let model: Vec<u8> = graph.to_model("example", |_| Storage::Input);
//! # assert!(!model.is_empty());
//! # Ok::<(), midashi_onnx::Error>(())
//! ```
//!
//! Training with a plain inference engine rests on this crate: the gradients are ordinary ONNX
//! nodes, so any stock ONNX Runtime trains. The crate knows nothing of BERT.

mod error;
mod gradient;
mod graph;
mod operators;
mod proto;
mod rows;
mod shape;
mod write;

pub use error::{Error, Result};
pub use graph::{ElementType, Graph, Value};
pub use operators::Gelu;
pub use rows::PresentRows;
pub use shape::{Dim, Shape};
pub use write::Storage;

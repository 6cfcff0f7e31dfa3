//! Errors of building a graph.

/// Result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a graph could not be built or differentiated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Operands do not fit the operator.
    #[error("{place}{op}: {message}")]
    Operands {
        /// The scope the operator was added in, with a trailing `/`.
        place: String,
        /// The ONNX operator.
        op: &'static str,
        /// What was found and what was expected.
        message: String,
    },
    /// The table of gradients has no row for an operator between a value and the loss.
    #[error("{node}: operator {op} has no gradient rule; add a row to the table in gradient.rs")]
    NoGradient {
        /// The node's name.
        node: String,
        /// The ONNX operator.
        op: &'static str,
    },
    /// The loss depends on an output of a node that the rules do not differentiate.
    #[error(
        "{node}: the loss depends on an output of {op} other than its first output, which has no gradient"
    )]
    LaterOutput {
        /// The node's name.
        node: String,
        /// The ONNX operator.
        op: &'static str,
    },
    /// A gradient was asked for a value that the loss does not depend on.
    #[error("the loss does not depend on {0}, so it has no gradient")]
    Independent(String),
    /// A size is known only at run time and no input of the graph has it.
    #[error("no input of the graph has an axis {0}, so its size cannot be computed")]
    UnknownSize(&'static str),
    /// Two inputs, parameters or outputs have one name.
    #[error("the name {0} is used twice")]
    DuplicateName(String),
}

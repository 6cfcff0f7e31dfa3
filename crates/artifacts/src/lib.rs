//! The artifacts' schemas: for each file one row type, one `write` and one `read`.
//!
//! Rows are plain Rust structs; columns, dictionary types and provenance are this crate's
//! business alone. Parquet is for people and other tools, Arrow IPC for the two large files that
//! a later stage maps into memory.

mod attention;
mod columns;
mod corpus;
mod error;
mod explanations;
mod faithfulness;
mod features;
mod files;
mod metrics;
mod predictions;
mod sources;
mod sweep;
mod tokens;
mod training;

pub use attention::{AttentionRow, read_attention, write_attention};
pub use corpus::{Article, CategoryId, Corpus, Split, Timestamp};
pub use error::{Error, Result};
pub use explanations::{Explanation, Explanations};
pub use faithfulness::{
    BestHead, Difference, Erasure, Faithfulness, Measure, Method, MethodFaithfulness, Unit,
};
pub use features::{Features, FeaturesKey, FeaturesWriter, round_to};
pub use metrics::{
    ArticleMetrics, Averages, BaselineMetrics, Calibration, CalibrationBin, ClassMetrics,
    ClassificationReport, EnsembleMetrics, Interval, Intervals, MaskedMetrics, McNemar, Metrics,
    PaddingShares, Scores,
};
pub use predictions::{Prediction, Predictions};
pub use sources::Sources;
pub use sweep::{Sweep, SweepRow, SweepScores};
pub use tokens::{Replacement, TokenizedCorpus, TokenizedText};
pub use training::{StepRow, read_training, write_training};

//! The addresses.

/// The page; `POST` is `/predict`, as in text-embeddings-inference.
pub const PAGE: &str = "/";
/// The page's style sheet.
pub const STYLE: &str = "/page.css";
/// The page's script.
pub const SCRIPT: &str = "/page.js";
/// Predictions.
pub const PREDICT: &str = "/predict";
/// Predictions with the weights of words.
pub const EXPLAIN: &str = "/explain";
/// Whether the server works.
pub const HEALTH: &str = "/health";
/// What the server says of itself.
pub const INFO: &str = "/info";
/// Numbers for Prometheus.
pub const METRICS: &str = "/metrics";
/// The description of all addresses.
pub const OPENAPI: &str = "/openapi.json";

const ALL: [&str; 9] = [PAGE, STYLE, SCRIPT, PREDICT, EXPLAIN, HEALTH, INFO, METRICS, OPENAPI];

/// The address `path` as a label of metrics; `other` for those that do not exist, so that nobody can add labels.
pub fn label(path: &str) -> &'static str {
    ALL.into_iter().find(|known| *known == path).unwrap_or("other")
}

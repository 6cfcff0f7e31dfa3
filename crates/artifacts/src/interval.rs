//! Intervals of scores.

use serde::{Deserialize, Serialize};

/// The middle 95 % of a score over resamples of the test split: a percentile interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// 2.5 % of the resamples score less.
    pub low: f64,
    /// 2.5 % of the resamples score more.
    pub high: f64,
}

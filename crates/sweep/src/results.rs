//! Scores, digests and durations of finished runs.

use anyhow::{Context, Result};
use midashi_artifacts::{Metrics, Split, Sweep, SweepScores, read_training};
use midashi_stage::{RunFolder, RunRecord, sha256_of_bytes};
use serde_json::{Map, Value};

use crate::grid::Grid;

/// The scores of a finished run.
///
/// # Errors
/// When one of its artifacts cannot be read.
pub fn scores(folder: &RunFolder) -> Result<SweepScores> {
    let metrics = Metrics::read(&folder.metrics())?;
    let (baseline, ensemble) = (metrics.baseline.map(|it| it.scores), metrics.ensemble.map(|it| it.scores));
    Ok(SweepScores {
        accuracy: metrics.accuracy,
        macro_f1: metrics.macro_f1,
        weighted_f1: metrics.weighted_f1,
        validation_accuracy: validation_accuracy(folder)?,
        baseline_accuracy: baseline.map(|it| it.accuracy),
        baseline_macro_f1: baseline.map(|it| it.macro_f1),
        ensemble_accuracy: ensemble.map(|it| it.accuracy),
        ensemble_macro_f1: ensemble.map(|it| it.macro_f1),
    })
}

/// Validation accuracy of the best epoch; none without a validation split.
fn validation_accuracy(folder: &RunFolder) -> Result<Option<f64>> {
    let record = RunRecord::read(folder);
    let best = record.stage("train").and_then(|train| train.details.get("best_epoch")?.as_i64());
    let missing = || format!("{} has no best_epoch of train; run the sweep again", folder.record().display());
    let best = best.with_context(missing)?;
    let rows = read_training(&folder.training())?;
    let row = rows.iter().find(|row| row.split == Split::Validation && row.epoch == best);
    Ok(row.map(|row| row.correct as f64 / row.texts as f64))
}

/// SHA-256 of the metrics of each run that has not failed.
///
/// # Errors
/// When one cannot be read.
pub fn digests(sweep: &Sweep, grid: &Grid) -> Result<Map<String, Value>> {
    let mut digests = Map::new();
    for (row, setting) in sweep.rows.iter().zip(&grid.settings) {
        let path = RunFolder::of(&setting.config).metrics();
        let digest = match row.scores {
            Some(_) => {
                let read = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                Value::from(sha256_of_bytes(&read))
            }
            None => Value::Null,
        };
        digests.insert(row.run.clone(), digest);
    }
    Ok(digests)
}

/// Duration of the last work of `stages`, in seconds.
pub fn seconds(folder: &RunFolder, stages: &[&str]) -> Option<f64> {
    let record = RunRecord::read(folder);
    stages.iter().map(|stage| Some(record.stage(stage)?.wall_seconds)).sum()
}

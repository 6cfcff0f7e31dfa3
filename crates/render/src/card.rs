//! The model card with results: `README.md` of the run.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use midashi_artifacts::{Metrics, with_results};
use midashi_stage::{RunFolder, atomic};

/// The card without results, which `train` wrote.
pub fn of_model(folder: &RunFolder) -> PathBuf {
    folder.model().join("README.md")
}

/// Writes the card of `model/` with the results of the test split beside `model/`.
///
/// # Errors
/// When the card of `model/` cannot be read or was changed, or the new one cannot be written.
pub fn write(folder: &RunFolder, metrics: &Metrics) -> Result<()> {
    let path = of_model(folder);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = with_results(&text, metrics).with_context(|| {
        format!(
            "{}: found no metadata between lines of \"---\", title and section \"Results\", as train writes them; run \
             `make train` again",
            path.display()
        )
    })?;
    Ok(atomic::write_bytes(&folder.card(), text.as_bytes())?)
}

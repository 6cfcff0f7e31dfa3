//! The runs of a sweep as JSON Lines, for a scheduler.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context, Result};
use midashi_config::TrainableLayers;
use midashi_stage::RunFolder;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::donors::Donors;
use crate::grid::{Grid, Setting};

/// One run.
#[derive(Serialize)]
struct Line<'a> {
    number: usize,
    name: &'a str,
    /// By swept key.
    values: Map<String, Value>,
    folder: String,
    config: String,
    /// The run that should finish first; none if this one can start at once.
    after: Option<usize>,
    /// What this run takes over from that one instead of computing it.
    shares: Vec<&'static str>,
}

/// Prints one line per run. Nothing is written to the disk.
///
/// # Errors
/// When the lines cannot be written.
pub fn print(grid: &Grid, donors: &Donors) -> Result<()> {
    let mut output = std::io::stdout().lock();
    for setting in &grid.settings {
        let line =
            serde_json::to_string(&line(setting, grid, donors)).context("cannot write a run as JSON")?;
        writeln!(output, "{}", ascii(&line)).context("cannot write standard output")?;
    }
    output.flush().context("cannot write standard output")
}

fn line<'a>(setting: &'a Setting, grid: &Grid, donors: &Donors) -> Line<'a> {
    let folder = RunFolder::of(&setting.config);
    let first = donors.first_run(setting.number);
    let shares = first.map(|number| shares(setting, &grid.settings[number - 1], donors)).unwrap_or_default();
    Line {
        number: setting.number,
        name: &setting.name,
        values: grid.keys().into_iter().zip(setting.values.iter().cloned()).collect(),
        folder: folder.path().display().to_string(),
        config: folder.config().display().to_string(),
        after: first.filter(|_| !shares.is_empty()),
        shares,
    }
}

/// What `setting` takes over from `first`, which agrees with it before training. The sweep's own folder gives its corpus and
/// tokens to the runs that agree with it.
fn shares(setting: &Setting, first: &Setting, donors: &Donors) -> Vec<&'static str> {
    let has_frozen_layers = setting.config.train.trainable_layers != TrainableLayers::All;
    let has_baseline = setting.config.evaluate.baseline && first.config.evaluate.baseline;
    let shares = [
        ("corpus", !donors.is_of_base(setting.number)),
        ("tokens", !donors.is_of_base(setting.number)),
        ("features", has_frozen_layers),
        ("baseline", has_baseline),
    ];
    shares.into_iter().filter_map(|(name, is_shared)| is_shared.then_some(name)).collect()
}

/// JSON without other characters than ASCII's printable ones: a terminal shows it as it is.
fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for letter in json.chars() {
        if matches!(letter, ' '..='~') {
            plain.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_printable_json_of_the_same_value() {
        let value = Value::from("見出し 𠮷 \u{1B}\u{7F}\u{202E}\"\\ é");
        let printed = ascii(&value.to_string());
        assert!(printed.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{printed}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
    }
}

//! `outcome.json` of a run: how it ended. The process that collects the scores needs not be the one that did the run.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Result;
use midashi_config::Config;
use midashi_stage::{Error, RunFolder, atomic, sha256_of};
use serde::{Deserialize, Serialize};

use crate::stages::Failure;

/// The content of the file, which is there only while no process works on the run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    /// SHA-256 of the files from which the scores are read, by name.
    Finished(BTreeMap<String, String>),
    Failed(Failure),
}

/// What is known of a run.
#[derive(Debug, PartialEq)]
pub enum State {
    /// Its scores can be read.
    Finished,
    /// One of its stages failed.
    Failed(Failure),
    /// It has to be done, perhaps again; the reason, without its name.
    Missing(&'static str),
}

/// Forgets how the run ended, before it is done again.
///
/// # Errors
/// When the file cannot be removed.
pub fn remove(folder: &RunFolder) -> Result<()> {
    let path = folder.sweep_outcome();
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", &path)(error).into()),
        _ => Ok(()),
    }
}

/// Records how the run ended.
///
/// # Errors
/// When an artifact cannot be read, or the file cannot be written.
pub fn write(folder: &RunFolder, result: &Result<(), Failure>) -> Result<()> {
    let outcome = match result {
        Ok(()) => Outcome::Finished(digests(folder)?),
        Err(failure) => Outcome::Failed(failure.clone()),
    };
    let path = folder.sweep_outcome();
    let text = serde_json::to_string_pretty(&outcome).map_err(Error::encode(&path))?;
    Ok(atomic::write_bytes(&path, format!("{text}\n").as_bytes())?)
}

/// What is known of the run in `folder`, which `config` describes.
///
/// # Errors
/// When `config` cannot be compared with that of the run.
pub fn state(folder: &RunFolder, config: &Config) -> Result<State> {
    let outcome = fs::read(folder.sweep_outcome()).ok();
    let Some(outcome) = outcome.and_then(|text| serde_json::from_slice(&text).ok()) else {
        return Ok(State::Missing("has not finished"));
    };
    if !is_of(folder, config)? {
        return Ok(State::Missing("has finished with other settings"));
    }
    Ok(match outcome {
        Outcome::Failed(failure) => State::Failed(failure),
        Outcome::Finished(recorded) if digests(folder).is_ok_and(|found| found == recorded) => {
            State::Finished
        }
        Outcome::Finished(_) => State::Missing("has changed since it finished"),
    })
}

/// Whether the run was done with `config`. Its folder may have been moved since.
fn is_of(folder: &RunFolder, config: &Config) -> Result<bool> {
    let Ok(mut own) = Config::load(&folder.config(), std::iter::empty::<&str>()) else { return Ok(false) };
    own.run.artifacts.clone_from(&config.run.artifacts);
    // As text, because the file holds addresses without their secrets.
    Ok(own.to_toml()? == config.to_toml()?)
}

fn digests(folder: &RunFolder) -> Result<BTreeMap<String, String>> {
    let digest = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, sha256_of(&path)?))
    };
    [folder.metrics(), folder.training()].into_iter().map(digest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(artifacts: &std::path::Path) -> (RunFolder, Config) {
        let mut config = Config::default();
        config.run.artifacts = artifacts.to_owned();
        let folder = RunFolder::of(&config);
        atomic::write_bytes(&folder.config(), config.to_toml().unwrap().as_bytes()).unwrap();
        for path in [folder.metrics(), folder.training()] {
            fs::write(path, "scores").unwrap();
        }
        (folder, config)
    }

    #[test]
    fn a_run_is_finished_until_its_settings_or_its_files_change() {
        let artifacts = tempfile::tempdir().unwrap();
        let (folder, mut config) = run(artifacts.path());
        let state = |config: &Config| state(&folder, config).unwrap();
        assert_eq!(state(&config), State::Missing("has not finished"));
        write(&folder, &Ok(())).unwrap();
        assert_eq!(state(&config), State::Finished);

        config.run.artifacts = "elsewhere".into();
        assert_eq!(state(&config), State::Finished, "the folder was moved");
        config.train.epochs += 1;
        assert_eq!(state(&config), State::Missing("has finished with other settings"));
        config.train.epochs -= 1;
        fs::write(folder.training(), "others").unwrap();
        assert_eq!(state(&config), State::Missing("has changed since it finished"));
    }

    #[test]
    fn a_failure_is_known_until_the_run_is_done_again() {
        let artifacts = tempfile::tempdir().unwrap();
        let (folder, config) = run(artifacts.path());
        let failure = Failure::new("train", "the loss is infinite: 「∞」\n");
        write(&folder, &Err(failure.clone())).unwrap();
        assert_eq!(state(&folder, &config).unwrap(), State::Failed(failure));
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert_eq!(state(&folder, &config).unwrap(), State::Missing("has not finished"));
    }
}

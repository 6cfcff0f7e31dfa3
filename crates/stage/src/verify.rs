//! Whether the files of a run's folder are as their stages wrote them.

use std::path::{Path, PathBuf};

use crate::digest::{SUMS, sha256_of};
use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::record::{FileDigest, RunRecord};
use crate::seal::is_intact;
use crate::sums::Sums;

/// Refuses `path`, whose digest is `found`, if the stage `made_by` recorded another one. Files outside the run's folder,
/// such as a corpus or a checkpoint, are not made by a stage and are accepted.
///
/// # Errors
/// When the digest differs, or run.json has none.
pub fn verify(
    folder: &RunFolder,
    record: &RunRecord,
    path: &Path,
    made_by: &'static str,
    found: &str,
) -> Result<()> {
    let Ok(inside) = path.strip_prefix(folder.path()) else { return Ok(()) };
    let unrecorded = || Error::UnrecordedArtifact { path: path.to_owned(), stage: made_by };
    let record = record.stage(made_by).ok_or_else(unrecorded)?;
    let output =
        record.outputs.iter().find(|output| inside.starts_with(&output.path)).ok_or_else(unrecorded)?;
    let changed = |path: PathBuf, found: &str, expected: &str| {
        let (found, expected) = (found.to_owned(), expected.to_owned());
        Err(Error::ChangedArtifact { path, stage: made_by, found, expected })
    };
    let whole = folder.path().join(&output.path);
    if path == whole {
        if output.sha256 == found {
            return Ok(());
        }
        return match first_difference(path)? {
            Some((file, found, expected)) => changed(file, &found, &expected),
            None => changed(path.to_owned(), found, &output.sha256),
        };
    }
    // A file in a folder: the record vouches for the folder's list of digests, and the list for the file.
    let sums = Sums::read(&whole)?.ok_or_else(unrecorded)?;
    let list = sha256_of(&whole.join(SUMS))?;
    if list != output.sha256 {
        return changed(whole.join(SUMS), &list, &output.sha256);
    }
    let name = path.strip_prefix(&whole).unwrap_or(path).display().to_string();
    match sums.of(&name) {
        _ if name == SUMS => Ok(()),
        Some(expected) if expected == found => Ok(()),
        Some(expected) => changed(path.to_owned(), found, expected),
        None => Err(unrecorded()),
    }
}

/// The first file of a folder that is not in its list of digests as it is, with both digests.
fn first_difference(folder: &Path) -> Result<Option<(PathBuf, String, String)>> {
    let Some(sums) = Sums::read(folder)? else { return Ok(None) };
    let found = Sums::compute(folder)?;
    let text = |digest: Option<&str>| digest.unwrap_or("that of no file").to_owned();
    let first = sums.differing(&found).next();
    Ok(first.map(|name| (folder.join(name), text(found.of(name)), text(sums.of(name)))))
}

/// What [`verify_run`] found about a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The stage that made or read the file.
    pub stage: String,
    /// The file's path as it is recorded.
    pub path: String,
    /// The verdict.
    pub state: FileState,
}

/// Whether a file belongs to its run.
#[derive(Clone, Debug, PartialEq)]
pub enum FileState {
    /// As its stage wrote it, and made from the present inputs.
    Intact,
    /// An output is not there.
    Missing,
    /// An output's bytes are not those that its stage wrote.
    Changed,
    /// An input was made or changed again after the stage had read it.
    Outdated,
    /// An artifact of a stage that run.json has no entry of, or an entry without this file.
    Unrecorded,
    /// A cache whose bytes are not those that were sealed. It is made again when it is needed.
    DamagedCache,
    /// run.json itself is damaged; the reason.
    DamagedRecord(String),
}

impl FileState {
    /// The state in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Missing => "missing",
            Self::Changed | Self::DamagedCache | Self::DamagedRecord(_) => "changed",
            Self::Outdated => "outdated",
            Self::Unrecorded => "unrecorded",
        }
    }

    /// Whether there is nothing to do.
    pub fn is_intact(&self) -> bool {
        *self == Self::Intact
    }
}

/// Compares every file of a run with the records of its stages: outputs with what their stage wrote, and the inputs
/// that a stage read with what is there now. Then looks for artifacts without a record, and compares the caches with their
/// seals.
///
/// # Errors
/// When a file cannot be read.
pub fn verify_run(folder: &RunFolder) -> Result<Vec<Finding>> {
    let record = RunRecord::read(folder);
    let finding = |stage: &str, path: &str, state| Finding { stage: stage.into(), path: path.into(), state };
    let damage = record.damaged().iter();
    let mut findings: Vec<Finding> =
        damage.map(|reason| finding("", "run.json", FileState::DamagedRecord(reason.clone()))).collect();
    for (name, _) in record.entries() {
        let Some(stage) = record.stage(name) else { continue };
        for input in &stage.inputs {
            let path = folder.path().join(&input.path);
            // A source that has gone, such as a corpus on another disk, does not make its run wrong.
            if path.exists() && sha256_of(&path)? != input.sha256 {
                findings.push(finding(name, &input.path, FileState::Outdated));
            }
        }
        for output in &stage.outputs {
            findings.extend(outputs(folder, name, output)?);
        }
    }
    let recorded: Vec<String> = record
        .entries()
        .filter_map(|(name, _)| record.stage(name))
        .flat_map(|stage| stage.outputs.into_iter().map(|output| output.path))
        .collect();
    for (stage, path) in artifacts(folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.exists() && !recorded.iter().any(|recorded| *recorded == name) {
            findings.push(finding(stage, &name, FileState::Unrecorded));
        }
    }
    for cache in [folder.features(), folder.baseline()] {
        // A cache that is not there is made when it is needed.
        if cache.exists() {
            let state = if is_intact(&cache)? { FileState::Intact } else { FileState::DamagedCache };
            let name = cache.file_name().unwrap_or_default().to_string_lossy();
            findings.push(finding("", &name, state));
        }
    }
    Ok(findings)
}

/// The artifacts of every stage, which its entry in run.json lists.
fn artifacts(folder: &RunFolder) -> [(&'static str, PathBuf); 12] {
    [
        ("fetch", folder.sources()),
        ("ingest", folder.corpus()),
        ("tokenize", folder.tokens()),
        ("tokenize", folder.tokenizer()),
        ("train", folder.training()),
        ("train", folder.model()),
        ("evaluate", folder.predictions()),
        ("evaluate", folder.attention()),
        ("evaluate", folder.explanations()),
        ("evaluate", folder.metrics()),
        ("render", folder.report()),
        ("render", folder.card()),
    ]
}

/// The state of an output; of a folder, that of each file that differs.
fn outputs(folder: &RunFolder, stage: &str, output: &FileDigest) -> Result<Vec<Finding>> {
    let path = folder.path().join(&output.path);
    let finding = |path: String, state| Finding { stage: stage.to_owned(), path, state };
    if !path.exists() {
        return Ok(vec![finding(output.path.clone(), FileState::Missing)]);
    }
    let sums = Sums::read(&path)?;
    let found = sums.as_ref().map(|_| Sums::compute(&path)).transpose()?;
    if let (Some(sums), Some(found)) = (sums, found) {
        let differing = sums.differing(&found).map(|name| {
            let state = if found.of(name).is_some() { FileState::Changed } else { FileState::Missing };
            finding(format!("{}/{name}", output.path), state)
        });
        let differing: Vec<Finding> = differing.collect();
        if !differing.is_empty() {
            return Ok(differing);
        }
    }
    let state = if sha256_of(&path)? == output.sha256 { FileState::Intact } else { FileState::Changed };
    Ok(vec![finding(output.path.clone(), state)])
}

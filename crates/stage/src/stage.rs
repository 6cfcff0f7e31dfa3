//! One run of one stage: its command line, whether there is anything to do, and its record.

use std::fmt::Debug;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use midashi_config::Config;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::digest::DigestMemory;
use crate::folder::require;
use crate::{Error, Interrupted, Result, RunFolder, atomic};

/// What every stage's command line takes.
#[derive(Clone, Debug, clap::Args)]
pub struct StageArguments {
    /// The configuration
    #[arg(long, env = "MIDASHI_CONFIG", value_name = "FILE", default_value = "pipeline.toml")]
    pub config: PathBuf,
    /// Single keys to override: 'section.key=value …'
    #[arg(long, env = "MIDASHI_SET", value_name = "OVERRIDES", default_value = "", hide_env_values = true)]
    pub set: String,
}

/// Exit code of a process that SIGINT ended: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// Runs a stage's recipe; an error becomes its chain of causes on one line and exit code 2, an
/// interruption exit code 130.
pub fn run_stage(recipe: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    match recipe() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{error}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// A stage with its configuration, before it knows whether there is work.
pub struct Stage {
    name: &'static str,
    version: String,
    config: Config,
    folder: RunFolder,
    digests: DigestMemory,
    started: Instant,
    /// Held as long as the stage runs; the system lets go of it however the process ends.
    _lock: File,
}

/// A stage at work: holds what its record will say.
pub struct Work {
    stage: Stage,
    settings: Value,
    inputs: Vec<FileDigest>,
    outputs: Vec<PathBuf>,
}

/// What an artifact says of its own making, in its schema metadata.
#[derive(Clone, Debug)]
pub struct Provenance(pub Vec<(String, String)>);

/// `run.json`: what each stage did when it last worked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// By stage name, in the order of the pipeline.
    pub stages: Map<String, Value>,
}

/// One stage's entry in `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Midashi's version, and after `+` the revision of the stage's code.
    pub version: String,
    /// The part of the configuration that the stage depends on.
    pub settings: Value,
    /// What it read.
    pub inputs: Vec<FileDigest>,
    /// What it wrote.
    pub outputs: Vec<FileDigest>,
    /// Time from start to end, in seconds.
    pub wall_seconds: f64,
    /// Largest resident memory of the process in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// What the stage itself has to say: counts, device, times.
    pub details: Value,
}

/// A file or folder and the SHA-256 of its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileDigest {
    /// File name; the whole path for what lies outside the run's folder.
    pub path: String,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

impl Stage {
    /// Reads the configuration for the stage `name` and takes the run's folder for this process.
    ///
    /// `revision` is raised whenever the stage's code gives other results for the same input: what
    /// an earlier revision made is then made again.
    ///
    /// # Errors
    /// When the configuration cannot be read or says something unknown, or another stage is at
    /// work in the run's folder.
    pub fn open(name: &'static str, revision: u32, arguments: &StageArguments) -> Result<Self> {
        let started = Instant::now();
        let config = Config::load(&arguments.config, &arguments.set)?;
        let folder = RunFolder::of(&config);
        let lock = lock(&folder)?;
        remove_leftovers(folder.path())?;
        let digests = DigestMemory::open(folder.digests());
        println!("{name} · {}", folder.path().display());
        let version = format!("{}+{revision}", env!("CARGO_PKG_VERSION"));
        Ok(Self { name, version, config, folder, digests, started, _lock: lock })
    }

    /// The whole configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Starts work, or returns `None` (and says so) when all `outputs` were made by this version
    /// from these `settings` and these `inputs` and have not been touched since.
    ///
    /// `inputs` are pairs of a path and the stage that makes it, for the message when it is not
    /// there.
    ///
    /// # Errors
    /// When an input is missing or cannot be read.
    pub fn begin(
        mut self,
        settings: &impl Serialize,
        inputs: &[(&Path, &'static str)],
        outputs: &[PathBuf],
    ) -> Result<Option<Work>> {
        let settings = to_json(settings, &self.folder)?;
        let mut digested = Vec::new();
        for (path, made_by) in inputs {
            require(path, made_by)?;
            digested.push(self.digest(path)?);
        }
        let up_to_date = self.is_up_to_date(&settings, &digested, outputs)?;
        self.digests.save()?;
        if up_to_date {
            println!("  up to date");
            return Ok(None);
        }
        let outputs = outputs.to_vec();
        Ok(Some(Work { stage: self, settings, inputs: digested, outputs }))
    }

    fn is_up_to_date(
        &mut self,
        settings: &Value,
        inputs: &[FileDigest],
        outputs: &[PathBuf],
    ) -> Result<bool> {
        let Some(record) = RunRecord::read(&self.folder).stage(self.name) else { return Ok(false) };
        // Where an input lies does not matter, its name and its bytes do.
        let same = |one: &[FileDigest], other: &[FileDigest]| {
            one.len() == other.len()
                && one.iter().zip(other).all(|(a, b)| a.name() == b.name() && a.sha256 == b.sha256)
        };
        if record.version != self.version || &record.settings != settings || !same(&record.inputs, inputs) {
            return Ok(false);
        }
        let mut found = Vec::new();
        for path in outputs {
            if !path.exists() {
                return Ok(false);
            }
            found.push(self.digest(path)?);
        }
        Ok(found == record.outputs)
    }

    fn digest(&mut self, path: &Path) -> Result<FileDigest> {
        Ok(FileDigest { path: self.shown(path), sha256: self.digests.of(path)? })
    }

    /// A path as the record shows it: what lies in the run's folder without that folder.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.folder.path()).unwrap_or(path).display().to_string()
    }
}

impl Work {
    /// The whole configuration.
    pub fn config(&self) -> &Config {
        &self.stage.config
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.stage.folder
    }

    /// SHA-256 of an input given to [`Stage::begin`].
    pub fn sha256_of(&self, input: &Path) -> Option<&str> {
        let path = self.stage.shown(input);
        self.inputs.iter().find(|input| input.path == path).map(|input| input.sha256.as_str())
    }

    /// All that the work depends on, on one line: equal for works that give the same artifacts.
    pub fn key(&self) -> String {
        self.provenance().0.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(" ")
    }

    /// For the schema metadata of the artifacts: stage, version, settings, inputs.
    ///
    /// Inputs are named without their folders, so that the same inputs make the same bytes
    /// wherever they lie.
    pub fn provenance(&self) -> Provenance {
        let inputs: Map<String, Value> =
            self.inputs.iter().map(|input| (input.name(), json!(input.sha256))).collect();
        Provenance(vec![
            ("midashi.stage".into(), self.stage.name.into()),
            ("midashi.version".into(), self.stage.version.clone()),
            ("midashi.settings".into(), self.settings.to_string()),
            ("midashi.inputs".into(), Value::Object(inputs).to_string()),
        ])
    }

    /// Enters the finished work into `run.json`.
    ///
    /// # Errors
    /// When an output is missing or `run.json` cannot be written.
    pub fn finish(mut self, details: &impl Serialize) -> Result<()> {
        let mut outputs = Vec::new();
        for path in &self.outputs {
            outputs.push(self.stage.digest(path)?);
        }
        self.stage.digests.save()?;
        let record = StageRecord {
            version: self.stage.version.clone(),
            settings: self.settings,
            inputs: self.inputs,
            outputs,
            wall_seconds: self.stage.started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory_bytes(),
            details: to_json(details, &self.stage.folder)?,
        };
        let mut all = RunRecord::read(&self.stage.folder);
        all.stages.insert(self.stage.name.to_owned(), to_json(&record, &self.stage.folder)?);
        all.write(&self.stage.folder)?;
        let memory = record
            .peak_memory_bytes
            .map(|bytes| format!(", peak memory {:.0} MiB", bytes as f64 / f64::from(1 << 20)))
            .unwrap_or_default();
        println!("  done in {:.1} s{memory}", record.wall_seconds);
        Ok(())
    }
}

impl FileDigest {
    /// The file's name without its folders.
    pub(crate) fn name(&self) -> String {
        Path::new(&self.path).file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl RunRecord {
    /// Reads `run.json`; a run without one, or with one that cannot be read, has done nothing yet:
    /// its stages work again.
    pub fn read(folder: &RunFolder) -> Self {
        std::fs::read(folder.record())
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// The entry of the stage `name`.
    pub fn stage(&self, name: &str) -> Option<StageRecord> {
        serde_json::from_value(self.stages.get(name)?.clone()).ok()
    }

    pub(crate) fn write(&self, folder: &RunFolder) -> Result<()> {
        let path = folder.record();
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Encode { path: path.clone(), message: error.to_string() })?;
        atomic::write_bytes(&path, text.as_bytes())
    }
}

/// Takes the run's folder: two stages at once would mix their artifacts and records.
pub(crate) fn lock(folder: &RunFolder) -> Result<File> {
    std::fs::create_dir_all(folder.path()).map_err(Error::io("create", folder.path()))?;
    let path = folder.lock();
    let file = File::create(&path).map_err(Error::io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy { folder: folder.path().to_owned() }),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
    }
}

/// Removes temporary files that a killed process has left; the lock says that none is in use.
fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(atomic::TEMPORARY)) {
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// As JSON. What JSON cannot say is an error: settings that all read `null` would look unchanged.
fn to_json(value: &impl Serialize, folder: &RunFolder) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::encode(&folder.record()))
}

/// `VmHWM` of `/proc/self/status`, proc(5); other systems have no such file.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(folder: &Path, set: &str) -> Stage {
        let config = folder.join("pipeline.toml");
        if !config.exists() {
            std::fs::write(&config, "").unwrap();
        }
        let set = format!("run.artifacts={} {set}", folder.display());
        Stage::open("ingest", 1, &StageArguments { config, set }).unwrap()
    }

    fn begin(folder: &Path, set: &str) -> Option<Work> {
        let stage = stage(folder, set);
        let settings = stage.config().corpus.clone();
        let output = stage.folder().corpus();
        stage.begin(&settings, &[(&folder.join("in"), "fetch")], &[output]).unwrap()
    }

    fn work(folder: &Path, set: &str) {
        let work = begin(folder, set).expect("there is work");
        atomic::write_bytes(&work.folder().corpus(), b"rows").unwrap();
        work.finish(&json!({"rows": 1})).unwrap();
    }

    #[test]
    fn a_stage_works_once_for_the_same_inputs_and_settings() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::write(folder.join("in"), "text").unwrap();
        work(folder, "");
        assert!(begin(folder, "").is_none());
        assert!(begin(folder, "render.title=other").is_none(), "another section does not matter");
        assert!(begin(folder, "corpus.split.seed=1").is_some(), "its own section does");
        std::fs::write(folder.join("in"), "other text").unwrap();
        work(folder, "");
        assert!(begin(folder, "").is_none());
        std::fs::write(folder.join("article/corpus.parquet"), "touched by hand").unwrap();
        assert!(begin(folder, "").is_some(), "a changed output is made again");
    }

    #[test]
    fn two_stages_cannot_work_in_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = stage(folder.path(), "");
        let set = format!("run.artifacts={}", folder.path().display());
        let again = || {
            let config = folder.path().join("pipeline.toml");
            Stage::open("train", 1, &StageArguments { config, set: set.clone() })
        };
        assert!(again().err().unwrap().to_string().contains("another stage is at work"));
        std::fs::write(first.folder().path().join(".tmpleft"), "half").unwrap();
        drop(first);
        let second = again().unwrap();
        assert!(!second.folder().path().join(".tmpleft").exists(), "what a killed stage left is removed");
    }

    #[test]
    fn another_revision_works_again_and_another_place_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        std::fs::write(folder.join("in"), "text").unwrap();
        work(folder, "");
        std::fs::create_dir(folder.join("moved")).unwrap();
        std::fs::rename(folder.join("in"), folder.join("moved/in")).unwrap();
        let begin = |revision| {
            let set = format!("run.artifacts={}", folder.display());
            let config = folder.join("pipeline.toml");
            let stage = Stage::open("ingest", revision, &StageArguments { config, set }).unwrap();
            let (settings, output) = (stage.config().corpus.clone(), stage.folder().corpus());
            stage.begin(&settings, &[(&folder.join("moved/in"), "fetch")], &[output]).unwrap()
        };
        assert!(begin(1).is_none());
        assert!(begin(2).is_some());
    }

    #[test]
    fn a_missing_input_names_the_stage_that_makes_it() {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path(), "");
        let error = stage.begin(&(), &[(&folder.path().join("in"), "fetch")], &[]).err().unwrap();
        assert!(error.to_string().ends_with("in is missing: run `make fetch` first"));
    }
}

//! One run of one stage: whether there is anything to do, and the record of its work.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use midashi_config::Config;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::arguments::StageArguments;
use crate::atomic;
use crate::digest::{SUMS, sha256_of};
use crate::error::{Error, Result};
use crate::folder::{RunFolder, entries, require};
use crate::lock::lock_if_writable;
use crate::record::{FileDigest, Provenance, RunRecord, StageRecord};
use crate::sums::Sums;
use crate::verify::verify;

/// A stage with its configuration, before it knows whether there is work.
pub struct Stage {
    name: &'static str,
    version: String,
    config: Config,
    folder: RunFolder,
    record: RunRecord,
    started: Instant,
    /// Held until the stage ends; none if the folder may only be read.
    lock: Option<File>,
}

/// A stage at work, with the first part of its record.
pub struct Work {
    stage: Stage,
    settings: Value,
    inputs: Vec<FileDigest>,
    outputs: Vec<PathBuf>,
}

impl Stage {
    /// Reads the configuration for the stage `name` and locks the run's folder.
    ///
    /// Raise `revision` whenever the stage's code gives other results for the same input: outputs of an
    /// earlier revision are then made again.
    ///
    /// # Errors
    /// When the configuration cannot be used, or another stage works in the run's folder.
    pub fn open(name: &'static str, revision: u32, arguments: &StageArguments) -> Result<Self> {
        let started = Instant::now();
        let config = Config::load(&arguments.config, &arguments.set)?;
        let folder = RunFolder::of(&config);
        let lock = lock_if_writable(&folder)?;
        if lock.is_some() {
            remove_leftovers(folder.path())?;
        }
        let record = RunRecord::read(&folder);
        crate::outln!("{name} · {}", folder.path().display());
        for damage in record.damaged() {
            crate::outln!("  {}: {damage}; what it recorded is made again", folder.record().display());
        }
        let version = format!("{}+{revision}", env!("CARGO_PKG_VERSION"));
        Ok(Self { name, version, config, folder, record, started, lock })
    }

    /// The whole configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The run's folder.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// What the stages did before, as `run.json` says.
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// Refuses a file of the run's folder that is missing, or not as the stage `made_by` wrote it. Inputs given to
    /// [`begin`](Self::begin) are checked there.
    ///
    /// # Errors
    /// As the summary says, and when the file cannot be read.
    pub fn require_intact(&self, path: &Path, made_by: &'static str) -> Result<()> {
        require(path, made_by)?;
        verify(&self.folder, &self.record, path, made_by, &sha256_of(path)?)
    }

    /// Starts work. Returns `None` and prints "up to date" if this version made all `outputs` from these
    /// `settings` and these `inputs` and they have not changed since.
    ///
    /// `inputs` are pairs of a path and the stage that makes it. Those in the run's folder must be as that stage
    /// wrote them.
    ///
    /// # Errors
    /// When an input is missing, cannot be read, or is not as its stage wrote it; when there is work, but the folder may
    /// only be read.
    pub fn begin(
        self,
        settings: &impl Serialize,
        inputs: &[(&Path, &'static str)],
        outputs: &[PathBuf],
    ) -> Result<Option<Work>> {
        let settings = to_json(settings, &self.folder)?;
        let mut digested = Vec::new();
        for (path, made_by) in inputs {
            require(path, made_by)?;
            let digest = self.digest(path)?;
            verify(&self.folder, &self.record, path, made_by, &digest.sha256)?;
            digested.push(digest);
        }
        if self.is_up_to_date(&settings, &digested, outputs)? {
            crate::outln!("  up to date");
            return Ok(None);
        }
        if self.lock.is_none() {
            return Err(Error::ReadOnly { folder: self.folder.path().to_owned(), stage: self.name });
        }
        Ok(Some(Work { stage: self, settings, inputs: digested, outputs: outputs.to_vec() }))
    }

    fn is_up_to_date(&self, settings: &Value, inputs: &[FileDigest], outputs: &[PathBuf]) -> Result<bool> {
        let Some(record) = self.record.stage(self.name) else { return Ok(false) };
        // The folder of an input does not matter, its name and its bytes do.
        let content = |files: &[FileDigest]| -> Vec<(String, String)> {
            files.iter().map(|file| (file.name(), file.sha256.clone())).collect()
        };
        if record.version != self.version
            || record.settings != *settings
            || content(&record.inputs) != content(inputs)
            || !outputs.iter().all(|path| path.exists())
        {
            return Ok(false);
        }
        let found = outputs.iter().map(|path| self.digest_whole(path)).collect::<Result<Option<Vec<_>>>>()?;
        Ok(found.is_some_and(|found| content(&found) == content(&record.outputs)))
    }

    fn digest(&self, path: &Path) -> Result<FileDigest> {
        Ok(FileDigest { path: self.recorded_path(path), sha256: sha256_of(path)? })
    }

    /// The digest of an output; none if it is a folder whose list of digests does not fit its files, because readers
    /// would refuse them.
    fn digest_whole(&self, path: &Path) -> Result<Option<FileDigest>> {
        let Some(sums) = Sums::read(path)? else { return Ok(Some(self.digest(path)?)) };
        // The bytes of the list count: readers compare them with the record.
        let digest = FileDigest { path: self.recorded_path(path), sha256: sha256_of(&path.join(SUMS))? };
        Ok((sums == Sums::compute(path)?).then_some(digest))
    }

    /// The digest of an output that this process wrote. That of a folder is in the folder, so its files are not read
    /// again.
    fn digest_written(&self, path: &Path) -> Result<FileDigest> {
        match Sums::read(path)? {
            Some(sums) => Ok(FileDigest { path: self.recorded_path(path), sha256: sums.sha256() }),
            None => self.digest(path),
        }
    }

    /// A path as it is recorded: without the run's folder if it is inside.
    fn recorded_path(&self, path: &Path) -> String {
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
        let path = self.stage.recorded_path(input);
        self.inputs.iter().find(|input| input.path == path).map(|input| input.sha256.as_str())
    }

    /// Everything that the work depends on, on one line: equal keys give equal artifacts.
    pub fn key(&self) -> String {
        self.provenance().0.into_iter().map(|(_, value)| value).collect::<Vec<_>>().join(" ")
    }

    /// For the schema metadata of the artifacts: stage, version, settings, inputs.
    ///
    /// Inputs are named without their folders, so that the same inputs give the same bytes everywhere.
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
    pub fn finish(self, details: &impl Serialize) -> Result<()> {
        let outputs =
            self.outputs.iter().map(|path| self.stage.digest_written(path)).collect::<Result<_>>()?;
        let Stage { name, version, folder, record: mut all, started, .. } = self.stage;
        let record = StageRecord {
            version,
            settings: self.settings,
            inputs: self.inputs,
            outputs,
            wall_seconds: started.elapsed().as_secs_f64(),
            peak_memory_bytes: peak_memory_bytes(),
            details: to_json(details, &folder)?,
        };
        all.insert(name, to_json(&record, &folder)?);
        all.write(&folder)?;
        let memory = record
            .peak_memory_bytes
            .map(|bytes| format!(", peak memory {:.0} MiB", bytes as f64 / f64::from(1 << 20)))
            .unwrap_or_default();
        crate::outln!("  done in {:.1} s{memory}", record.wall_seconds);
        Ok(())
    }
}

/// Removes temporary files of a process that was killed; the lock guarantees that none is in use. A folder that was about
/// to be replaced gets its name again.
fn remove_leftovers(folder: &Path) -> Result<()> {
    for entry in entries(folder)? {
        let path = entry.path();
        let name = entry.file_name();
        if let Some(replaced) = atomic::name_before(&name.to_string_lossy()).map(|name| folder.join(name))
            && !replaced.exists()
        {
            fs::rename(&path, &replaced).map_err(Error::io("restore", &replaced))?;
        }
        if entry.file_name().to_string_lossy().starts_with(atomic::TEMPORARY) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// As JSON. A value that JSON cannot hold is an error: settings that are all `null` would seem unchanged.
fn to_json(value: &impl Serialize, folder: &RunFolder) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::encode(&folder.record()))
}

/// `VmHWM` of `/proc/self/status`, proc(5); other systems have no such file.
fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overrides(folder: &Path, set: &str) -> Vec<String> {
        let artifacts = format!("run.artifacts={}", folder.display());
        std::iter::once(artifacts.as_str()).chain(set.split_whitespace()).map(str::to_owned).collect()
    }

    fn stage(folder: &Path, set: &str) -> Stage {
        let config = folder.join("pipeline.toml");
        if !config.exists() {
            fs::write(&config, "").unwrap();
        }
        Stage::open("ingest", 1, &StageArguments { config, set: overrides(folder, set) }).unwrap()
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
    fn a_folder_that_was_about_to_be_replaced_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("article");
        for (name, content) in
            [(".model.old", "old"), (".tmpAbCd", "new"), (".tokenizer.old", "older"), ("tokenizer", "new")]
        {
            fs::create_dir_all(run.join(name)).unwrap();
            fs::write(run.join(name).join("file"), content).unwrap();
        }
        drop(stage(folder.path(), ""));
        assert_eq!(fs::read_to_string(run.join("model/file")).unwrap(), "old");
        assert_eq!(fs::read_to_string(run.join("tokenizer/file")).unwrap(), "new", "it was replaced");
        assert!(!run.join(".model.old").exists() && !run.join(".tmpAbCd").exists());
    }

    #[test]
    fn a_stage_works_once_for_the_same_inputs_and_settings() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("in"), "text").unwrap();
        work(folder, "");
        assert!(begin(folder, "").is_none());
        assert!(begin(folder, "render.title=other").is_none(), "another section does not matter");
        assert!(begin(folder, "corpus.split.seed=1").is_some(), "its own section does");
        fs::write(folder.join("in"), "other text").unwrap();
        work(folder, "");
        assert!(begin(folder, "").is_none());
        fs::write(folder.join("article/corpus.parquet"), "touched by hand").unwrap();
        assert!(begin(folder, "").is_some(), "a changed output is made again");
    }

    #[test]
    fn an_artifact_that_is_not_as_its_stage_wrote_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("in"), "text").unwrap();
        work(folder, "");
        let tokenize = || {
            let config = folder.join("pipeline.toml");
            let arguments = StageArguments { config, set: overrides(folder, "") };
            let stage = Stage::open("tokenize", 1, &arguments).unwrap();
            let corpus = stage.folder().corpus();
            stage.begin(&(), &[(&corpus, "ingest")], &[]).map(|work| work.is_some())
        };
        assert!(tokenize().unwrap());
        let corpus = folder.join("article/corpus.parquet");
        let time = fs::metadata(&corpus).unwrap().modified().unwrap();
        fs::write(&corpus, b"rowt").unwrap();
        File::options().write(true).open(&corpus).unwrap().set_modified(time).unwrap();
        let message = tokenize().unwrap_err().to_string();
        assert!(message.contains("corpus.parquet is not as ingest wrote it"), "{message}");
        assert!(message.contains(&crate::sha256_of_bytes(b"rows")), "{message}");
        assert!(message.contains(&crate::sha256_of_bytes(b"rowt")), "{message}");
        assert!(message.ends_with("run `make ingest` to make it again"), "{message}");
        work(folder, "");
        assert!(tokenize().unwrap(), "its stage makes it again");
        fs::remove_file(folder.join("article/run.json")).unwrap();
        let message = tokenize().unwrap_err().to_string();
        assert!(message.contains("run.json has no digest of it by ingest"), "{message}");
    }

    #[test]
    fn a_list_of_digests_that_lost_its_last_byte_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let made = || {
            let stage = stage(folder, "");
            let model = stage.folder().model();
            let work = stage.begin(&(), &[], std::slice::from_ref(&model)).unwrap();
            let Some(work) = work else { return false };
            let fill = |inside: &Path| atomic::write_bytes(&inside.join("labels.json"), b"[]");
            atomic::write_folder(&model, fill).unwrap();
            work.finish(&()).unwrap();
            true
        };
        assert!(made() && !made());
        let list = folder.join("article/model").join(SUMS);
        let whole = fs::read(&list).unwrap();
        fs::write(&list, &whole[..whole.len() - 1]).unwrap();
        assert!(made(), "its readers would refuse it");
        assert!(fs::read(&list).unwrap() == whole && !made());
    }

    #[test]
    fn two_stages_cannot_work_in_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = stage(folder.path(), "");
        let set = overrides(folder.path(), "");
        let again = || {
            let config = folder.path().join("pipeline.toml");
            Stage::open("train", 1, &StageArguments { config, set: set.clone() })
        };
        assert!(again().err().unwrap().to_string().contains("another stage is at work"));
        fs::write(first.folder().path().join(".tmpleft"), "half").unwrap();
        drop(first);
        let second = again().unwrap();
        assert!(!second.folder().path().join(".tmpleft").exists(), "what a killed stage left is removed");
    }

    #[test]
    fn another_revision_works_again_and_another_place_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("in"), "text").unwrap();
        work(folder, "");
        fs::create_dir(folder.join("moved")).unwrap();
        fs::rename(folder.join("in"), folder.join("moved/in")).unwrap();
        let begin = |revision| {
            let set = overrides(folder, "");
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

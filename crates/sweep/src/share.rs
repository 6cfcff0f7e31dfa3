//! Runs that differ only in later settings share the artifacts of earlier stages: one file, several names.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use midashi_stage::{Error, Result, RunFolder, RunRecord, atomic, entries, lock, seal_of};

/// Shares the work of runs with the run `to`. The first of `donors` that has done all `stages` gives their artifacts and
/// their entries in `run.json`, so that these stages are up to date in `to`. The caches `features.arrow` and
/// `baseline.parquet` are those of the donor that made the newest, if `to` has none or an older one.
///
/// Artifacts are hard links, or copies if the file system has none. A link is safe because artifacts are
/// replaced by renaming and never written in place.
///
/// A donor is not locked, because it may be at work in another process, which would then fail. So what is shared may not
/// fit together. The stages check every artifact by its digest, and make again what does not fit.
///
/// # Errors
/// When a stage works in the folder of `to`, or a file can be neither linked nor copied.
pub fn share(donors: &[RunFolder], to: &RunFolder, stages: &[&str]) -> Result<()> {
    let _lock = lock(to)?;
    let donor = donors.iter().map(|donor| (donor, RunRecord::read(donor)));
    let mut donor = donor.filter(|(_, record)| stages.iter().all(|stage| record.stage(stage).is_some()));
    if let Some((donor, record)) = donor.next() {
        unless_gone(share_stages(donor, &record, to, stages))?;
    }
    for cache in [RunFolder::features, RunFolder::baseline] {
        let (donors, ours) = (donors.iter().map(cache), cache(to));
        let newest = donors.filter_map(|path| Some((modified(&path).ok()?, path))).max();
        if let Some((time, theirs)) = newest
            && modified(&ours).ok().is_none_or(|ours| time > ours)
        {
            unless_gone(share_cache(&theirs, &ours))?;
        }
    }
    Ok(())
}

/// A donor at work replaces its artifacts. One that is gone for a moment is not shared, and made again by its stage.
fn unless_gone(shared: Result<()>) -> Result<()> {
    match shared {
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn share_stages(from: &RunFolder, theirs: &RunRecord, to: &RunFolder, stages: &[&str]) -> Result<()> {
    let mut ours = RunRecord::read(to);
    for &stage in stages {
        let Some(record) = theirs.stage(stage) else { continue };
        for output in &record.outputs {
            let name = output.name();
            share_artifact(&from.path().join(&name), &to.path().join(&name))?;
        }
        if ours.insert_from(theirs, stage) {
            ours.write(to)?;
        }
    }
    Ok(())
}

/// Shares a cache with its seal.
fn share_cache(theirs: &Path, ours: &Path) -> Result<()> {
    share_file(theirs, ours)?;
    let (theirs, ours) = (seal_of(theirs), seal_of(ours));
    if theirs.exists() { share_file(&theirs, &ours) } else { Ok(()) }
}

/// Shares a file, or a folder of files and folders.
fn share_artifact(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return if is_same(from, to) { Ok(()) } else { share_file(from, to) };
    }
    let files = files(from)?;
    if to.is_dir()
        && self::files(to)? == files
        && files.iter().all(|name| is_same(&from.join(name), &to.join(name)))
    {
        return Ok(());
    }
    atomic::write_folder(to, |folder| {
        files.iter().try_for_each(|name| {
            let place = folder.join(name);
            if let Some(parent) = place.parent() {
                fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
            }
            link_or_copy(&from.join(name), &place)
        })
    })
}

/// The paths of all files below `folder`, without its own, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        let (path, name) = (entry.path(), PathBuf::from(entry.file_name()));
        match path.is_dir() {
            true => found.extend(files(&path)?.into_iter().map(|inside| name.join(inside))),
            false => found.push(name),
        }
    }
    found.sort();
    Ok(found)
}

/// Replaces `to`. It must not be the same file as `from`: a rename between two names of one file does nothing.
fn share_file(from: &Path, to: &Path) -> Result<()> {
    let temporary = atomic::create_folder(to)?;
    let linked = temporary.path().join("file");
    link_or_copy(from, &linked)?;
    fs::rename(&linked, to).map_err(Error::io("rename to", to))
}

/// Makes a hard link, or else a copy of the same modification time, by which the next sharing knows it.
fn link_or_copy(from: &Path, to: &Path) -> Result<()> {
    let Err(refused) = fs::hard_link(from, to) else { return Ok(()) };
    if refused.kind() == ErrorKind::NotFound {
        return Err(Error::io("link", from)(refused));
    }
    midashi_stage::outln!("  {} is copied, because it cannot be linked: {refused}", from.display());
    copy(from, to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(Error::io("copy", from))?;
    let file = File::options().write(true).open(to).map_err(Error::io("write", to))?;
    file.set_modified(modified(from)?).map_err(Error::io("write", to))?;
    file.sync_all().map_err(Error::io("flush", to))
}

/// Whether both have the same size and modification time. A copy that is damaged since is found by the stage that reads it.
fn is_same(one: &Path, other: &Path) -> bool {
    let state = |path| fs::metadata(path).and_then(|file| Ok((file.len(), file.modified()?))).ok();
    state(one).is_some_and(|one| Some(one) == state(other))
}

fn modified(path: &Path) -> Result<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    use midashi_stage::{Stage, StageArguments};

    use super::*;

    /// A stage that writes a file and a folder; what it did is what it returns.
    fn work(artifacts: &Path, name: &str, seed: u64) -> (RunFolder, bool) {
        let config = artifacts.join("pipeline.toml");
        fs::write(&config, "").unwrap();
        let set = vec![format!("run.artifacts={}", artifacts.display()), format!("run.name={name}")];
        let stage = Stage::open("tokenize", 1, &StageArguments { config, set }).unwrap();
        let folder = stage.folder().clone();
        let outputs = [folder.tokens(), folder.tokenizer()];
        let Some(work) = stage.begin(&seed, &[], &outputs).unwrap() else { return (folder, false) };
        atomic::write_bytes(&outputs[0], format!("tokens of seed {seed}").as_bytes()).unwrap();
        let vocabulary = |inside: &Path| {
            atomic::write_bytes(&inside.join("vocab.txt"), b"[PAD]")?;
            atomic::write_bytes(&inside.join("onnx/model.onnx"), b"graph")
        };
        atomic::write_folder(&outputs[1], vocabulary).unwrap();
        work.finish(&()).unwrap();
        (folder, true)
    }

    #[test]
    fn a_stage_is_up_to_date_with_what_another_run_made() {
        let artifacts = tempfile::tempdir().unwrap();
        let (one, worked) = work(artifacts.path(), "one", 1);
        assert!(worked);
        fs::write(one.features(), "features").unwrap();
        midashi_stage::seal(&one.features()).unwrap();
        let other = RunFolder::new(artifacts.path(), "other");
        share(std::slice::from_ref(&one), &other, &["tokenize"]).unwrap();
        assert!(!work(artifacts.path(), "other", 1).1);
        assert_eq!(fs::read(other.tokenizer().join("vocab.txt")).unwrap(), b"[PAD]");
        assert_eq!(fs::read(other.tokenizer().join("onnx/model.onnx")).unwrap(), b"graph");
        assert_eq!(fs::read(other.features()).unwrap(), b"features");
        assert!(midashi_stage::is_intact(&other.features()).unwrap());

        let made = fs::metadata(other.tokens()).unwrap();
        share(std::slice::from_ref(&one), &other, &["tokenize"]).unwrap();
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::MetadataExt::ino(&made),
            std::os::unix::fs::MetadataExt::ino(&fs::metadata(one.tokens()).unwrap()),
            "one file"
        );
        assert_eq!(fs::metadata(other.tokens()).unwrap().modified().unwrap(), made.modified().unwrap());
    }

    #[test]
    fn what_does_not_fit_is_made_again_and_never_through_a_link() {
        let artifacts = tempfile::tempdir().unwrap();
        let (one, _) = work(artifacts.path(), "one", 1);
        let other = RunFolder::new(artifacts.path(), "other");
        share(std::slice::from_ref(&one), &other, &["tokenize"]).unwrap();
        assert!(work(artifacts.path(), "other", 2).1, "another seed is another stage's work");
        assert_eq!(fs::read(one.tokens()).unwrap(), b"tokens of seed 1");
        assert_eq!(fs::read(other.tokens()).unwrap(), b"tokens of seed 2");
        assert!(!work(artifacts.path(), "one", 1).1);

        // And back: what differs is replaced.
        share(std::slice::from_ref(&one), &other, &["tokenize"]).unwrap();
        assert!(!work(artifacts.path(), "other", 1).1);
    }

    #[test]
    fn a_cache_is_replaced_by_a_newer_one_only() {
        let artifacts = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| RunFolder::new(artifacts.path(), name));
        for (run, text, age) in [(&one, "older", 60), (&other, "newer", 0)] {
            fs::create_dir_all(run.path()).unwrap();
            fs::write(run.features(), text).unwrap();
            let time = SystemTime::now() - std::time::Duration::from_secs(age);
            File::options().write(true).open(run.features()).unwrap().set_modified(time).unwrap();
        }
        share(std::slice::from_ref(&one), &other, &[]).unwrap();
        assert_eq!(fs::read(other.features()).unwrap(), b"newer");
        share(std::slice::from_ref(&other), &one, &[]).unwrap();
        assert_eq!(fs::read(one.features()).unwrap(), b"newer");
    }

    #[test]
    fn a_donor_at_work_in_another_process_is_neither_disturbed_nor_needed() {
        let artifacts = tempfile::tempdir().unwrap();
        let donors = ["unborn", "one", "two"].map(|name| RunFolder::new(artifacts.path(), name));
        work(artifacts.path(), "one", 1);
        work(artifacts.path(), "two", 2);
        let at_work = lock(&donors[1]).unwrap();
        let other = RunFolder::new(artifacts.path(), "other");
        share(&donors, &other, &["tokenize"]).unwrap();
        assert_eq!(fs::read(other.tokens()).unwrap(), b"tokens of seed 1", "the first that has them");
        // Replaced at this moment.
        fs::rename(donors[1].tokens(), artifacts.path().join("aside")).unwrap();
        let later = RunFolder::new(artifacts.path(), "later");
        share(&donors, &later, &["tokenize"]).unwrap();
        assert!(work(artifacts.path(), "later", 1).1, "the stage makes what was not there");
        drop(at_work);
    }

    #[test]
    fn a_copy_is_as_good_as_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&from, "text").unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789);
        File::options().write(true).open(&from).unwrap().set_modified(time).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), b"text");
        assert!(is_same(&from, &to));
        fs::write(&to, "another text").unwrap();
        assert!(!is_same(&from, &to));
        assert_eq!(fs::read(&from).unwrap(), b"text");
    }
}

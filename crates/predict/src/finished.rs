//! Finished shards: beside a shard's output lies a file that tells what it was made from.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use midashi_stage::{atomic, sha256_of};
use serde_json::{Map, Value, json};

use crate::shard::Shard;

/// Ends the name of the file beside the output.
const ENDING: &str = ".done.json";

/// What a shard is made from. Equal ones have equal outputs.
pub struct Finished {
    shard: Shard,
    /// The output of all shards, without the shard's number.
    whole: PathBuf,
    made_from: MadeFrom,
}

/// As it is recorded.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MadeFrom {
    /// What all shards of an output have in common: the version, the digests of the model and of the list of files, and the
    /// options that change the result.
    pub common: Map<String, Value>,
    /// What this shard reads.
    pub own: Value,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    made_from: MadeFrom,
    /// SHA-256 of the output.
    output: String,
}

impl Finished {
    /// The shard `shard` of the output `whole`.
    pub fn new(shard: Shard, whole: &Path, made_from: MadeFrom) -> Self {
        Self { shard, whole: whole.to_owned(), made_from }
    }

    /// Whether the output is there, as it was written, and was made from the same.
    pub fn is_done(&self) -> bool {
        read(&self.path()).is_some_and(|record| {
            record.made_from == self.made_from && self.digest().is_ok_and(|digest| record.output == digest)
        })
    }

    /// Refuses to put a shard beside one that was made from something else. One other shard is looked at: it was compared
    /// with another one when it was made.
    ///
    /// # Errors
    /// As the summary says, and when the folder of the output cannot be listed.
    pub fn check_others(&self) -> Result<()> {
        let folder = self.whole.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let listing = || format!("cannot list {}", folder.display());
        let entries = match fs::read_dir(folder) {
            // The first shard's output makes the folder.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(listing)?,
        };
        for entry in entries {
            let path = entry.with_context(listing)?.path();
            let Some(output) = path.to_str().and_then(|name| name.strip_suffix(ENDING)) else { continue };
            if !self.shard.is_other(Path::new(output), &self.whole) {
                continue;
            }
            // A record that cannot be read, such as another version's, has nothing in common.
            let common = read(&path).map(|record| record.made_from.common).unwrap_or_default();
            let differs = |(name, value): &(&String, &Value)| common.get(*name) != Some(value);
            let different: Vec<&str> =
                self.made_from.common.iter().filter(differs).map(|(name, _)| name.as_str()).collect();
            if !different.is_empty() {
                bail!(
                    "{output} was made from something else ({}): the shards would not belong together; remove the files of \
                     that output, or choose another --output",
                    different.join(", ")
                );
            }
            break;
        }
        Ok(())
    }

    /// Records the finished output.
    ///
    /// # Errors
    /// When the output cannot be read or the record cannot be written.
    pub fn record(&self) -> Result<()> {
        let record = Record { made_from: self.made_from.clone(), output: self.digest()? };
        Ok(atomic::write_bytes(&self.path(), format!("{:#}\n", json!(record)).as_bytes())?)
    }

    fn digest(&self) -> Result<String> {
        Ok(sha256_of(&self.shard.name(&self.whole))?)
    }

    fn path(&self) -> PathBuf {
        let output = self.shard.name(&self.whole);
        let mut name = output.file_name().unwrap_or_default().to_owned();
        name.push(ENDING);
        output.with_file_name(name)
    }
}

fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(shard: &str, whole: &Path, model: &str, own: i32) -> Finished {
        let common = [("model".to_owned(), json!(model)), ("options".to_owned(), json!("o"))];
        Finished::new(
            shard.parse().unwrap(),
            whole,
            MadeFrom { common: common.into_iter().collect(), own: json!(own) },
        )
    }

    #[test]
    fn another_model_input_or_output_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("out.csv");
        let output =
            |content: &str| fs::write(folder.path().join("out-00001-of-00002.csv"), content).unwrap();
        let finished = |model: &str, own| finished("1/2", &whole, model, own);
        assert!(!finished("m", 1).is_done(), "nothing is there");
        output("predictions");
        assert!(!finished("m", 1).is_done(), "an output of unknown origin");
        finished("m", 1).record().unwrap();
        assert!(finished("m", 1).is_done());
        assert!(!finished("n", 1).is_done());
        assert!(!finished("m", 2).is_done());
        output("half");
        assert!(!finished("m", 1).is_done());
        output("predictions");
        assert!(finished("m", 1).is_done());
    }

    #[test]
    fn shards_that_were_made_from_something_else_are_not_put_together() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("out.csv.gz");
        let of = |shard: &str, model: &str| finished(shard, &whole, model, 0);
        let other = folder.path().join("out-00002-of-00003.csv.gz");
        fs::write(&other, "predictions").unwrap();
        of("2/3", "m").record().unwrap();
        of("1/3", "m").check_others().unwrap();
        let refused = of("1/3", "n").check_others().unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("{} was made from something else (model)", other.display())),
            "{refused}"
        );
        of("2/3", "n").check_others().unwrap();
        of("1/4", "n").check_others().unwrap();
        let elsewhere = folder.path().join("other.csv.gz");
        finished("1/3", &elsewhere, "n", 0).check_others().unwrap();
        let nowhere = folder.path().join("new/deeper/out.csv");
        finished("1/3", &nowhere, "m", 0).check_others().unwrap();
        let file = other.join("out.csv");
        let refused = finished("1/3", &file, "m", 0).check_others().unwrap_err().to_string();
        assert_eq!(refused, format!("cannot list {}", other.display()), "a file is no folder");
        // An older version's record.
        fs::write(of("2/3", "m").path(), r#"{"output": {"sha256": ""}, "made_from": {}}"#).unwrap();
        let refused = of("1/3", "m").check_others().unwrap_err().to_string();
        assert!(refused.contains("something else (model, options)"), "{refused}");
    }
}

//! Finished shards: beside a shard's output lies a file that tells what it was made from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use midashi_stage::{atomic, sha256_of};
use serde_json::{Value, json};

/// Ends the name of the file beside the output.
const ENDING: &str = ".done.json";

/// What a shard is made from. Equal ones have equal outputs.
pub struct Finished {
    output: PathBuf,
    made_from: Value,
}

impl Finished {
    /// A shard in the file `output`, made from `inputs` with the model in `model`. `options` are all that change the result.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn new(
        output: &Path,
        version: &str,
        model: &Path,
        inputs: &[PathBuf],
        options: Value,
    ) -> Result<Self> {
        let inputs: Result<Vec<Value>> = inputs
            .iter()
            .map(|path| Ok(json!({ "path": path.display().to_string(), "sha256": sha256_of(path)? })))
            .collect();
        let made_from = json!({
            "version": version,
            "model": { "sha256": sha256_of(model)? },
            "inputs": inputs?,
            "options": options,
        });
        Ok(Self { output: output.to_owned(), made_from })
    }

    /// Whether the output is there, as it was written, and was made from the same.
    pub fn is_done(&self) -> bool {
        let Ok(text) = fs::read(self.path()) else { return false };
        let Ok(record) = serde_json::from_slice::<Value>(&text) else { return false };
        record["made_from"] == self.made_from
            && self.digest().is_ok_and(|digest| record["output"]["sha256"] == digest.as_str())
    }

    /// Records the finished output.
    ///
    /// # Errors
    /// When the output cannot be read or the record cannot be written.
    pub fn record(&self) -> Result<()> {
        let record = json!({ "output": { "sha256": self.digest()? }, "made_from": self.made_from });
        Ok(atomic::write_bytes(&self.path(), format!("{record:#}\n").as_bytes())?)
    }

    fn digest(&self) -> Result<String> {
        Ok(sha256_of(&self.output)?)
    }

    fn path(&self) -> PathBuf {
        let mut name = self.output.file_name().unwrap_or_default().to_owned();
        name.push(ENDING);
        self.output.with_file_name(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_input_model_option_or_output_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let (input, model, output) = (file("in.csv", "a"), file("model", "m"), folder.path().join("out.csv"));
        let finished = |options: i32| {
            Finished::new(&output, "1", &model, std::slice::from_ref(&input), json!(options)).unwrap()
        };
        assert!(!finished(1).is_done(), "nothing is there");
        file("out.csv", "predictions");
        assert!(!finished(1).is_done(), "an output of unknown origin");
        finished(1).record().unwrap();
        assert!(finished(1).is_done());
        assert!(!finished(2).is_done());
        file("in.csv", "b");
        assert!(!finished(1).is_done());
        file("in.csv", "a");
        file("model", "n");
        assert!(!finished(1).is_done());
        file("model", "m");
        file("out.csv", "half");
        assert!(!finished(1).is_done());
        file("out.csv", "predictions");
        assert!(finished(1).is_done());
    }
}

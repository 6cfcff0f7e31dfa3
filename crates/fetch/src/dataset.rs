//! Datasets on the hub: their addresses, and which of their files are a corpus.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::checkpoint::is_plain_file_name;
use crate::error::{Error, Result};

/// The beginning of the address of a dataset, as `huggingface_hub` and DuckDB write it.
pub const SCHEME: &str = "hf://datasets/";

/// The form of an address, for messages.
pub const FORM: &str = "hf://datasets/owner/name[@revision][/path]";

/// Endings of tables, each also with `.gz` or `.zst`. The list repeats that of `midashi-table` (a test compares them), so
/// that the download program need not be built with Arrow.
pub const TABLES: [&str; 11] =
    ["csv", "tsv", "tab", "jsonl", "ndjson", "json", "parquet", "arrow", "feather", "ipc", "arrows"];

/// Endings of archives of texts.
const ARCHIVES: [&str; 6] = [".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"];

/// Files that describe the tables beside or below them.
const DESCRIPTIONS: [&str; 3] = ["README.md", "dataset_infos.json", "dataset_info.json"];

/// Files of `datasets` that look like tables.
const NO_TABLES: [&str; 5] =
    ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"];

/// The folder of all data.
const DATA: &str = "data";

/// Names of splits, in names of files and folders.
const SPLITS: [&str; 8] = ["train", "training", "validation", "valid", "val", "dev", "test", "testing"];

/// The largest number of files that are fetched.
const MOST_FILES: usize = 10_000;

/// A dataset on the hub, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetAddress {
    /// `owner/name`.
    pub id: String,
    /// A branch, tag or commit.
    pub revision: String,
    /// A file or folder; empty for the whole dataset.
    pub path: String,
}

/// The files to fetch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The folder or file of the corpus; empty for the whole dataset.
    pub base: String,
    /// The paths of the files.
    pub files: Vec<String>,
}

impl DatasetAddress {
    /// Parses `hf://datasets/owner/name[@revision][/path]`.
    ///
    /// # Errors
    /// The reason why it is none.
    pub fn parse(written: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("{written}: {reason}; expected {FORM}");
        let rest = written.strip_prefix(SCHEME).ok_or_else(|| wrong("only datasets are a corpus"))?;
        let mut parts = rest.splitn(3, '/');
        let owner = parts.next().unwrap_or_default();
        let name = parts.next().ok_or_else(|| wrong("there is no owner before the name"))?;
        let path = parts.next().unwrap_or_default();
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let (revision, path) = match (revision, path.split_once('/')) {
            // `refs/convert/parquet` and `refs/pr/1` are the only revisions with slashes.
            ("refs", Some((kind @ ("convert" | "pr"), rest))) => {
                let (last, path) = rest.split_once('/').unwrap_or((rest, ""));
                (format!("refs/{kind}/{last}"), path)
            }
            _ => (revision.replace("%2F", "/").replace("%2f", "/"), path),
        };
        if ![owner, name].into_iter().chain(revision.split('/')).all(is_plain_file_name) {
            return Err(wrong("owner, name and revision have letters, digits, dots, dashes and underscores"));
        }
        let path = path.trim_matches('/');
        if !path.is_empty() && !is_safe(path) {
            return Err(wrong("the path leaves the dataset or has empty parts"));
        }
        Ok(Self { id: format!("{owner}/{name}"), revision, path: path.to_owned() })
    }
}

impl Selection {
    /// Selects from the files of the dataset `name` those of the corpus at `path`: one file; or the tables of a folder, of its
    /// folder `data` and of folders of splits; or those of its only sub-folder with tables. Descriptions come with them.
    ///
    /// # Errors
    /// When there are no tables, or several sub-folders have some.
    pub fn of(all: &[String], path: &str, name: &str) -> Result<Self> {
        let bad = |message: String| Error::BadDataset { name: name.to_owned(), message };
        let safe: Vec<&str> = all.iter().map(String::as_str).filter(|file| is_safe(file)).collect();
        if safe.contains(&path) {
            return Ok(Self::with_descriptions(path.to_owned(), vec![path.to_owned()], &safe));
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        let inside: Vec<&str> = safe.iter().filter_map(|file| file.strip_prefix(&prefix)).collect();
        if inside.is_empty() {
            let top: Vec<&str> = safe.iter().copied().take(20).collect();
            return Err(bad(format!("there is nothing at {path:?}; found {}", list(&top))));
        }
        // The tables by the folder that would be the corpus.
        let mut groups = BTreeMap::<&str, Vec<String>>::new();
        for file in inside.iter().filter(|file| is_table(file)) {
            groups.entry(group_of(file)).or_default().push(format!("{prefix}{file}"));
        }
        // Tables with splits are the corpus, and not a table of metadata beside their folders.
        if groups.values().any(|files| files.iter().any(|file| has_split(file))) {
            groups.retain(|_, files| files.iter().any(|file| has_split(file)));
        }
        let mut groups: Vec<(&str, Vec<String>)> = match groups.remove("") {
            Some(files) => vec![("", files)],
            None => groups.into_iter().collect(),
        };
        if groups.len() > 1 {
            let names: Vec<&str> = groups.iter().map(|(name, _)| *name).collect();
            return Err(bad(format!(
                "several folders have tables: {}; add one of them to the address, as in {FORM}",
                list(&names)
            )));
        }
        let Some((group, files)) = groups.pop() else {
            let archives: Vec<&str> = inside.iter().copied().filter(|file| is_archive(file)).collect();
            return Err(bad(match archives.as_slice() {
                [] => format!("no table is there; found {}", list(&inside[..inside.len().min(20)])),
                some => format!(
                    "no table is there, but {}; name the archive in the address, as in {FORM}",
                    list(some)
                ),
            }));
        };
        if files.len() > MOST_FILES {
            return Err(bad(format!("{} tables are there; expected at most {MOST_FILES}", files.len())));
        }
        let base = format!("{prefix}{group}").trim_end_matches('/').to_owned();
        Ok(Self::with_descriptions(base, files, &safe))
    }

    /// Adds the descriptions in the folders of the files and above.
    fn with_descriptions(base: String, mut files: Vec<String>, all: &[&str]) -> Self {
        let describes = |description: &&&str| {
            let (folder, file) = description.rsplit_once('/').unwrap_or(("", description));
            let is_above = |file: &String| folder.is_empty() || file.starts_with(&format!("{folder}/"));
            DESCRIPTIONS.contains(&file) && files.iter().any(is_above)
        };
        let descriptions: Vec<String> = all
            .iter()
            .filter(describes)
            .map(|file| (*file).to_owned())
            .filter(|file| !files.contains(file))
            .collect();
        files.extend(descriptions);
        Self { base, files }
    }
}

/// The first folder of a path, unless that is one of data or of a split.
fn group_of(file: &str) -> &str {
    match file.split_once('/') {
        Some((folder, _)) if folder != DATA && !is_split(folder) => folder,
        _ => "",
    }
}

/// Whether a file or one of its folders is named after a split, as in `data/train-00000-of-00002.parquet`.
fn has_split(file: &str) -> bool {
    let stem = |part: &str| part.split('.').next().unwrap_or_default().to_owned();
    file.split('/').map(stem).any(|stem| stem.split(|c: char| !c.is_alphabetic()).any(is_split))
}

fn is_split(name: &str) -> bool {
    SPLITS.contains(&name.to_lowercase().as_str())
}

fn is_table(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    let is_table = plain.rsplit_once('.').is_some_and(|(_, ending)| TABLES.contains(&ending));
    is_table && !NO_TABLES.contains(&name)
}

fn is_archive(file: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    ARCHIVES.iter().any(|ending| lower.ends_with(ending))
}

/// Whether a path from a list can be one below a folder on any system. Hidden files are no data.
fn is_safe(path: &str) -> bool {
    let is_safe = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.chars().any(|c| c.is_control() || "\\:*?\"<>|".contains(c))
    };
    path.split('/').all(is_safe)
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use midashi_table::Format;

    use super::*;

    #[test]
    fn tables_are_what_the_reader_of_tables_knows() {
        let formats = Format::ALL.into_iter().filter(|format| *format != Format::Lines);
        assert_eq!(formats.flat_map(|format| format.extensions().to_vec()).collect::<Vec<_>>(), TABLES);
    }

    fn address(written: &str) -> (String, String, String) {
        let DatasetAddress { id, revision, path } = DatasetAddress::parse(written).unwrap();
        (id, revision, path)
    }

    #[test]
    fn an_address_has_a_revision_and_a_path() {
        let expected = |revision: &str, path: &str| ("a/b".to_owned(), revision.to_owned(), path.to_owned());
        assert_eq!(address("hf://datasets/a/b"), expected("main", ""));
        assert_eq!(address("hf://datasets/a/b/"), expected("main", ""));
        assert_eq!(address("hf://datasets/a/b@v1/data/train.csv"), expected("v1", "data/train.csv"));
        assert_eq!(
            address("hf://datasets/a/b@refs/convert/parquet/x"),
            expected("refs/convert/parquet", "x")
        );
        assert_eq!(address("hf://datasets/a/b@refs%2Fpr%2F1"), expected("refs/pr/1", ""));
    }

    #[test]
    fn an_address_cannot_leave_the_cache() {
        for written in [
            "hf://a/b",
            "hf://datasets/a",
            "hf://datasets/../b",
            "hf://datasets/a/b@../x",
            "hf://datasets/a/b/../c",
        ] {
            let message = DatasetAddress::parse(written).unwrap_err();
            assert!(message.contains("expected hf://datasets/owner/name"), "{message}");
        }
    }

    fn selected(files: &[&str], path: &str) -> Result<(String, Vec<String>), String> {
        let files: Vec<String> = files.iter().map(|&file| file.to_owned()).collect();
        let selection =
            Selection::of(&files, path, "a/b at revision main").map_err(|error| error.to_string())?;
        Ok((selection.base, selection.files))
    }

    #[test]
    fn tables_and_their_descriptions_are_selected() {
        let files = [
            ".gitattributes",
            "README.md",
            "code.py",
            "data/test-00000-of-00001.parquet",
            "data/train-00000-of-00001.parquet",
            "dataset_infos.json",
            "images/a.png",
        ];
        let (base, selection) = selected(&files, "").unwrap();
        assert_eq!(base, "");
        assert_eq!(
            selection,
            [
                "data/test-00000-of-00001.parquet",
                "data/train-00000-of-00001.parquet",
                "README.md",
                "dataset_infos.json"
            ]
        );
        let (base, selection) = selected(&files, "data").unwrap();
        assert_eq!((base.as_str(), selection.len()), ("data", 4));
        let file = "data/test-00000-of-00001.parquet";
        let (base, selection) = selected(&files, file).unwrap();
        assert_eq!(
            (base.as_str(), selection),
            (file, [file, "README.md", "dataset_infos.json"].map(String::from).to_vec())
        );
    }

    #[test]
    fn one_configuration_is_taken_and_several_are_listed() {
        let (base, files) = selected(&["ja/train-0.parquet", "ja/test-0.parquet", "README.md"], "").unwrap();
        assert_eq!((base.as_str(), files.len()), ("ja", 3));
        let several = ["ja/train-0.parquet", "en/train-0.parquet"];
        let message = selected(&several, "").unwrap_err();
        assert!(message.contains("several folders have tables: \"en\", \"ja\"; add one"), "{message}");
        assert_eq!(selected(&several, "ja").unwrap().1, ["ja/train-0.parquet"]);
        let beside = ["metadata.json", "ja/train-0.parquet"];
        assert_eq!(selected(&beside, "").unwrap().0, "ja", "a table beside the folder is not the corpus");
    }

    #[test]
    fn a_dataset_without_tables_is_refused() {
        let message = selected(&["texts.zip", "README.md"], "").unwrap_err();
        assert!(message.contains("no table is there, but \"texts.zip\"; name the archive"), "{message}");
        assert_eq!(selected(&["texts.zip"], "texts.zip").unwrap().1, ["texts.zip"]);
        assert!(selected(&["a.py"], "").unwrap_err().contains("no table is there; found \"a.py\""));
        let nothing = selected(&["a.csv"], "b").unwrap_err();
        assert!(nothing.contains("there is nothing at \"b\"; found \"a.csv\""), "{nothing}");
    }

    #[test]
    fn files_elsewhere_are_never_selected() {
        let files =
            ["../train.csv", "/etc/train.csv", "a/../../train.csv", "C:\\train.csv", ".hidden/train.csv"];
        assert!(selected(&files, "").is_err());
        assert_eq!(selected(&[&files[..], &["train.csv"]].concat(), "").unwrap().1, ["train.csv"]);
    }
}

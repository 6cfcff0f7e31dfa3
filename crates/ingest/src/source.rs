//! What `corpus.source` is: text files in folders or an archive, or tables.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use midashi_artifacts::Split;
use midashi_table::{Compression, Format, natural_order};

use crate::split_names::{split_of_file, split_of_name};
use crate::texts::corpus_file::is_of_program;

/// The form of a corpus.
#[derive(Debug, PartialEq)]
pub enum Source {
    /// Text files in category folders, in a folder or an archive.
    Texts,
    /// Tables.
    Tables(Vec<TableFile>),
}

/// A table, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub struct TableFile {
    /// Its path.
    pub path: PathBuf,
    /// The split that its name or folder shows.
    pub split: Option<Split>,
}

/// Files of Hugging Face's `datasets` beside the data.
const DESCRIPTIONS: [&str; 5] =
    ["dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "config.json"];

/// The folder of the data in a repository of the hub.
const DATA: &str = "data";

impl Source {
    /// Recognises the form of the file or folder `path`.
    ///
    /// # Errors
    /// When a folder cannot be listed, or it holds several tables of which only one can be meant, or tables lie in a
    /// linked folder.
    pub fn of(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Self::of_file(path);
        }
        let source = Self::of_folder(path)?;
        if let Self::Tables(files) = &source {
            refuse_linked_folders(path, files)?;
        }
        Ok(source)
    }

    fn of_folder(path: &Path) -> Result<Self> {
        // A corpus of texts may have a table beside it, such as a list of its files.
        if has_texts_in_category_folders(path)? {
            return Ok(Self::Texts);
        }
        for folder in [path.to_owned(), path.join(DATA)] {
            let files = with_splits(&folder)?;
            if !files.is_empty() {
                return one_format(files).map(Self::Tables);
            }
        }
        let mut configurations = Vec::new();
        for folder in folders(path)? {
            let files = with_splits(&folder)?;
            if !files.is_empty() {
                configurations.push((folder, files));
            }
        }
        if configurations.len() > 1 {
            let names: Vec<_> =
                configurations.iter().map(|(folder, _)| folder.display().to_string()).collect();
            bail!(
                "{}: several folders have tables with splits: {}; set corpus.source to one of them",
                path.display(),
                names.join(", ")
            );
        }
        if let Some((_, files)) = configurations.pop() {
            return one_format(files).map(Self::Tables);
        }
        for folder in [path.to_owned(), path.join(DATA)] {
            let files = tables(&folder)?;
            if !files.is_empty() && !has_texts(&folder)? {
                let file = |path| TableFile { path, split: None };
                return one_format(files.into_iter().map(file).collect()).map(Self::Tables);
            }
        }
        Ok(Self::Texts)
    }

    fn of_file(path: &Path) -> Result<Self> {
        let table = || Ok(Self::Tables(vec![TableFile { path: path.to_owned(), split: None }]));
        match Format::of_path(path) {
            Some((Format::Lines, _)) => bail!(
                "{}: one text file has no categories; expected a table with a column of labels (CSV, TSV, JSON Lines, \
                 Parquet, Arrow IPC), or a folder or an archive of category folders",
                path.display()
            ),
            Some(_) => table(),
            // A download may have a name without an ending.
            None if is_binary_table(path)? => table(),
            None => Ok(Self::Texts),
        }
    }
}

fn is_binary_table(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(6).read_to_end(&mut start).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(start.starts_with(b"PAR1") || start.starts_with(b"ARROW1"))
}

/// The tables of a folder whose names or sub-folders show a split: training first, then validation, then test, each in the
/// order of their numbers.
fn with_splits(folder: &Path) -> Result<Vec<TableFile>> {
    let mut files = Vec::new();
    for path in tables(folder)? {
        if let Some(split) = split_of_file(&file_name(&path)) {
            files.push(TableFile { path, split: Some(split) });
        }
    }
    for inner in folders(folder)? {
        if let Some(split) = split_of_name(&file_name(&inner)) {
            files.extend(tables(&inner)?.into_iter().map(|path| TableFile { path, split: Some(split) }));
        }
    }
    files.sort_by_key(|file| file.split.map(|split| split as u16));
    Ok(files)
}

/// Refuses tables in linked folders: the digest of `source`, which tells whether a table has changed, lacks them.
fn refuse_linked_folders(source: &Path, files: &[TableFile]) -> Result<()> {
    for file in files {
        let folders = file.path.ancestors().skip(1).take_while(|folder| *folder != source);
        if let Some(link) = folders.into_iter().find(|folder| folder.is_symlink()) {
            bail!(
                "{}: is a symbolic link to a folder of tables, whose changes would not be noticed; expected a folder; \
                 move the tables there, or set corpus.source to the folder that the link leads to",
                link.display()
            );
        }
    }
    Ok(())
}

/// Refuses the same texts in several formats.
fn one_format(files: Vec<TableFile>) -> Result<Vec<TableFile>> {
    let form = |file: &TableFile| Format::of_path(&file.path);
    if let Some(first) = files.first()
        && let Some(other) = files.iter().find(|file| form(file) != form(first))
    {
        ensure!(
            false,
            "{} and {} have different formats; expected one format, or a corpus.source that is a single file",
            first.path.display(),
            other.path.display()
        );
    }
    Ok(files)
}

/// The tables directly in a folder, in the order of their numbers. There are none if there is no folder.
fn tables(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_table = |path: &PathBuf| {
        let name = file_name(path);
        let is_text = |(format, _): (Format, Compression)| format == Format::Lines;
        !name.starts_with('.')
            && !DESCRIPTIONS.contains(&name.as_str())
            && Format::of_path(path).is_some_and(|form| !is_text(form))
    };
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).filter(is_table).collect())
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_folder = |path: &PathBuf| path.is_dir() && !file_name(path).starts_with('.');
    Ok(entries(folder)?.into_iter().filter(is_folder).collect())
}

fn has_texts_in_category_folders(folder: &Path) -> Result<bool> {
    for category in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let name = file_name(&category);
        let may_be_category = name != DATA && split_of_name(&name).is_none() && !is_of_program(&name);
        // A folder that cannot be read is reported where texts are read.
        if may_be_category && has_texts(&category).unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a folder holds a `.txt` file other than a read-me or a licence.
fn has_texts(folder: &Path) -> Result<bool> {
    let is_text = |path: &PathBuf| {
        let name = file_name(path).to_lowercase();
        let stem = name.strip_suffix(".txt");
        stem.is_some_and(|stem| !["readme", "license", "changes", "requirements"].contains(&stem))
    };
    Ok(entries(folder)?.iter().any(is_text))
}

/// The entries of a folder in natural order; none if it is no folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let cannot_list = || format!("cannot list {}", folder.display());
    let entries = fs::read_dir(folder).with_context(cannot_list)?;
    let entries = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    let mut entries = entries.with_context(cannot_list)?;
    entries.sort_by(|one, other| natural_order(&file_name(one), &file_name(other)));
    Ok(entries)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    /// The tables that are found, or nothing for texts.
    fn found(files: &[&str]) -> Vec<String> {
        let folder = folder(files);
        match Source::of(folder.path()).unwrap() {
            Source::Texts => vec![],
            Source::Tables(files) => files
                .iter()
                .map(|TableFile { path, split }| {
                    let name = path.strip_prefix(folder.path()).unwrap().display().to_string();
                    format!("{name}: {}", split.map_or("none", Split::name))
                })
                .collect(),
        }
    }

    #[test]
    fn tables_with_the_names_of_splits_are_found_in_the_order_of_splits_and_shards() {
        assert_eq!(
            found(&["test.csv", "dev.csv", "train.csv", "README.md"]),
            ["train.csv: train", "dev.csv: validation", "test.csv: test"]
        );
        assert_eq!(
            found(&[
                "data/train-2.parquet",
                "data/train-10.parquet",
                "data/test-1.parquet",
                "dataset_infos.json"
            ]),
            ["data/train-2.parquet: train", "data/train-10.parquet: train", "data/test-1.parquet: test"]
        );
        assert_eq!(
            found(&["train/data-0.arrow", "test/data-0.arrow", "train/state.json", "dataset_dict.json"]),
            ["train/data-0.arrow: train", "test/data-0.arrow: test"],
            "as Dataset.save_to_disk writes them"
        );
        assert_eq!(found(&["ja/train.jsonl", "other/x.md"]), ["ja/train.jsonl: train"]);
    }

    #[test]
    fn tables_without_the_names_of_splits_are_parts_of_one() {
        assert_eq!(found(&["part-2.csv", "part-10.csv"]), ["part-2.csv: none", "part-10.csv: none"]);
    }

    #[test]
    fn category_folders_are_texts_even_beside_a_table() {
        assert_eq!(found(&["a/1.txt", "b/2.txt", "train.csv"]), [""; 0]);
        assert_eq!(found(&["train/a/1.txt", "test/a/2.txt"]), [""; 0]);
        assert_eq!(found(&["text/a/1.txt", "text/b/1.txt"]), [""; 0]);
        assert_eq!(found(&["README.md"]), [""; 0]);
    }

    #[test]
    fn several_formats_or_configurations_are_refused() {
        let message = |files: &[&str]| Source::of(folder(files).path()).unwrap_err().to_string();
        assert!(message(&["train.csv", "test.jsonl"]).contains("different formats"));
        let several = message(&["en/train.csv", "ja/train.csv"]);
        assert!(
            several.contains("several folders have tables with splits") && several.contains("/ja"),
            "{several}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn tables_in_a_linked_folder_are_refused() {
        let (elsewhere, folder) = (folder(&["0.csv"]), folder(&["test/0.csv"]));
        let link = folder.path().join("train");
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let message = Source::of(folder.path()).unwrap_err().to_string();
        assert!(message.contains("train: is a symbolic link to a folder of tables"), "{message}");
        assert!(matches!(Source::of(&link).unwrap(), Source::Tables(_)), "the source itself may be a link");
        fs::remove_file(&link).unwrap();
        fs::create_dir(&link).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("0.csv"), link.join("0.csv")).unwrap();
        assert!(matches!(Source::of(folder.path()).unwrap(), Source::Tables(_)), "files may be links");
    }

    #[test]
    fn a_file_is_recognised_by_its_name_or_its_first_bytes() {
        let folder = folder(&["a.csv", "a.tar.gz", "a.txt"]);
        let source = |name: &str| Source::of(&folder.path().join(name));
        assert!(matches!(source("a.csv").unwrap(), Source::Tables(_)));
        assert_eq!(source("a.tar.gz").unwrap(), Source::Texts);
        assert!(source("a.txt").unwrap_err().to_string().contains("one text file has no categories"));
        fs::write(folder.path().join("download"), "PAR1…").unwrap();
        assert!(matches!(source("download").unwrap(), Source::Tables(_)));
    }
}

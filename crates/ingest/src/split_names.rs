//! The names that files, folders and columns give to splits.

use midashi_artifacts::Split;

/// Names of each split, as Hugging Face's `datasets` knows them.
const NAMES: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "training"]),
    (Split::Validation, &["validation", "valid", "val", "dev"]),
    (Split::Test, &["test", "testing", "eval", "evaluation"]),
];

/// The split that a cell or a folder names.
pub fn split_of_name(name: &str) -> Option<Split> {
    let name = name.trim().to_lowercase();
    NAMES.into_iter().find(|(_, names)| names.contains(&name.as_str())).map(|(split, _)| split)
}

/// The split that a file's name holds as a word, as in `train.csv`, `dev_2.jsonl` or `train-00000-of-00002.parquet`.
pub fn split_of_file(name: &str) -> Option<Split> {
    let stem = name.split('.').next().unwrap_or_default();
    let mut splits = stem.split(|c: char| !c.is_alphabetic()).filter_map(split_of_name);
    let first = splits.next()?;
    // `train_test.csv` names no split.
    splits.all(|split| split == first).then_some(first)
}

/// All names, for messages.
pub const EXPECTED: &str = "train, validation (or valid, val, dev) or test";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_of_splits_are_known() {
        for (name, split) in [
            ("train", Split::Train),
            (" Dev ", Split::Validation),
            ("TEST", Split::Test),
            ("val", Split::Validation),
        ] {
            assert_eq!(split_of_name(name), Some(split), "{name}");
        }
        assert_eq!(split_of_name("trains"), None);
    }

    #[test]
    fn a_file_name_holds_the_split_as_a_word() {
        for (name, split) in [
            ("train.csv", Some(Split::Train)),
            ("train-00000-of-00002.parquet", Some(Split::Train)),
            ("my_dev2.jsonl.gz", Some(Split::Validation)),
            ("test.tsv.zst", Some(Split::Test)),
            ("trains.csv", None),
            ("train_test.csv", None),
            ("corpus.csv", None),
        ] {
            assert_eq!(split_of_file(name), split, "{name}");
        }
    }
}

//! The files of a table that lies in several.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The files that a path or a pattern such as `data/train-*.parquet` names, with numbers in names in their order: `part-2`
/// comes before `part-10`.
///
/// # Errors
/// When the pattern is invalid, or there is no such file.
pub fn find_files(pattern: &str) -> Result<Vec<PathBuf>> {
    // A file may have a name with the characters of patterns.
    if Path::new(pattern).exists() {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let paths = glob::glob(pattern).map_err(|error| {
        Error::content(pattern, format!("is no valid pattern: {error}; expected such as *.csv"))
    })?;
    let mut files = Vec::new();
    for path in paths {
        let path = path.map_err(|error| Error::content(pattern, format!("cannot be listed: {error}")))?;
        if !path.is_dir() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::content(pattern, "there is no such file; check the path"));
    }
    files.sort_by(|one, other| natural_order(&one.to_string_lossy(), &other.to_string_lossy()));
    Ok(files)
}

/// Compares names, with digits as numbers.
pub fn natural_order(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one, other);
    loop {
        let ordering = match (digits(left), digits(right)) {
            (0, _) | (_, 0) => match (left.chars().next(), right.chars().next()) {
                (None, None) => return one.cmp(other),
                (a, b) => {
                    left = &left[a.map_or(0, char::len_utf8)..];
                    right = &right[b.map_or(0, char::len_utf8)..];
                    a.cmp(&b)
                }
            },
            (a, b) => {
                let (first, second) = (left[..a].trim_start_matches('0'), right[..b].trim_start_matches('0'));
                (left, right) = (&left[a..], &right[b..]);
                first.len().cmp(&second.len()).then_with(|| first.cmp(second))
            }
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
}

/// The number of digits at the start.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["part-10.csv", "part-2.csv", "part-1.csv", "other.csv"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let pattern = folder.path().join("part-*.csv");
        let names: Vec<String> = find_files(pattern.to_str().unwrap())
            .unwrap()
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["part-1.csv", "part-2.csv", "part-10.csv"]);
        assert_eq!(natural_order("a1b2", "a01b10"), Ordering::Less);
        assert_eq!(natural_order("a", "a1"), Ordering::Less);
        assert_eq!(natural_order("見1", "見1"), Ordering::Equal);
    }

    #[test]
    fn a_file_with_a_name_like_a_pattern_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a[1].csv");
        std::fs::write(&path, "").unwrap();
        assert_eq!(find_files(path.to_str().unwrap()).unwrap(), [path]);
        let message = find_files(folder.path().join("*.tsv").to_str().unwrap()).unwrap_err().to_string();
        assert!(message.ends_with("*.tsv: there is no such file; check the path"), "{message}");
    }
}

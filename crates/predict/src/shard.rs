//! A part of the input, for schedulers that spread the work.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// One of several parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: u64,
    /// The number of parts.
    count: u64,
}

impl FromStr for Shard {
    type Err = String;

    /// `3/16`: the third of 16.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers =
            text.split_once('/').and_then(|(one, all)| Some((one.parse().ok()?, all.parse().ok()?)));
        match numbers {
            Some((number, count)) if (1..=count).contains(&number) => Ok(Self { index: number - 1, count }),
            _ => {
                Err("expected the shard's number, from 1, and the number of shards, such as 3/16".to_owned())
            }
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// The consecutive units of `units` that belong to this shard; none if there are fewer units than shards. Together the
    /// shards have every unit once, and their numbers of units differ by at most 1.
    pub fn of_units(self, units: usize) -> Option<std::ops::Range<usize>> {
        let units = units as u64;
        let start = |index: u64| (u128::from(units) * u128::from(index) / u128::from(self.count)) as usize;
        (units >= self.count).then(|| start(self.index)..start(self.index + 1))
    }

    /// Whether the row with this number, from 0, belongs to this shard if rows are dealt out in turn.
    pub fn has_row(self, row: u64) -> bool {
        row % self.count == self.index
    }

    /// The name of this shard's output: `out.csv.gz` becomes `out-00003-of-00016.csv.gz`.
    pub fn name(self, path: &Path) -> PathBuf {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, extension) = split(&name);
        path.with_file_name(format!("{stem}-{:05}-of-{:05}{extension}", self.index + 1, self.count))
    }

    /// Whether `output` has the name of another of as many shards of `path`.
    pub fn is_other(self, output: &Path, path: &Path) -> bool {
        let (Some(output), Some(path)) = (output.file_name(), path.file_name()) else { return false };
        let (output, path) = (output.to_string_lossy(), path.to_string_lossy());
        let (stem, extension) = split(&path);
        let end = format!("-of-{:05}{extension}", self.count);
        let number = output.strip_prefix(&format!("{stem}-")).and_then(|rest| rest.strip_suffix(&end));
        number.and_then(|number| number.parse::<u64>().ok()).is_some_and(|number| number != self.index + 1)
    }
}

/// A file's name before and after its first dot; a dot at the beginning does not count.
fn split(name: &str) -> (&str, &str) {
    let end = name.char_indices().skip(1).find(|&(_, c)| c == '.').map_or(name.len(), |(at, _)| at);
    name.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_every_unit_once_and_differ_by_at_most_one() {
        for (units, count) in [(16, 16), (17, 16), (100, 7), (7, 7), (1, 1)] {
            let shards = (1..=count).map(|number| format!("{number}/{count}").parse::<Shard>().unwrap());
            let ranges: Vec<_> = shards.map(|shard| shard.of_units(units).unwrap()).collect();
            let all: Vec<usize> = ranges.iter().cloned().flatten().collect();
            assert_eq!(all, (0..units).collect::<Vec<_>>());
            let sizes = || ranges.iter().map(ExactSizeIterator::len);
            assert!(sizes().max().unwrap() - sizes().min().unwrap() <= 1, "{ranges:?}");
        }
        assert_eq!("1/3".parse::<Shard>().unwrap().of_units(2), None);
    }

    #[test]
    fn the_number_is_in_the_name_before_all_endings() {
        let shard: Shard = "3/16".parse().unwrap();
        assert_eq!(shard.name(Path::new("a/out.csv.gz")), Path::new("a/out-00003-of-00016.csv.gz"));
        assert_eq!(shard.name(Path::new("out")), Path::new("out-00003-of-00016"));
        assert_eq!(shard.to_string(), "3/16");
        let is_other = |name: &str| shard.is_other(Path::new(name), Path::new("a/out.csv.gz"));
        assert!(is_other("a/out-00004-of-00016.csv.gz"));
        for name in [
            "out-00003-of-00016.csv.gz",
            "out-00004-of-00017.csv.gz",
            "out-00004-of-00016.csv",
            "outer-00004-of-00016.csv.gz",
        ] {
            assert!(!is_other(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in ["0/3", "4/3", "3", "1/0", "a/b", "1/3/5", "-1/3"] {
            let error = text.parse::<Shard>().unwrap_err();
            assert!(error.contains("such as 3/16"), "{text}: {error}");
        }
    }
}

//! The parts of the input, and those that a shard reads.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use midashi_stage::{sha256_of, sha256_of_parts};
use midashi_table::{Container, Format, RowGroups, row_groups};

use crate::shard::Shard;

/// Bytes at the start of a file by which compressed ones are recognised.
const START: u64 = 4;

/// Where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Texts of the command line.
    Texts(Vec<String>),
    /// Standard input.
    StandardInput,
    /// A file, or some of its row groups.
    File(PathBuf, Option<Range<usize>>),
}

/// A file, and what it consists of.
pub struct Layout {
    path: PathBuf,
    /// Only Parquet has row groups.
    row_groups: Option<RowGroups>,
    /// Whether the file is compressed as a whole. Its row groups then lie in what it holds, not in the file.
    is_compressed: bool,
}

impl Layout {
    /// The file `path`, read in `format` or in the one that its name shows.
    ///
    /// # Errors
    /// When a Parquet file cannot be read.
    pub fn of(path: &Path, format: Option<Format>) -> Result<Self> {
        let format = format.or(Format::of_path(path).map(|(format, _)| format));
        let is_parquet = format == Some(Format::Parquet);
        let row_groups = is_parquet.then(|| row_groups(path)).transpose()?;
        Ok(Self { path: path.to_owned(), row_groups, is_compressed: is_parquet && is_compressed(path)? })
    }

    /// Name, size and number of row groups. The folder may have another name on another machine.
    fn line(&self) -> Result<String> {
        let name = self.path.file_name().unwrap_or_default().display();
        let size =
            fs::metadata(&self.path).with_context(|| format!("cannot read {}", self.path.display()))?.len();
        let groups = self.row_groups.as_ref().map_or(0, |all| all.groups.len());
        Ok(format!("{size} {groups} {name}\n"))
    }
}

/// Whether a file is compressed as a whole. As when it is read, its first bytes tell, and not its name.
fn is_compressed(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(START).read_to_end(&mut start));
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Container::of(&start).is_some())
}

/// The part of the files that a shard reads.
pub struct ShardFiles {
    /// The files that it reads.
    pub files: Vec<ShardFile>,
    /// Which rows of them, in words.
    pub parts: String,
    /// Name, size and row groups of every file of the input, a line each. Shards with other lists do not fit together.
    pub all: String,
}

/// A file that a shard reads.
#[derive(PartialEq)]
pub struct ShardFile {
    /// The file.
    pub path: PathBuf,
    /// The bytes that are read; none if all of them are.
    pub bytes: Option<Vec<Range<u64>>>,
}

impl ShardFiles {
    /// What `shard` reads of `files`, which are all files of the input.
    ///
    /// # Errors
    /// When the size of a file cannot be read.
    pub fn of(files: &[Layout], shard: Shard) -> Result<Self> {
        let (parts, _) = of_shard(files, shard);
        let read = |part: &Part| {
            let Part::File(path, groups) = part else { return None };
            let layout = files.iter().find(|layout| layout.path == *path)?;
            let row_groups = layout.row_groups.as_ref().filter(|_| !layout.is_compressed);
            let bytes = row_groups
                .zip(groups.clone())
                .map(|(all, groups)| all.groups[groups].iter().chain([&all.footer]).cloned().collect());
            Some(ShardFile { path: path.clone(), bytes })
        };
        let mut read: Vec<ShardFile> = parts.iter().filter_map(read).collect();
        read.dedup();
        let all: Result<String> = files.iter().map(Layout::line).collect();
        Ok(Self { files: read, parts: format!("{parts:?}"), all: all? })
    }
}

impl ShardFile {
    /// SHA-256 of what is read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        Ok(match &self.bytes {
            Some(bytes) => sha256_of_parts(&self.path, bytes)?,
            None => sha256_of(&self.path)?,
        })
    }
}

/// Whole row groups or files of a shard, or all files with rows that are dealt out if there are too few.
pub fn of_shard(files: &[Layout], shard: Shard) -> (VecDeque<Part>, Option<Shard>) {
    let part = |file: &Layout, groups| Part::File(file.path.clone(), groups);
    let mut units = Vec::new();
    for file in files {
        match &file.row_groups {
            Some(all) => units.extend((0..all.groups.len()).map(|group| part(file, Some(group..group + 1)))),
            None => units.push(part(file, None)),
        }
    }
    match shard.of_units(units.len()) {
        Some(range) => (merged(units.drain(range)), None),
        None => (files.iter().map(|file| part(file, None)).collect(), Some(shard)),
    }
}

/// Neighbouring row groups of a file as one part.
fn merged(units: impl Iterator<Item = Part>) -> VecDeque<Part> {
    let mut parts: VecDeque<Part> = VecDeque::new();
    for unit in units {
        if let (Some(Part::File(last, Some(groups))), Part::File(file, Some(next))) =
            (parts.back_mut(), &unit)
            && last == file
            && groups.end == next.start
        {
            groups.end = next.end;
            continue;
        }
        parts.push_back(unit);
    }
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_of_row_groups_digests_them_and_the_footer_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let groups: Vec<Range<u64>> = (0..4).map(|group| 2 * group..2 * group + 2).collect();
        let row_groups = Some(RowGroups { groups, footer: 8..10 });
        let layout = Layout { path: path.clone(), row_groups, is_compressed: false };
        let digest = |content: &str, shard: &str| {
            fs::write(&path, content).unwrap();
            let read = ShardFiles::of(std::slice::from_ref(&layout), shard.parse().unwrap()).unwrap();
            let [file] = &read.files[..] else { unreachable!("a shard of one file") };
            file.sha256().unwrap()
        };
        let [first, second] = ["1/2", "2/2"].map(|shard| digest("0123456789", shard));
        assert_ne!(first, second);
        assert_ne!(digest("012x456789", "1/2"), first);
        assert_eq!(digest("012x456789", "2/2"), second);
        assert_ne!(digest("01234567x9", "2/2"), second, "the footer describes all");
    }
}

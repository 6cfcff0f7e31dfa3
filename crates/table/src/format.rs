//! Formats and compressions, recognised by file names.

use std::path::Path;
use std::str::FromStr;

/// The format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, RFC 4180, with a header. Reading recognises other delimiters.
    Csv,
    /// The same with tabs.
    Tsv,
    /// One JSON object a line.
    JsonLines,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC: a file (also called Feather) or a stream. Reading recognises which.
    Arrow,
    /// One text a line: a table with the only column `text`.
    Lines,
}

/// The compression around a format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// None.
    #[default]
    None,
    /// gzip, `.gz`.
    Gzip,
    /// Zstandard, `.zst`.
    Zstd,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] =
        [Self::Csv, Self::Tsv, Self::JsonLines, Self::Parquet, Self::Arrow, Self::Lines];

    /// The name by which options select it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::JsonLines => "jsonl",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
            Self::Lines => "lines",
        }
    }

    /// The endings of file names, without the dot.
    pub fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Csv => &["csv"],
            Self::Tsv => &["tsv", "tab"],
            Self::JsonLines => &["jsonl", "ndjson", "json"],
            Self::Parquet => &["parquet"],
            Self::Arrow => &["arrow", "feather", "ipc", "arrows"],
            Self::Lines => &["txt"],
        }
    }

    /// The format and compression that the file's name shows, if it shows a format.
    pub fn of_path(path: &Path) -> Option<(Self, Compression)> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let (name, compression) = if let Some(inner) = name.strip_suffix(".gz") {
            (inner, Compression::Gzip)
        } else if let Some(inner) = name.strip_suffix(".zst") {
            (inner, Compression::Zstd)
        } else {
            (name.as_str(), Compression::None)
        };
        let (_, extension) = name.rsplit_once('.')?;
        let format = Self::ALL.into_iter().find(|format| format.extensions().contains(&extension))?;
        Some((format, compression))
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let lower = name.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.name() == lower).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("unknown format {name:?}; expected one of {names}")
        })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_show_format_and_compression() {
        for (name, expected) in [
            ("a.csv", Some((Format::Csv, Compression::None))),
            ("data/A.CSV.GZ", Some((Format::Csv, Compression::Gzip))),
            ("a.b.tsv.zst", Some((Format::Tsv, Compression::Zstd))),
            ("a.ndjson", Some((Format::JsonLines, Compression::None))),
            ("train-00000-of-00002.parquet", Some((Format::Parquet, Compression::None))),
            ("a.feather", Some((Format::Arrow, Compression::None))),
            ("a.txt", Some((Format::Lines, Compression::None))),
            ("a.tar.gz", None),
            ("csv", None),
        ] {
            assert_eq!(Format::of_path(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_format_is_selected_by_its_name() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!(
            "xlsx".parse::<Format>().unwrap_err(),
            "unknown format \"xlsx\"; expected one of csv, tsv, jsonl, parquet, arrow, lines"
        );
    }
}

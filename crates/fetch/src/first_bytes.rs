//! What a downloaded file is, by its first bytes.
//!
//! A network that asks for a login, a proxy or a server in trouble answers with a page and status 200. Without a digest, only the
//! first bytes tell such a page from the file, and a page that is kept would be in the way for good.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use midashi_stage::Error as FileError;

use crate::error::Result;

/// How many first bytes are looked at.
const LOOKED_AT: u64 = 512;

/// What is wrong with a file's first bytes.
#[derive(Debug, PartialEq)]
pub(crate) struct Unrecognised {
    /// What they are.
    pub(crate) found: String,
    /// What they should be.
    pub(crate) expected: &'static str,
}

/// Whether the file at `path` begins as a file called `name` should.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn recognise(path: &Path, name: &str) -> Result<std::result::Result<(), Unrecognised>> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(FileError::io("read", path))?;
    file.take(LOOKED_AT).read_to_end(&mut start).map_err(FileError::io("read", path))?;
    Ok(check(name, &start))
}

fn check(name: &str, start: &[u8]) -> std::result::Result<(), Unrecognised> {
    let lower = name.to_ascii_lowercase();
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins =
        |expected: &str| text.get(..expected.len()).is_some_and(|start| start.eq_ignore_ascii_case(expected));
    let unrecognised = |found: &str, expected| Err(Unrecognised { found: found.to_owned(), expected });
    let is_markup = [".md", ".html", ".htm", ".xml", ".svg"].iter().any(|ending| lower.ends_with(ending));
    let expected = expected(&lower);
    let what = expected.map_or("the file itself", |(what, _)| what);
    if !is_markup && ["<!doctype", "<html", "<head", "<body", "<?xml"].into_iter().any(begins) {
        return unrecognised("an HTML or XML page, as a network's login or an error page is", what);
    }
    if begins("version https://git-lfs") {
        return unrecognised("a Git LFS pointer, which stands for the file in a repository", what);
    }
    match expected {
        Some((what, is_right)) if !is_right(start, text) => unrecognised(&first_of(start), what),
        _ => Ok(()),
    }
}

/// What a file begins with, and whether its first bytes, and the text that they are, are that.
type Expected = (&'static str, fn(&[u8], &str) -> bool);

/// What a file of this name begins with, where the name says it. Numbers are those of RFC 1952, RFC 8878 and the formats' own
/// specifications.
fn expected(name: &str) -> Option<Expected> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let expected: Expected = match () {
        () if ends(&[".gz", ".tgz"]) => {
            ("gzip, which begins with 1f 8b", |start, _| start.starts_with(b"\x1f\x8b"))
        }
        () if ends(&[".zst", ".tzst"]) => ("zstd, which begins with 28 b5 2f fd", |start, _| {
            let is_skippable = matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
            start.starts_with(b"\x28\xb5\x2f\xfd") || is_skippable
        }),
        () if ends(&[".zip"]) => ("zip, which begins with PK", |start, _| start.starts_with(b"PK")),
        () if ends(&[".parquet"]) => {
            ("Parquet, which begins with PAR1", |start, _| start.starts_with(b"PAR1"))
        }
        () if ends(&[".safetensors"]) => {
            ("safetensors, which begins with the length of a JSON header", |start, _| {
                let header = start.split_first_chunk::<8>();
                header.is_some_and(|(length, rest)| {
                    u64::from_le_bytes(*length) <= 100_000_000 && rest.starts_with(b"{")
                })
            })
        }
        () if ends(&["pytorch_model.bin"]) => {
            ("a PyTorch checkpoint, which begins with PK or 80 02", |start, _| {
                start.starts_with(b"PK") || start.starts_with(b"\x80\x02")
            })
        }
        () if ends(&[".json", ".jsonl", ".ndjson"]) => ("JSON, which begins with { or [", |start, text| {
            // A table may have another encoding.
            std::str::from_utf8(start).is_err_and(|error| error.error_len().is_some())
                || text.starts_with(['{', '['])
        }),
        () => return None,
    };
    Some(expected)
}

fn first_of(start: &[u8]) -> String {
    match start.get(..start.len().min(16)) {
        None | Some([]) => "nothing".to_owned(),
        Some(first) => format!("{:?}", first.escape_ascii().to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_their_first_bytes() {
        let mut safetensors = 2_u64.to_le_bytes().to_vec();
        safetensors.extend(b"{}");
        let right: [(&str, &[u8]); 16] = [
            ("a.tar.gz", b"\x1f\x8b\x08"),
            ("a.tgz", b"\x1f\x8b\x08"),
            ("a.csv.zst", b"\x28\xb5\x2f\xfd"),
            ("a.tar.zst", b"\x50\x2a\x4d\x18"),
            ("A.ZIP", b"PK\x03\x04"),
            ("a.parquet", b"PAR1"),
            ("model.safetensors", &safetensors),
            ("pytorch_model.bin", b"PK\x03\x04"),
            ("config.json", b"\xef\xbb\xbf \n{\"a\": 1}"),
            ("a.jsonl", b"[1]"),
            ("a.jsonl", b"\x82\xa0"),
            ("a.csv", b"text,label\n<p>,b"),
            ("vocab.txt", b"<unk>\n<html>"),
            ("a.tar", b"anything"),
            ("README.md", b"<!DOCTYPE html>"),
            ("get", b""),
        ];
        for (name, start) in right {
            assert_eq!(check(name, start), Ok(()), "{name}");
        }
    }

    #[test]
    fn pages_and_pointers_are_no_files() {
        for name in ["a.tar.gz", "a.csv", "a.tar", "vocab.txt", "get", "config.json", "model.safetensors"] {
            for page in
                ["<!DOCTYPE html><html>", "\u{feff}\r\n <HTML lang=ja>", "<?xml version=\"1.0\"?><Error>"]
            {
                assert!(check(name, page.as_bytes()).unwrap_err().found.contains("login"), "{name}: {page}");
            }
            let pointer = check(name, b"version https://git-lfs.github.com/spec/v1\n").unwrap_err();
            assert!(pointer.found.contains("Git LFS pointer"), "{name}");
        }
        for (name, start, found) in [
            ("a.zip", &b"Not Found"[..], "Not Found"),
            ("a.gz", b"", "nothing"),
            ("model.safetensors", b"\xff\xff\xff\xff\xff\xff\xff\xff{", "\\xff"),
            ("config.json", b"error", "error"),
        ] {
            assert!(check(name, start).unwrap_err().found.contains(found), "{name}");
        }
    }
}

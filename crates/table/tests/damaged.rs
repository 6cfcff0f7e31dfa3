//! Tables are downloaded, so any bytes give rows or an error: damaged forms of the fixtures, always the same ones.
#![allow(clippy::unwrap_used, missing_docs)]

use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::Path;

use midashi_table::{Format, ReadOptions, Table};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Damaged forms of each file.
const FORMS: usize = 400;

fn read(bytes: Vec<u8>, format: Format) -> usize {
    let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
    match Table::from_reader(Cursor::new(bytes), "damaged", &options) {
        Ok(table) => table.map_while(Result::ok).map(|batch| batch.rows.num_rows()).sum(),
        Err(_) => 0,
    }
}

/// Some bytes replaced, a piece removed, or the end cut.
fn damaged(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    match random.random_range(0..4) {
        0 => bytes.truncate(random.random_range(0..bytes.len())),
        1 => {
            let at = random.random_range(0..bytes.len());
            bytes.drain(at..(at + random.random_range(1..16)).min(bytes.len()));
        }
        _ => {
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff, bytes[at] ^ 1, b'"', b'\n'][random.random_range(0..8)];
            }
        }
    }
    bytes
}

#[test]
fn damaged_tables_give_rows_or_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if name == "expected.json" {
            continue;
        }
        let (format, _) = Format::of_path(&entry.path()).unwrap();
        let whole = std::fs::read(entry.path()).unwrap();
        assert!(read(whole.clone(), format) > 0, "{name}");
        let mut random = ChaCha8Rng::seed_from_u64(0);
        for form in 0..FORMS {
            let bytes = damaged(&whole, &mut random);
            if catch_unwind(|| read(bytes, format)).is_err() {
                failures.push(format!("{name}, form {form}"));
            }
        }
    }
    assert!(failures.is_empty(), "{} panics: {:?}", failures.len(), &failures[..failures.len().min(20)]);
}

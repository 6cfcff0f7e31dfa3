//! The cells of small tables are those that pandas and pyarrow read (tests/parity/table_reference.py).
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use midashi_table::{ReadOptions, Table};

fn cells(rows: &RecordBatch) -> Vec<Vec<String>> {
    let columns: Vec<_> =
        rows.columns().iter().map(|column| cast(column, &DataType::Utf8).unwrap()).collect();
    let cell = |row: usize, column: &arrow::array::ArrayRef| {
        assert!(column.is_valid(row), "an empty text is no null");
        column.as_string::<i32>().value(row).to_owned()
    };
    (0..rows.num_rows()).map(|row| columns.iter().map(|column| cell(row, column)).collect()).collect()
}

#[test]
fn tables_of_pandas_and_pyarrow_have_their_cells() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, Vec<Vec<String>>> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(expected.len(), 12);
    for (name, expected) in expected {
        for batch_rows in [7, 4096] {
            let options = ReadOptions { batch_rows, ..ReadOptions::default() };
            let mut found = Vec::new();
            for batch in Table::open(&folder.join(&name), &options).unwrap() {
                let batch = batch.unwrap();
                assert_eq!(batch.bad, [], "{name}");
                found.extend(cells(&batch.rows));
            }
            assert_eq!(found, expected, "{name}");
        }
    }
}

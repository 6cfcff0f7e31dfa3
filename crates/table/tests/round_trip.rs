//! What is written is read back, in every format and compression.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float32Array, Int32Builder, Int64Array, ListBuilder, RecordBatch,
    StringArray,
};
use midashi_table::{Compression, Format, Formulas, ReadOptions, Table, WriteOptions, Writer};

/// Texts with everything that CSV quotes, an empty text and a missing one.
const TEXTS: [Option<&str>; 5] =
    [Some("見出し, \"引用\""), Some("二行\r\nの見出し"), Some(""), None, Some("タブ\tと'")];

fn table() -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(-2), None, Some(4), Some(5)]));
    let shares: ArrayRef =
        Arc::new(Float32Array::from(vec![Some(0.1), Some(1e-9), None, Some(0.75), Some(1.0)]));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false, true, false, true]));
    let mut lists = ListBuilder::new(Int32Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    lists.append_value([]);
    lists.append_value([Some(7)]);
    lists.append_value([Some(8), Some(9)]);
    let texts: ArrayRef = Arc::new(StringArray::from(TEXTS.to_vec()));
    let lists: ArrayRef = Arc::new(lists.finish());
    RecordBatch::try_from_iter_with_nullable([
        ("text", texts, true),
        ("number", numbers, true),
        ("share", shares, true),
        ("flag", flags, true),
        ("list", lists, true),
    ])
    .unwrap()
}

/// The bytes of two batches.
fn written(format: Format, compression: Compression, arrow_stream: bool) -> Vec<u8> {
    let table = table();
    let options = WriteOptions { format, compression, arrow_stream, formulas: Formulas::Keep };
    let mut writer = Writer::new(Vec::new(), "out", options, &table.schema()).unwrap();
    writer.write(&table.slice(0, 2)).unwrap();
    writer.flush().unwrap();
    writer.write(&table.slice(2, 3)).unwrap();
    writer.finish().unwrap()
}

fn read(bytes: Vec<u8>, format: Format) -> RecordBatch {
    let options = ReadOptions { format: Some(format), ..ReadOptions::default() };
    let reader = Table::from_reader(std::io::Cursor::new(bytes), "in", &options).unwrap();
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader
        .map(|batch| {
            let batch = batch.unwrap();
            assert!(batch.bad.is_empty(), "{:?}", batch.bad);
            batch.rows
        })
        .collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

const COMPRESSIONS: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Zstd];

#[test]
fn tables_with_types_come_back_as_they_were() {
    for compression in COMPRESSIONS {
        for (format, stream) in [(Format::Parquet, true), (Format::Arrow, true), (Format::Arrow, false)] {
            let read = read(written(format, compression, stream), format);
            assert_eq!(read.columns(), table().columns(), "{format}, {compression:?}");
        }
    }
}

#[test]
fn json_lines_have_every_key_in_every_line() {
    for compression in COMPRESSIONS {
        let read = read(written(Format::JsonLines, compression, true), Format::JsonLines);
        let texts: Vec<Option<&str>> =
            read.column_by_name("text").unwrap().as_string::<i32>().iter().collect();
        assert_eq!(texts, TEXTS, "{compression:?}");
    }
    let lines = String::from_utf8(written(Format::JsonLines, Compression::None, true)).unwrap();
    let third: serde_json::Value = serde_json::from_str(lines.lines().nth(2).unwrap()).unwrap();
    assert_eq!(
        third,
        serde_json::json!({ "text": "", "number": null, "share": null, "flag": true, "list": [] })
    );
}

#[test]
fn csv_and_tsv_quote_what_needs_quotes() {
    for format in [Format::Csv, Format::Tsv] {
        for compression in COMPRESSIONS {
            let read = read(written(format, compression, true), format);
            let column = |name: &str| -> Vec<String> {
                let column = read.column_by_name(name).unwrap().as_string::<i32>();
                (0..column.len()).map(|row| column.value(row).to_owned()).collect()
            };
            assert_eq!(column("text"), TEXTS.map(Option::unwrap_or_default), "{format}, {compression:?}");
            assert_eq!(column("number"), ["1", "-2", "", "4", "5"]);
            assert_eq!(column("share")[1].parse::<f32>().unwrap(), 1e-9);
            assert_eq!(column("flag"), ["true", "false", "true", "false", "true"]);
            assert_eq!(column("list"), ["[1,null]", "", "[]", "[7]", "[8,9]"]);
        }
    }
    let csv = String::from_utf8(written(Format::Csv, Compression::None, true)).unwrap();
    assert!(
        csv.starts_with("text,number,share,flag,list\n\"見出し, \"\"引用\"\"\",1,0.1,true,\"[1,null]\"\n"),
        "{csv}"
    );
}

#[test]
fn a_single_empty_field_is_a_row() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "a"]));
    let table = RecordBatch::try_from_iter([("text", texts)]).unwrap();
    let options = WriteOptions {
        format: Format::Csv,
        compression: Compression::None,
        arrow_stream: true,
        formulas: Formulas::Keep,
    };
    let mut writer = Writer::new(Vec::new(), "out", options, &table.schema()).unwrap();
    writer.write(&table).unwrap();
    let bytes = writer.finish().unwrap();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), "text\n\"\"\na\n");
    assert_eq!(read(bytes, Format::Csv).num_rows(), 2);
}

#[test]
fn texts_that_begin_like_a_formula_get_an_apostrophe_and_numbers_do_not() {
    let texts = ["=1+1", "+81", "-1", "@a", "\tb", "\r=1", "＝1", "a=1", "'=1", ""];
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..10).map(|at| -at)));
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let table = RecordBatch::try_from_iter([("=cmd", column), ("number", numbers)]).unwrap();
    let written = |format, formulas| {
        let options = WriteOptions { format, compression: Compression::None, arrow_stream: true, formulas };
        let mut writer = Writer::new(Vec::new(), "out", options, &table.schema()).unwrap();
        writer.write(&table).unwrap();
        let escaped = writer.escaped_formulas();
        (writer.finish().unwrap(), escaped)
    };
    let cells = |bytes| {
        let batch = read(bytes, Format::Csv);
        let name = batch.schema_ref().field(0).name().clone();
        let column = batch.column(0).as_string::<i32>().iter().map(|cell| cell.unwrap().to_owned());
        (name, column.collect::<Vec<_>>(), batch.column(1).as_string::<i32>().value(3).to_owned())
    };
    let (bytes, escaped) = written(Format::Csv, Formulas::Escape);
    assert_eq!(escaped, 8, "the name of a column is a cell too");
    let expected: Vec<String> =
        (0..10).map(|at| format!("{}{}", if at < 7 { "'" } else { "" }, texts[at])).collect();
    assert_eq!(cells(bytes), ("'=cmd".into(), expected, "-3".into()));
    let (bytes, escaped) = written(Format::Csv, Formulas::Keep);
    assert_eq!((cells(bytes).1, escaped), (texts.map(str::to_owned).to_vec(), 0), "for programs");
    let (bytes, escaped) = written(Format::JsonLines, Formulas::Escape);
    assert!(String::from_utf8(bytes).unwrap().starts_with("{\"=cmd\":\"=1+1\""), "no spreadsheet opens it");
    assert_eq!(escaped, 0);
}

#[test]
fn equal_tables_have_equal_bytes() {
    for format in [Format::Csv, Format::JsonLines, Format::Parquet, Format::Arrow] {
        for compression in COMPRESSIONS {
            assert_eq!(written(format, compression, false), written(format, compression, false), "{format}");
        }
    }
}

#[test]
fn a_table_without_rows_has_its_columns() {
    for format in [Format::Csv, Format::Parquet, Format::Arrow] {
        let table = table();
        let options = WriteOptions {
            format,
            compression: Compression::None,
            arrow_stream: true,
            formulas: Formulas::Keep,
        };
        let writer = Writer::new(Vec::new(), "out", options, &table.schema()).unwrap();
        let read = read(writer.finish().unwrap(), format);
        assert_eq!((read.num_rows(), read.num_columns()), (0, 5), "{format}");
    }
}

#[test]
fn a_destination_that_fails_is_named_with_its_cause() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in [Format::Csv, Format::JsonLines, Format::Parquet, Format::Arrow] {
        let options = WriteOptions {
            format,
            compression: Compression::None,
            arrow_stream: true,
            formulas: Formulas::Keep,
        };
        let table = table();
        let result = Writer::new(Full, "out", options, &table.schema()).and_then(|mut writer| {
            writer.write(&table)?;
            writer.finish().map(drop)
        });
        let error: Box<dyn std::error::Error> = result.unwrap_err().into();
        assert!(error.to_string().starts_with("out: cannot write"), "{error}");
        let cause = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>());
        assert_eq!(cause.unwrap().kind(), std::io::ErrorKind::BrokenPipe, "{format}");
    }
}

#[test]
fn lines_cannot_be_written() {
    let options = WriteOptions {
        format: Format::Lines,
        compression: Compression::None,
        arrow_stream: true,
        formulas: Formulas::Keep,
    };
    let error = Writer::new(Vec::new(), "out", options, &table().schema()).err().unwrap().to_string();
    assert!(error.contains("lines have no columns; expected one of csv"), "{error}");
}

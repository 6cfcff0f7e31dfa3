//! What is written is read back, in every format and compression.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Date64Array, DictionaryArray, Float32Array,
    Int32Array, Int32Builder, Int64Array, ListBuilder, MapBuilder, RecordBatch, StringArray, StringBuilder,
    StructArray, Time32SecondArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondBuilder, UnionArray,
};
use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit, UnionFields};
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

fn text_of(format: Format, table: &RecordBatch) -> String {
    let options =
        WriteOptions { format, compression: Compression::None, arrow_stream: true, formulas: Formulas::Keep };
    options.check("out", &table.schema()).unwrap();
    let mut writer = Writer::new(Vec::new(), "out", options, &table.schema()).unwrap();
    writer.write(table).unwrap();
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

#[test]
fn times_in_a_named_zone_are_written_in_utc() {
    // 2024-02-29 12:34:56.789 in UTC.
    const INSTANT: i64 = 1_709_210_096_789_000;
    let micros = || TimestampMicrosecondArray::from(vec![Some(INSTANT), None]);
    for (zone, expected) in [
        ("UTC", "2024-02-29T12:34:56.789Z"),
        ("Z", "2024-02-29T12:34:56.789Z"),
        ("Etc/UTC", "2024-02-29T12:34:56.789Z"),
        ("Asia/Tokyo", "2024-02-29T12:34:56.789Z"),
        ("+00:00", "2024-02-29T12:34:56.789Z"),
        ("+09:00", "2024-02-29T21:34:56.789+09:00"),
    ] {
        let times: ArrayRef = Arc::new(micros().with_timezone(zone));
        let table = RecordBatch::try_from_iter_with_nullable([("at", times, true)]).unwrap();
        assert_eq!(text_of(Format::Csv, &table), format!("at\n{expected}\n\"\"\n"), "{zone}");
        let lines = format!("{{\"at\":\"{expected}\"}}\n{{\"at\":null}}\n");
        assert_eq!(text_of(Format::JsonLines, &table), lines, "{zone}");
    }
    let tokyo: ArrayRef = Arc::new(micros().with_timezone("Asia/Tokyo"));
    let field = Arc::new(Field::new("at", tokyo.data_type().clone(), true));
    let object: ArrayRef = Arc::new(StructArray::from(vec![(field, tokyo.clone())]));
    let keys = Int32Array::from(vec![Some(0), None]);
    let words: ArrayRef = Arc::new(DictionaryArray::try_new(keys, tokyo).unwrap());
    let builder = TimestampMillisecondBuilder::new()
        .with_data_type(DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())));
    let mut lists = ListBuilder::new(builder);
    lists.append_value([Some(INSTANT / 1000), None]);
    lists.append_null();
    let lists: ArrayRef = Arc::new(lists.finish());
    let table = [("object", object, true), ("list", lists, true), ("word", words, true)];
    let table = RecordBatch::try_from_iter_with_nullable(table).unwrap();
    let lines = "{\"object\":{\"at\":\"2024-02-29T12:34:56.789Z\"},\"list\":[\"2024-02-29T12:34:56.789Z\",null],\
                 \"word\":\"2024-02-29T12:34:56.789Z\"}\n{\"object\":{\"at\":null},\"list\":null,\"word\":null}\n";
    assert_eq!(text_of(Format::JsonLines, &table), lines);
    let csv = "object,list,word\n\"{\"\"at\"\":\"\"2024-02-29T12:34:56.789Z\"\"}\",\
               \"[\"\"2024-02-29T12:34:56.789Z\"\",null]\",2024-02-29T12:34:56.789Z\n\"{\"\"at\"\":null}\",,\n";
    assert_eq!(text_of(Format::Csv, &table), csv);
}

#[test]
fn times_and_dates_are_texts_of_iso_8601() {
    // 2024-02-29 is day 19,782; 45,296,789 ms are 12:34:56.789.
    const DAY: i32 = 19_782;
    const MILLIS: i64 = DAY as i64 * 86_400_000 + 45_296_789;
    let columns: [(&str, ArrayRef, &str); 6] = [
        ("date32", Arc::new(Date32Array::from(vec![DAY])), "2024-02-29"),
        ("date64", Arc::new(Date64Array::from(vec![MILLIS])), "2024-02-29T12:34:56.789"),
        ("seconds", Arc::new(Time32SecondArray::from(vec![45_296])), "12:34:56"),
        ("nanos", Arc::new(Time64NanosecondArray::from(vec![45_296_789_000_000])), "12:34:56.789"),
        ("naive", Arc::new(TimestampMicrosecondArray::from(vec![MILLIS * 1000])), "2024-02-29T12:34:56.789"),
        ("before", Arc::new(TimestampMicrosecondArray::from(vec![-1_000_000])), "1969-12-31T23:59:59"),
    ];
    for (name, column, expected) in columns {
        let table = RecordBatch::try_from_iter([("at", column)]).unwrap();
        assert_eq!(text_of(Format::Csv, &table), format!("at\n{expected}\n"), "{name}");
        assert_eq!(text_of(Format::JsonLines, &table), format!("{{\"at\":\"{expected}\"}}\n"), "{name}");
    }
}

#[test]
fn a_time_beyond_the_calendar_is_no_text() {
    let times = TimestampMicrosecondArray::from(vec![Some(0), Some(i64::MAX)]);
    let times: ArrayRef = Arc::new(times);
    let field = Arc::new(Field::new("at", times.data_type().clone(), true));
    let object: ArrayRef = Arc::new(StructArray::from(vec![(field, times.clone())]));
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![0, i32::MAX]));
    let write = |format, column: &ArrayRef| {
        let table = RecordBatch::try_from_iter([("odd", column.clone())]).unwrap();
        let options = WriteOptions {
            format,
            compression: Compression::None,
            arrow_stream: false,
            formulas: Formulas::Keep,
        };
        let mut writer = Writer::new(Vec::new(), "out", options, &table.schema()).unwrap();
        writer.write(&table)
    };
    for column in [&times, &object, &dates] {
        for format in [Format::Csv, Format::JsonLines] {
            let message = write(format, column).unwrap_err().to_string();
            let expected = "out: the column \"odd\" has a value without a text: ";
            assert!(message.starts_with(expected), "{format}: {message}");
            assert!(message.contains("choose the format parquet or arrow"), "{message}");
        }
        for format in [Format::Parquet, Format::Arrow] {
            write(format, column).unwrap();
        }
    }
}

#[test]
fn a_column_that_a_format_does_not_hold_is_named_before_there_are_rows() {
    let mut counts = MapBuilder::new(None, Int32Builder::new(), StringBuilder::new());
    counts.keys().append_value(1);
    counts.values().append_value("a");
    counts.append(true).unwrap();
    let counts: ArrayRef = Arc::new(counts.finish());
    let fields = [Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)];
    let fields: UnionFields = (0..).zip(fields.map(Arc::new)).collect();
    let children: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["x"]))];
    let either: ArrayRef = Arc::new(UnionArray::try_new(fields, vec![0].into(), None, children).unwrap());
    for (column, format, is_held) in [
        (&counts, Format::JsonLines, false),
        (&counts, Format::Csv, false),
        (&counts, Format::Parquet, true),
        (&counts, Format::Arrow, true),
        (&either, Format::JsonLines, false),
        (&either, Format::Csv, true),
        (&either, Format::Parquet, false),
        (&either, Format::Arrow, true),
    ] {
        let compression = Compression::Zstd;
        let options = WriteOptions { format, compression, arrow_stream: true, formulas: Formulas::Keep };
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let table = RecordBatch::try_from_iter([("id", ids), ("odd", column.clone())]).unwrap();
        let checked = options.check("out", &table.schema()).map_err(|error| error.to_string());
        let others = if format == Format::Parquet { "arrow" } else { "parquet or arrow" };
        let refused = format!(
            "out: {format} has no form for the column \"odd\", which is {}; choose the format {others}, or leave the \
             column out",
            column.data_type()
        );
        assert_eq!(checked, if is_held { Ok(()) } else { Err(refused) });
        let write = AssertUnwindSafe(|| {
            let mut writer = Writer::new(Vec::new(), "out", options, &table.schema())?;
            writer.write(&table)?;
            writer.finish()
        });
        assert_eq!(
            matches!(catch_unwind(write), Ok(Ok(_))),
            is_held,
            "{format}: the check tells what writing does"
        );
    }
}

/// A type that the check refuses by mistake could no longer be written.
#[test]
fn columns_of_usual_types_pass_the_check() {
    let item = |kind| Arc::new(Field::new("item", kind, false));
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let pair = || vec![Field::new("k", DataType::Utf8, false), Field::new("v", time(), false)];
    let kinds = [
        DataType::Null,
        DataType::Boolean,
        DataType::UInt64,
        DataType::Float16,
        DataType::Utf8View,
        DataType::LargeUtf8,
        DataType::Binary,
        DataType::BinaryView,
        DataType::FixedSizeBinary(3),
        DataType::Date32,
        DataType::Date64,
        DataType::Time32(TimeUnit::Second),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Duration(TimeUnit::Microsecond),
        DataType::Interval(IntervalUnit::YearMonth),
        DataType::Decimal128(10, 2),
        DataType::Decimal256(50, 2),
        time(),
        DataType::List(item(time())),
        DataType::LargeList(item(DataType::Utf8)),
        DataType::FixedSizeList(item(DataType::Float32), 4),
        DataType::Struct(pair().into()),
        DataType::Map(item(DataType::Struct(pair().into())), false),
        DataType::Dictionary(Box::new(DataType::Int8), Box::new(time())),
        DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", DataType::Utf8, true)),
        ),
    ];
    for format in [Format::Csv, Format::Tsv, Format::JsonLines, Format::Parquet, Format::Arrow] {
        let options = WriteOptions {
            format,
            compression: Compression::Gzip,
            arrow_stream: false,
            formulas: Formulas::Keep,
        };
        for kind in &kinds {
            let schema = Schema::new(vec![Field::new("x", kind.clone(), false)]);
            assert_eq!(options.check("out", &schema).map_err(|error| error.to_string()), Ok(()));
        }
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

//! Reading tables of every format, and everything that can be wrong with them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use midashi_table::{
    BadRow, Batch, Encoding, Format, ReadOptions, Reader, Result, RowGroups, Table, row_groups,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

fn folder_with(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read_as(name: &str, bytes: &[u8], options: &ReadOptions) -> Result<(RecordBatch, Vec<u64>, Vec<BadRow>)> {
    let (_folder, path) = folder_with(name, bytes);
    collect(Table::open(&path, options)?)
}

fn collect(reader: Reader) -> Result<(RecordBatch, Vec<u64>, Vec<BadRow>)> {
    let schema = reader.schema();
    let batches: Vec<Batch> = reader.collect::<Result<_>>()?;
    let rows = concat_batches(&schema, batches.iter().map(|batch| &batch.rows)).unwrap();
    let numbers = batches.iter().flat_map(|batch| batch.numbers.clone()).collect();
    Ok((rows, numbers, batches.into_iter().flat_map(|batch| batch.bad).collect()))
}

/// The texts of a table, whose rows are all read.
fn texts(name: &str, bytes: &[u8]) -> Vec<Vec<String>> {
    let (rows, _, bad) = read_as(name, bytes, &ReadOptions::default()).unwrap();
    assert_eq!(bad, []);
    texts_of(&rows)
}

fn texts_of(rows: &RecordBatch) -> Vec<Vec<String>> {
    let column = |at: usize| rows.column(at).as_string::<i32>();
    let cell = |row, at: usize| {
        let text = if column(at).is_valid(row) { column(at).value(row) } else { "∅" };
        text.to_owned()
    };
    (0..rows.num_rows()).map(|row| (0..rows.num_columns()).map(|at| cell(row, at)).collect()).collect()
}

fn names(rows: &RecordBatch) -> Vec<String> {
    rows.schema().fields().iter().map(|field| field.name().clone()).collect()
}

fn message(name: &str, bytes: &[u8]) -> String {
    message_with(name, bytes, &ReadOptions::default())
}

fn message_with(name: &str, bytes: &[u8], options: &ReadOptions) -> String {
    read_as(name, bytes, options).map(|(rows, ..)| rows).unwrap_err().to_string()
}

/// What `pandas.read_csv(..., dtype=str, keep_default_na=False)` reads from the same bytes (tests/parity/tables.py).
#[test]
fn quotes_line_feeds_and_delimiters_inside_quotes_are_read_as_pandas_does() {
    let csv = "id,text\n1,\"a,b\"\n2,\"say \"\"hi\"\"\"\n3,\"one\ntwo\"\n4,mid\"quote\n5,\"\"\n6, padded \n";
    assert_eq!(
        texts("a.csv", csv.as_bytes()),
        [
            ["1", "a,b"],
            ["2", "say \"hi\""],
            ["3", "one\ntwo"],
            ["4", "mid\"quote"],
            ["5", ""],
            ["6", " padded "]
        ]
    );
}

#[test]
fn all_line_ends_and_a_byte_order_mark_make_no_difference() {
    let unix = "text,label\n見出し,a\n\"引用\",b\n\n三,c";
    let expected = [["見出し", "a"], ["引用", "b"], ["三", "c"]];
    for line_end in ["\n", "\r\n", "\r"] {
        for mark in ["", "\u{feff}", "\u{feff}\u{feff}"] {
            let csv = format!("{mark}{}", unix.replace('\n', line_end));
            assert_eq!(texts("a.csv", csv.as_bytes()), expected, "{line_end:?} {mark:?}");
        }
    }
    let quoted = "text\r\n\"a\r\nb\"\r\n";
    assert_eq!(texts("a.csv", quoted.as_bytes()), [["a\r\nb"]], "line ends inside quotes are text");
}

#[test]
fn the_delimiter_is_recognised_or_given() {
    for (delimiter, name) in
        [(',', "a.csv"), (';', "a.csv"), ('\t', "a.csv"), ('|', "a.csv"), ('\t', "a.tsv")]
    {
        let csv = "text,label\n\"x;y|z,\",a\nb,c\n".replace(',', &delimiter.to_string());
        let read = texts(name, csv.as_bytes());
        assert_eq!(read[1], ["b", "c"], "{delimiter:?}");
    }
    let one_column = texts("a.csv", "text\na;b\nc\n".as_bytes());
    assert_eq!(one_column, [["a;b"], ["c"]], "the header has one column");
    let options = ReadOptions { delimiter: Some(b':'), ..ReadOptions::default() };
    let (rows, ..) = read_as("a.csv", b"text:label\na,:b\n", &options).unwrap();
    assert_eq!(texts_of(&rows), [["a,", "b"]]);
}

#[test]
fn an_empty_name_of_a_column_becomes_its_number() {
    let (rows, ..) = read_as("a.csv", b",text\n0,a\n", &ReadOptions::default()).unwrap();
    assert_eq!(names(&rows), ["column_1", "text"]);
}

#[test]
fn a_ragged_row_is_bad_with_its_number_and_line() {
    for line_end in ["\n", "\r\n", "\r"] {
        let csv = "text,label\n\"one\ntwo\",a\nb\n\nc,d,e\nf,g\n".replace('\n', line_end);
        let (rows, numbers, bad) = read_as("a.csv", csv.as_bytes(), &ReadOptions::default()).unwrap();
        assert_eq!(numbers, [1, 4], "{line_end:?}");
        assert_eq!(rows.num_rows(), 2);
        assert_eq!(
            bad.iter().map(|bad| (bad.number, bad.line)).collect::<Vec<_>>(),
            [(2, Some(4)), (3, Some(6))]
        );
        assert_eq!(
            bad[0].to_string(),
            "row 2 (line 4): has 1 fields, the header has 2; a field with the delimiter or a line feed needs quotes"
        );
    }
}

#[test]
fn an_unclosed_quote_is_an_error_with_its_line() {
    let text = message("a.csv", b"text,label\na,b\n\"c,d\ne,f\n");
    assert!(text.contains("a.csv: cannot read: the quote in line 3 is not closed"), "{text}");
    let mut endless = b"text\n\"".to_vec();
    endless.resize(70 << 20, b'x');
    let text = message("a.csv", &endless);
    assert!(text.contains("the row that begins in line 2 is longer than 64 MiB"), "{text}");
    assert!(text.contains("the quote in line 2 is perhaps not closed"), "{text}");
}

#[test]
fn a_header_must_name_each_column_once() {
    assert!(message("a.csv", b"").ends_with("is empty; expected a header with the columns' names"));
    let text = message("a.csv", b"text,text\n");
    assert!(text.ends_with("the header names the column \"text\" twice; expected unique names"), "{text}");
}

#[test]
fn another_encoding_is_named_and_converted_on_request() {
    let text = "text,label\n新型スマホが発売された,家電\n日本代表の勝利,スポーツ\n";
    for (label, found, setting) in [("shift_jis", "Shift_JIS", "shift_jis"), ("euc-jp", "EUC-JP", "euc-jp")] {
        let encoding = Encoding::for_label(label.as_bytes()).unwrap();
        let bytes = encoding.encode(text).0;
        let options = ReadOptions { encoding_setting: "corpus.encoding", ..ReadOptions::default() };
        let refusal = message_with("a.csv", &bytes, &options);
        assert!(
            refusal.ends_with(&format!(
                "a.csv: is encoded in {found}, expected UTF-8; set corpus.encoding to \"{setting}\" to convert it"
            )),
            "{refusal}"
        );
        let options = ReadOptions { encoding: Some(encoding), ..ReadOptions::default() };
        let (rows, _, bad) = read_as("a.csv", &bytes, &options).unwrap();
        assert_eq!((rows.num_rows(), bad.len()), (2, 0));
        assert_eq!(texts_of(&rows)[0], ["新型スマホが発売された", "家電"]);
    }
    for (label, bytes) in [
        ("utf-16le", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
        ("utf-16be", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ] {
        let marks: [&[u8]; 2] = [b"", if label == "utf-16le" { b"\xff\xfe" } else { b"\xfe\xff" }];
        for mark in marks {
            let bytes = [mark, &bytes].concat();
            let refusal = message("a.csv", &bytes);
            assert!(refusal.contains("is encoded in UTF-16") && refusal.contains(label), "{refusal}");
            let encoding = Encoding::for_label(label.as_bytes());
            let (rows, ..) =
                read_as("a.csv", &bytes, &ReadOptions { encoding, ..ReadOptions::default() }).unwrap();
            assert_eq!(names(&rows), ["text", "label"]);
            assert_eq!(texts_of(&rows)[1], ["日本代表の勝利", "スポーツ"]);
        }
    }
}

#[test]
fn utf8_with_broken_bytes_is_not_taken_for_another_encoding() {
    let csv = ["text\n見出し\n".as_bytes(), b"\x82\xa0\n"].concat();
    let (_, numbers, bad) = read_as("a.csv", &csv, &ReadOptions::default()).unwrap();
    assert_eq!((numbers, bad.len()), (vec![1], 1), "0x82 0xa0 is あ in Shift_JIS");
    assert!(bad[0].reason.contains("if it is Shift_JIS"), "{}", bad[0]);
}

#[test]
fn utf16_is_told_from_a_stray_zero_byte() {
    let ascii: Vec<u8> = "text,label\na,b\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(message("a.csv", &ascii).contains("is encoded in UTF-16 (little-endian)"));
    assert_eq!(texts("a.csv", b"text,label\nplain text,a\0b\n"), [["plain text", "a\0b"]]);
}

#[test]
fn a_row_that_is_not_utf8_is_bad() {
    let mut csv = b"text,label\na,b\n".to_vec();
    csv.extend(b"\x80\xff\xfe,b\nc,d\n");
    let (_, numbers, bad) = read_as("a.csv", &csv, &ReadOptions::default()).unwrap();
    assert_eq!(numbers, [1, 3]);
    assert_eq!(bad[0].to_string(), "row 2 (line 3): column \"text\" is not UTF-8 (byte 0x80 at offset 0)");
    // Japanese text after a long beginning of ASCII: the encoding is named with the row.
    let mut late = b"text\n".to_vec();
    (0..30_000).for_each(|_| late.extend(b"plain text\n"));
    late.extend(Encoding::for_label(b"shift_jis").unwrap().encode("見出し").0.iter());
    let (_, numbers, bad) = read_as("a.csv", &late, &ReadOptions::default()).unwrap();
    assert_eq!((numbers.len(), bad.len()), (30_000, 1));
    assert!(bad[0].reason.contains("if it is Shift_JIS, set encoding to \"shift_jis\""), "{}", bad[0]);
}

#[test]
fn bytes_that_the_given_encoding_does_not_have_make_a_bad_row() {
    let encoding = Encoding::for_label(b"shift_jis");
    let options = ReadOptions { encoding, ..ReadOptions::default() };
    let (rows, _, bad) = read_as("a.csv", b"text\n\x8c\xa9\n\xfd\xfd\nb\n", &options).unwrap();
    assert_eq!(texts_of(&rows), [["見"], ["b"]]);
    assert_eq!(bad[0].to_string(), "row 2 (line 3): column \"text\" holds bytes that are not Shift_JIS");
}

#[test]
fn json_lines_have_the_keys_of_all_rows() {
    let json = "{\"text\":\"a\",\"n\":1}\n\n{\"text\":\"b\",\"n\":2.5,\"tags\":[\"x\"]}\r\n{\"late\":true}\n";
    let (rows, numbers, bad) = read_as("a.jsonl", json.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!((names(&rows), bad), (["text", "n", "tags", "late"].map(String::from).to_vec(), vec![]));
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(rows.column(1).data_type(), &DataType::Float64);
    assert_eq!(rows.column(2).null_count(), 2);
    assert!(rows.column(3).as_boolean().value(2));
}

#[test]
fn json_values_of_different_kinds_in_one_column_become_texts() {
    let json = b"{\"label\":1}\n{\"label\":\"b\"}\n{\"label\":{\"x\":[1]}}\n{\"label\":null}\n";
    assert_eq!(texts("a.jsonl", json), [["1"], ["b"], ["{\"x\":[1]}"], ["∅"]]);
}

/// The only column of JSON Lines of the key `n`.
fn numbers(values: &[&str]) -> ArrayRef {
    let json: String = values.iter().map(|value| format!("{{\"n\":{value}}}\n")).collect();
    let (rows, _, bad) = read_as("a.jsonl", json.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!((bad, rows.num_rows()), (vec![], values.len()), "{values:?}");
    rows.column(0).clone()
}

#[test]
fn no_integer_of_json_is_rounded() {
    // Hashes of 64 bits without a sign, one of them above the largest i64.
    let unsigned =
        numbers(&["17293822569102704641", "9007199254740993", "null", "0", "18446744073709551615"]);
    let expected = [Some(17293822569102704641), Some(9007199254740993), None, Some(0), Some(u64::MAX)];
    assert_eq!(unsigned.as_primitive::<UInt64Type>().iter().collect::<Vec<_>>(), expected);
    let signed = numbers(&["-9223372036854775808", "9223372036854775807"]);
    assert_eq!(signed.as_primitive::<Int64Type>().values(), &[i64::MIN, i64::MAX]);
    let floats = numbers(&["9007199254740992", "0.5", "-9007199254740992", "1e300"]);
    let expected = [9007199254740992.0, 0.5, -9007199254740992.0, 1e300];
    assert_eq!(floats.as_primitive::<Float64Type>().values(), &expected);
    for texts in [
        &["9007199254740993", "0.5"],
        &["0.5", "9007199254740993"],
        &["-9007199254740993", "0.5"],
        &["17293822569102704641", "0.5"],
        &["17293822569102704641", "-1"],
        &["-1", "17293822569102704641"],
        &["18446744073709551616", "7"],
        &["7", "-9223372036854775809"],
    ] {
        let column = numbers(texts);
        assert_eq!(column.as_string::<i32>().iter().map(Option::unwrap).collect::<Vec<_>>(), texts.to_vec());
    }
    let within = numbers(&["[9007199254740993,2]", "[0.5]"]);
    let items = within.as_list::<i32>().values().as_string::<i32>().iter().map(Option::unwrap);
    assert_eq!(items.collect::<Vec<_>>(), ["9007199254740993", "2", "0.5"]);
    let within = numbers(&["{\"id\":17293822569102704641}", "{\"id\":1}"]);
    let ids = within.as_struct().column(0).as_primitive::<UInt64Type>().values().to_vec();
    assert_eq!(ids, [17293822569102704641, 1]);
}

#[test]
fn a_stream_of_json_refuses_an_integer_that_its_columns_would_round() {
    let reasons = |first: &str, later: &str| {
        let json = format!("{{\"n\":{first}}}\n").repeat(1000) + &format!("{{\"n\":{later}}}\n");
        let options = ReadOptions::default();
        let reader = Table::from_reader(std::io::Cursor::new(json), "standard input", &options).unwrap();
        let (_, _, bad) = collect(reader).unwrap();
        bad.into_iter().map(|bad| bad.reason).collect::<Vec<_>>()
    };
    assert_eq!(
        reasons("0.5", "9007199254740993"),
        [
            "\"n\" is the number 9007199254740993, expected Float64, which holds no integers beyond 2^53, as in the \
             rows before"
        ]
    );
    assert_eq!(
        reasons("1", "17293822569102704641"),
        ["\"n\" is the number 17293822569102704641, expected Int64 as in the rows before"]
    );
    assert_eq!(
        reasons("1", "18446744073709551616"),
        ["\"n\" is the number or text 18446744073709551616, expected Int64 as in the rows before"]
    );
    assert_eq!(
        reasons("{\"a\":1}", "{\"a\":1,\"b\":2}"),
        ["\"n\" is an object, expected an object of the same keys and types as in the rows before"]
    );
    assert_eq!(reasons("0.5", "9007199254740992"), [""; 0]);
}

#[test]
fn json_has_a_bound_of_keys() {
    let row = |keys: std::ops::Range<usize>| {
        let keys: Vec<String> = keys.map(|key| format!("\"k{key}\":{{\"x\":1}}")).collect();
        format!("{{{}}}\n", keys.join(","))
    };
    let most = row(0..500) + &row(500..512);
    let (rows, ..) = read_as("a.jsonl", most.as_bytes(), &ReadOptions::default()).unwrap();
    assert_eq!(rows.num_columns(), 512, "each with a field");
    let expected = "row 4 (line 5): has the key \"k512\", which is one more than 1024 different keys; expected at \
                    most 1024 in all rows, with those of objects within them; write keys that are data as an array or \
                    a text, or leave keys out";
    let more = most + "not JSON\n\n" + &row(510..514);
    let text = message("a.jsonl", more.as_bytes());
    assert!(text.ends_with(&format!("a.jsonl: {expected}")), "{text}");
    let stream = Table::from_reader(std::io::Cursor::new(more), "standard input", &ReadOptions::default());
    assert_eq!(stream.unwrap_err().to_string(), format!("standard input: {expected}"));
}

/// A path such as `<(jq …)` gives: each opening of it reads on where the last one ended.
#[cfg(unix)]
#[test]
fn a_pipe_with_a_path_is_read_once() {
    use std::os::fd::AsRawFd;
    let (reader, mut writer) = std::io::pipe().unwrap();
    let writing = std::thread::spawn(move || {
        (0..20_000).for_each(|at| writeln!(writer, "{{\"n\":{at},\"text\":\"見出し\"}}").unwrap());
    });
    let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let options = ReadOptions { format: Some(Format::JsonLines), ..ReadOptions::default() };
    let table = Table::open(&path, &options).unwrap();
    drop(reader);
    let (rows, numbers, bad) = collect(table).unwrap();
    writing.join().unwrap();
    assert_eq!((bad, numbers.len()), (vec![], 20_000));
    let read = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(read, (0..20_000).collect::<Vec<i64>>());
}

#[test]
fn json_that_does_not_parse_is_a_bad_row() {
    let json = b"{\"text\":\"a\"}\n{\"text\":\n[1]\n\xff\n{\"text\":\"b\"}\n";
    let (rows, numbers, bad) = read_as("a.jsonl", json, &ReadOptions::default()).unwrap();
    assert_eq!((texts_of(&rows), numbers), (vec![vec!["a".to_owned()], vec!["b".to_owned()]], vec![1, 5]));
    let reasons: Vec<String> = bad.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        [
            "row 2 (line 2): is not JSON: EOF while parsing a value at column 8; expected one object a line",
            "row 3 (line 3): is an array, expected a JSON object",
            "row 4 (line 4): is not UTF-8 (byte 0xff at offset 0)",
        ]
    );
    let array = message("a.json", b"\n [{\"text\":\"a\"}]");
    assert!(array.contains("is a JSON array; expected JSON Lines"), "{array}");
}

#[test]
fn a_stream_of_json_has_the_columns_of_its_beginning() {
    let mut json: Vec<u8> = (0..1000).flat_map(|at| format!("{{\"n\":{at}}}\n").into_bytes()).collect();
    json.extend(b"{\"n\":1,\"late\":2}\n{\"n\":\"x\"}\n{\"n\":7}\n");
    let reader =
        Table::from_reader(std::io::Cursor::new(json), "standard input", &ReadOptions::default()).unwrap();
    let (rows, numbers, bad) = collect(reader).unwrap();
    assert_eq!((rows.num_rows(), numbers.last()), (1001, Some(&1003)));
    assert_eq!(rows.column(0).as_primitive::<Int64Type>().value(999), 999);
    assert!(
        bad[0].reason.starts_with("has the key \"late\", which the first 1000 rows do not have"),
        "{}",
        bad[0]
    );
    assert_eq!(bad[1].reason, "\"n\" is a text, expected Int64 as in the rows before");
}

#[test]
fn every_line_is_a_row_even_an_empty_one() {
    assert_eq!(texts("a.txt", "\u{feff}一\r\n\n三".as_bytes()), [["一"], [""], ["三"]]);
    assert_eq!(texts("a.txt", "\u{feff}\u{feff}一\r\r三\r\n四\r".as_bytes()), [["一"], [""], ["三"], ["四"]]);
    let stream = Table::from_reader("一\n\n".as_bytes(), "standard input", &ReadOptions::default()).unwrap();
    assert_eq!(stream.format(), Format::Lines);
    assert_eq!(collect(stream).unwrap().0.num_rows(), 2);
    let nothing = Table::from_reader(&b""[..], "standard input", &ReadOptions::default()).unwrap();
    assert_eq!(collect(nothing).unwrap().0.num_rows(), 0);
}

fn sample() -> RecordBatch {
    let texts: Vec<String> = (0..10).map(|at| format!("見出し{at}")).collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("text", Arc::new(StringArray::from(texts))),
        ("label", Arc::new(Int64Array::from_iter_values(0..10))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn write_parquet(path: &Path) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(4)).build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), sample().schema(), Some(properties)).unwrap();
    writer.write(&sample()).unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_is_read_by_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path);
    let RowGroups { groups, footer } = row_groups(&path).unwrap();
    let (bytes, length) = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().len());
    assert_eq!((groups.len(), groups[0].start, footer.end), (3, 4, length), "after the magic, to the end");
    assert!(groups.windows(2).all(|pair| pair[0].end == pair[1].start) && groups[2].end <= footer.start);
    let size = u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap());
    assert_eq!(footer.end - footer.start, u64::from(size) + 8);
    let options = ReadOptions { batch_rows: 3, ..ReadOptions::default() };
    let reader = Table::open(&path, &options).unwrap();
    assert_eq!(reader.total(), Some(10));
    let (rows, numbers, _) = collect(reader).unwrap();
    assert_eq!((rows, numbers), (sample(), (1..=10).collect()));
    let options = ReadOptions { row_groups: Some(1..3), ..options };
    let (rows, numbers, _) = collect(Table::open(&path, &options).unwrap()).unwrap();
    assert_eq!((rows, numbers), (sample().slice(4, 6), (5..=10).collect()));
    let mut shard = Table::open(&path, &options).unwrap();
    let shown: Vec<_> = std::iter::from_fn(|| shard.next().map(|_| shard.fraction().unwrap())).collect();
    assert_eq!((shard.total(), shown), (Some(6), vec![0.5, 1.0]), "of the rows that are read");
    let options = ReadOptions { row_groups: Some(1..4), ..options };
    let text = Table::open(&path, &options).unwrap_err().to_string();
    assert!(text.ends_with("has 3 row groups; expected at least 4"), "{text}");

    let stream =
        Table::from_reader(File::open(&path).unwrap(), "standard input", &ReadOptions::default()).unwrap();
    assert_eq!(collect(stream).unwrap().0, sample(), "by its first bytes, from a stream");
    let bytes = fs::read(&path).unwrap();
    let broken = message("b.parquet", &bytes[..bytes.len() / 2]);
    assert!(broken.contains("b.parquet: is broken, or not Parquet"), "{broken}");
    let misnamed = message("a.csv", &bytes);
    assert!(misnamed.contains("is Parquet, but is read as csv"), "{misnamed}");
}

#[test]
fn arrow_files_and_streams_are_recognised() {
    let mut file = FileWriter::try_new(Vec::new(), &sample().schema()).unwrap();
    file.write(&sample()).unwrap();
    file.write(&sample()).unwrap();
    let file = file.into_inner().unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &sample().schema()).unwrap();
    stream.write(&sample()).unwrap();
    stream.write(&sample()).unwrap();
    let stream = stream.into_inner().unwrap();
    let twice = concat_batches(&sample().schema(), &[sample(), sample()]).unwrap();
    let options = ReadOptions { batch_rows: 7, ..ReadOptions::default() };
    for bytes in [&file, &stream] {
        let (rows, numbers, _) = read_as("a.arrow", bytes, &options).unwrap();
        assert_eq!((&rows, numbers), (&twice, (1..=20).collect()));
        let piped = std::io::Cursor::new(bytes.clone());
        let piped = Table::from_reader(piped, "standard input", &options).unwrap();
        assert_eq!(collect(piped).unwrap().0, twice);
        let text = message("a.arrow", &bytes[..bytes.len() / 2]);
        assert!(text.contains("is broken"), "{text}");
    }
}

#[test]
fn compressed_files_are_read_and_broken_ones_named() {
    let csv = "text,label\n見出し,a\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(csv.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(csv.as_bytes(), 3).unwrap();
    for (name, bytes) in [("a.csv.gz", &gzip), ("a.csv.zst", &zstd)] {
        assert_eq!(texts(name, bytes), [["見出し", "a"]]);
        // Two members, as `cat` joins them.
        let twice = [bytes.as_slice(), bytes].concat();
        assert_eq!(texts(name, &twice).len(), 3);
        let text = message(name, &bytes[..bytes.len() - 5]);
        assert!(text.contains(name) && text.contains("cannot "), "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write_parquet(&path);
    let compressed = zstd::encode_all(File::open(&path).unwrap(), 3).unwrap();
    assert_eq!(read_as("a.parquet.zst", &compressed, &ReadOptions::default()).unwrap().0, sample());
}

#[test]
fn a_file_without_a_known_name_or_beginning_is_refused() {
    let text = message("a.xlsx", b"whatever");
    assert!(text.contains("a.xlsx: the name shows no format; expected .csv, .tsv"), "{text}");
    assert!(message("a.csv", b"PK\x03\x04").contains("a zip archive or an Excel workbook"));
    let folder = tempfile::tempdir().unwrap();
    let text = Table::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(text.ends_with("is a folder; expected a file"), "{text}");
    let text = Table::open(&folder.path().join("no.csv"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(text.contains("no.csv: cannot open"), "{text}");
}

#[test]
fn batches_are_bounded_in_rows_and_in_bytes() {
    let rows = |count: usize, length: usize| {
        let line = "x".repeat(length) + "\n";
        format!("text\n{}", line.repeat(count))
    };
    let sizes = |csv: &str, batch_rows| {
        let (_folder, path) = folder_with("a.csv", csv.as_bytes());
        let reader = Table::open(&path, &ReadOptions { batch_rows, ..ReadOptions::default() }).unwrap();
        reader.map(|batch| batch.unwrap().numbers.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&rows(5, 3), 2), [2, 2, 1]);
    assert_eq!(sizes(&rows(20, 1 << 20), 4096), [8, 8, 4]);
}

#[test]
fn rows_that_cannot_be_read_count_towards_a_batch() {
    let sizes = |name: &str, bytes: &[u8]| {
        let (_folder, path) = folder_with(name, bytes);
        let reader = Table::open(&path, &ReadOptions { batch_rows: 4, ..ReadOptions::default() }).unwrap();
        let size = |batch: Batch| (batch.numbers.len(), batch.bad.len());
        reader.map(|batch| size(batch.unwrap())).collect::<Vec<_>>()
    };
    let ragged = format!("a,b\n{}x,y\n", "1\n".repeat(9));
    assert_eq!(sizes("a.csv", ragged.as_bytes()), [(0, 4), (0, 4), (1, 1)]);
    let broken = "{\n".repeat(9) + "{\"a\":1}\n";
    assert_eq!(sizes("a.jsonl", broken.as_bytes()), [(0, 4), (0, 4), (1, 1)]);
    let not_utf8 = [b"\xff\n".repeat(9), b"a\n".to_vec()].concat();
    assert_eq!(sizes("a.txt", &not_utf8), [(0, 4), (0, 4), (1, 1)]);
    // 2,000 empty fields are 2,000 bytes: 8 MiB are 4,195 rows.
    let empty = format!("{}\n", ",".repeat(1999));
    let header: Vec<String> = (0..2000).map(|at| format!("c{at}")).collect();
    let wide = format!("{}\n{}", header.join(","), empty.repeat(4200));
    let (_folder, path) = folder_with("a.csv", wide.as_bytes());
    let options = ReadOptions { batch_rows: 1_000_000, ..ReadOptions::default() };
    let rows = Table::open(&path, &options).unwrap().map(|batch| batch.unwrap().numbers.len());
    assert_eq!(rows.collect::<Vec<_>>(), [4195, 5]);
}

#[test]
fn progress_is_the_part_that_was_read() {
    let csv = format!("text\n{}", "見出し\n".repeat(200_000));
    let (_folder, path) = folder_with("a.csv", csv.as_bytes());
    let mut reader = Table::open(&path, &ReadOptions::default()).unwrap();
    let first = reader.fraction().unwrap();
    reader.by_ref().take(10).for_each(drop);
    let later = reader.fraction().unwrap();
    reader.by_ref().for_each(drop);
    assert!(first < later && later < 1.0, "{first} {later}");
    assert_eq!(reader.fraction(), Some(1.0));
}

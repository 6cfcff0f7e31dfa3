//! `midashi-predict` with tables: every format in and out, rows that cannot be classified, shards.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int32Builder, Int64Array, MapBuilder, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use flate2::write::GzEncoder;
use midashi_runtime::int8_weight_bits;
use midashi_table::{Compression, Format, Formulas, ReadOptions, Table, WriteOptions, Writer};
use midashi_tests::{Invocation, Outcome, Run, STAGES, Shared, binary, folder, root};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

/// Titles with a comma, quotes, a line feed; one is empty and one is missing.
const TITLES: [Option<&str>; 6] = [
    Some("逆転勝利の日本代表、監督が語る涙の理由"),
    Some("週末に観たい\n映画の予告編が公開"),
    Some(""),
    Some("\"新型\"スマホ, 発売"),
    None,
    Some("逆転勝利の日本代表、監督が語る涙の理由"),
];

/// `midashi-predict` with the bundled model.
fn predict<A: AsRef<str>>(arguments: impl IntoIterator<Item = A>) -> Invocation {
    predict_with(&root().join("tests/fixtures/model"), arguments)
}

fn predict_with<A: AsRef<str>>(model: &Path, arguments: impl IntoIterator<Item = A>) -> Invocation {
    let run = Run::sample(folder().path(), "none").set("evaluate.device=cpu");
    run.stage("predict").arguments(["--model", model.to_str().unwrap()]).arguments(arguments)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn articles() -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(1..=TITLES.len() as i64));
    let titles: ArrayRef = Arc::new(StringArray::from(TITLES.to_vec()));
    let notes: ArrayRef = Arc::new(StringArray::from_iter_values(TITLES.map(|_| "残す")));
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("title", titles, true),
        ("note", notes, true),
    ])
    .unwrap()
}

/// Writes a table in the format that the file's name shows; `.arrows` is a stream.
fn write(path: PathBuf, rows: &RecordBatch) -> PathBuf {
    let (format, compression) = Format::of_path(&path).unwrap();
    let arrow_stream = path.extension().unwrap() == "arrows";
    let options = WriteOptions { format, compression, arrow_stream, formulas: Formulas::Keep };
    let mut writer = Writer::new(fs::File::create(&path).unwrap(), "test", options, &rows.schema()).unwrap();
    writer.write(rows).unwrap();
    writer.finish().unwrap();
    path
}

/// A table's rows as JSON.
fn rows(path: &Path) -> Vec<Value> {
    let reader = Table::open(path, &ReadOptions::default()).unwrap();
    let options = WriteOptions {
        format: Format::JsonLines,
        compression: Compression::None,
        arrow_stream: true,
        formulas: Formulas::Keep,
    };
    let mut writer = Writer::new(Vec::new(), "test", options, &reader.schema()).unwrap();
    for batch in reader {
        writer.write(&batch.unwrap().rows).unwrap();
    }
    json_lines(&String::from_utf8(writer.finish().unwrap()).unwrap())
}

fn json_lines(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The values of a column.
fn column(rows: &[Value], name: &str) -> Vec<Value> {
    rows.iter().map(|row| row[name].clone()).collect()
}

/// Predictions for the articles, as JSON Lines.
fn predicted(options: &[&str]) -> Vec<Value> {
    let folder = folder();
    let input = write(folder.path().join("in.parquet"), &articles());
    let outcome = predict(["--input", text(&input)]).arguments(options).succeeds();
    json_lines(&outcome.stdout)
}

#[test]
fn every_input_format_gives_the_same_predictions() {
    let folder = folder();
    let expected = predicted(&[]);
    assert_eq!(column(&expected, "id"), [1, 2, 3, 4, 5, 6]);
    let names =
        ["in.csv", "in.tsv", "in.jsonl", "in.parquet", "in.arrow", "in.arrows", "in.csv.gz", "in.jsonl.zst"];
    for name in names {
        let input = write(folder.path().join(name), &articles());
        let found = json_lines(&predict(["--input", text(&input)]).succeeds().stdout);
        for name in ["predicted", "probability", "note"] {
            assert_eq!(column(&found, name), column(&expected, name), "{}", input.display());
        }
    }
    let shown = predict([TITLES[0].unwrap(), TITLES[3].unwrap(), "--format", "json"]).succeeds().stdout;
    let shown = json_lines(&shown);
    let categories = [&shown[0]["category"], &shown[1]["category"]];
    assert_eq!([&expected[0]["predicted"], &expected[3]["predicted"]], categories);
}

#[test]
fn standard_input_may_be_lines_json_lines_csv_or_an_arrow_stream() {
    let folder = folder();
    let of = |input: Vec<u8>, options: &[&str]| {
        let rows =
            json_lines(&predict(["--format", "jsonl"]).arguments(options).input(input).succeeds().stdout);
        column(&rows, "predicted")
    };
    let bytes = |name: &str| fs::read(write(folder.path().join(name), &articles())).unwrap();
    let expected = of(bytes("in.arrows"), &[]);
    assert_eq!(expected.iter().filter(|category| category.is_null()).count(), 2);
    assert_eq!(of(bytes("in.jsonl"), &[]), expected);
    assert_eq!(of(bytes("in.csv"), &["--input-format", "csv"]), expected);
    assert_eq!(of(bytes("in.csv.gz"), &["--input-format", "csv", "--input", "-"]), expected);
    let lines = format!("{}\n\n{}\n", TITLES[0].unwrap(), TITLES[3].unwrap());
    let lines = of(lines.into_bytes(), &[]);
    assert_eq!(lines, [expected[0].clone(), Value::Null, expected[3].clone()]);
}

#[test]
fn every_output_format_keeps_the_columns_and_adds_the_predictions() {
    let folder = folder();
    let input = write(folder.path().join("in.parquet"), &articles());
    let expected = predicted(&["--all"]);
    let keys: Vec<&String> = expected[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "title", "note", "predicted", "probability", "probabilities"]);
    for name in ["out.jsonl", "out.parquet", "out.arrow", "out.arrows", "out.jsonl.gz", "out.parquet.zst"] {
        let output = folder.path().join(name);
        let outcome = predict(["--input", text(&input), "--all", "--output", text(&output)]).succeeds();
        assert_eq!(outcome.stdout, "", "{name}");
        assert_eq!(rows(&output), expected, "{name}");
    }
    for name in ["out.csv", "out.tsv", "out.csv.gz"] {
        let output = folder.path().join(name);
        predict(["--input", text(&input), "--all", "--output", text(&output)]).succeeds();
        let found = rows(&output);
        let string = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for (found, expected) in found.iter().zip(&expected) {
            for name in ["id", "title", "note", "predicted"] {
                assert_eq!(string(&found[name]), string(&expected[name]), "{name}");
            }
            let category = string(&expected["predicted"]);
            assert_eq!(found[format!("probability_{category}")].is_null(), category.is_empty());
            if !category.is_empty() {
                assert_eq!(found["probability"], found[format!("probability_{category}")]);
            }
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn standard_output_takes_an_arrow_stream() {
    let folder = folder();
    let input = write(folder.path().join("in.csv"), &articles());
    let child = predict(["--input", text(&input), "--format", "arrow"]).starts();
    let output = child.wait_with_output().unwrap();
    let file = folder.path().join("out.arrows");
    fs::write(&file, output.stdout).unwrap();
    assert_eq!(column(&rows(&file), "predicted"), column(&predicted(&[]), "predicted"));
}

/// A run of the sample corpus, before `render`.
fn evaluated_run() -> &'static Run {
    static RUN: Shared<Run> = Shared::new();
    RUN.get(|artifacts| {
        let run = Run::sample(artifacts, "tables").small_model();
        let run = run
            .set("evaluate.baseline=false evaluate.device=cpu corpus.text=title+body tokenize.max_length=48");
        run.stages(&STAGES[..5]);
        run
    })
}

#[test]
fn predictions_are_those_of_evaluate() {
    let run = evaluated_run();
    let corpus = run.artifact("corpus.parquet");
    let outcome = run.stage("predict").arguments(["--input", text(&corpus), "--all"]).succeeds();
    let found = json_lines(&outcome.stdout);
    let (categories, predictions) = (run.tokens().categories, run.predictions());
    assert!(predictions.rows.len() > 200);
    for prediction in predictions.rows {
        let row = found.iter().find(|row| row["id"] == prediction.id.as_str()).unwrap();
        assert_eq!(row["predicted"], categories[prediction.predicted.index()].as_str());
        for (category, &expected) in categories.iter().zip(&prediction.probabilities) {
            let found = row["probabilities"][category].as_f64().unwrap() as f32;
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
    outcome.says("truncated");
    let ids: Vec<String> = run.corpus().articles.into_iter().map(|article| article.id).collect();
    assert_eq!(column(&found, "id"), ids, "the order of the corpus");
}

#[test]
fn the_order_is_kept_over_many_windows_and_lengths() {
    let folder = folder();
    let words = ["本", "映画", "勝利の日本代表", "新型スマホの発売日が決まる、予約は今日から"];
    let titles: Vec<String> =
        (0..5000).map(|number| format!("{}{number}", words[number % 4].repeat(1 + number % 3))).collect();
    let input = folder.path().join("in.txt");
    fs::write(&input, titles.join("\n")).unwrap();
    let outcome = predict(["--input", text(&input)]).succeeds();
    let found = json_lines(&outcome.says("5000 texts").stdout);
    assert_eq!(column(&found, "text"), titles);
    for number in [0, 1, 2046, 2049, 4999] {
        let alone = json_lines(&predict([&titles[number], "--format", "jsonl"]).succeeds().stdout);
        assert_eq!(alone[0]["predicted"], found[number]["predicted"]);
        let [one, other] = [&alone[0], &found[number]].map(|row| row["probability"].as_f64().unwrap());
        assert!((one - other).abs() < 1e-6, "{one} {other}");
    }
}

#[test]
fn an_empty_line_is_a_row_without_a_category() {
    let outcome = predict(["--format", "csv"]).input("本の話\n\n \u{3000}\n本の話\n").succeeds();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[0], "text,predicted,probability");
    assert_eq!(lines[2], ",,");
    assert_eq!(lines[3], " \u{3000},,");
    assert!(lines[1].starts_with("本の話,") && lines[1] == lines[4], "{lines:?}");
    outcome.says("4 texts").says("2 without words");
}

const RAGGED: &str = "id,title\n1,本の話\n2\n3,\"映画の\n予告編\"\n4,夏,秋\n5,新しい本\n";

#[test]
fn a_row_that_cannot_be_read_is_named_and_fatal_or_skipped() {
    let folder = folder();
    let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
    fs::write(&input, RAGGED).unwrap();
    fs::write(&output, "old").unwrap();
    let arguments = ["--input", text(&input), "--output", text(&output)];
    predict(arguments).fails_with(["in.csv: row 2 (line 3)", "has 1 fields", "--bad-rows skip"]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "old", "a failed run replaces nothing");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file is left");
    let outcome = predict(arguments).arguments(["--bad-rows", "skip"]).succeeds();
    outcome
        .says("skipped")
        .says("row 2 (line 3)")
        .says("row 4 (line 6)")
        .says("3 texts")
        .says("2 rows skipped");
    assert_eq!(column(&rows(&output), "id"), ["1", "3", "5"]);
}

#[test]
fn a_text_of_another_encoding_is_named_and_can_be_converted() {
    let folder = folder();
    let input = folder.path().join("in.csv");
    // 本の話 in Shift_JIS.
    fs::write(&input, b"title\n\x96\x7b\x82\xcc\x98\x62\n").unwrap();
    let refused = predict(["--input", text(&input)]).fails_with(["in.csv", "--encoding"]);
    assert!(refused.printed().to_lowercase().contains("shift_jis"), "{}", refused.printed());
    let outcome = predict(["--input", text(&input), "--encoding", "shift_jis"]).succeeds();
    assert_eq!(json_lines(&outcome.stdout)[0]["title"], "本の話");
    predict(["--input", text(&input), "--encoding", "klingon"])
        .fails_with(["--encoding klingon: unknown encoding"]);
}

#[test]
fn ids_of_64_bits_without_a_sign_stay_as_they_are() {
    let folder = folder();
    let input = folder.path().join("in.jsonl");
    let ids = [9_007_199_254_740_993_u64, 17_293_822_569_102_704_641, 1];
    let lines: String = ids.map(|id| format!("{{\"id\":{id},\"title\":\"本の話\"}}\n")).concat();
    fs::write(&input, &lines).unwrap();
    let found = json_lines(&predict(["--input", text(&input)]).succeeds().stdout);
    assert_eq!(column(&found, "id"), ids);
    let parquet = folder.path().join("out.parquet");
    predict(["--input", text(&input), "--output", text(&parquet)]).succeeds();
    assert_eq!(column(&rows(&parquet), "id"), ids);
}

#[test]
fn a_pipe_with_a_path_gives_all_rows() {
    let folder = folder();
    let input = write(folder.path().join("in.jsonl"), &articles());
    let piped =
        predict(["--input", "/dev/stdin", "--input-format", "jsonl"]).input(fs::read(&input).unwrap());
    assert_eq!(json_lines(&piped.succeeds().stdout), predicted(&[]));
    // A shard's record has the digest of its files, for which a pipe would be read.
    let output = folder.path().join("out.jsonl");
    let piped = predict(["--input", "/dev/stdin", "--input-format", "jsonl", "--shard", "1/1"])
        .arguments(["--output", text(&output)])
        .input(fs::read(&input).unwrap());
    piped.succeeds();
    assert_eq!(rows(&folder.path().join("out-00001-of-00001.jsonl")), predicted(&[]));
}

#[test]
fn times_of_a_named_zone_are_written_in_utc() {
    let folder = folder();
    let titles: ArrayRef = Arc::new(StringArray::from(vec!["本の話"]));
    let times = TimestampMicrosecondArray::from(vec![1_709_210_096_000_000]);
    let times = |zone: &str| Arc::new(times.clone().with_timezone(zone)) as ArrayRef;
    let columns = [("title", titles), ("utc", times("UTC")), ("tokyo", times("Asia/Tokyo"))];
    let input = write(folder.path().join("in.parquet"), &RecordBatch::try_from_iter(columns).unwrap());
    let row = json_lines(&predict(["--input", text(&input)]).succeeds().stdout).remove(0);
    assert_eq!([&row["utc"], &row["tokyo"]], ["2024-02-29T12:34:56Z"; 2]);
    let csv = predict(["--input", text(&input), "--format", "csv"]).succeeds().stdout;
    assert!(csv.contains("\n本の話,2024-02-29T12:34:56Z,2024-02-29T12:34:56Z,"), "{csv}");
}

#[test]
fn a_column_that_the_output_does_not_hold_is_refused_before_the_model_is_loaded() {
    let folder = folder();
    let titles: ArrayRef = Arc::new(StringArray::from(vec!["本の話"]));
    let mut counts = MapBuilder::new(None, Int32Builder::new(), Int32Builder::new());
    counts.append(true).unwrap();
    let counts: ArrayRef = Arc::new(counts.finish());
    let table = RecordBatch::try_from_iter([("title", titles), ("counts", counts)]).unwrap();
    let input = write(folder.path().join("in.parquet"), &table);
    let refused = predict(["--input", text(&input)]).fails_with([
        "standard output: jsonl has no form for the column \"counts\"",
        "choose the format parquet or arrow",
    ]);
    refused.does_not_say("device");
    let output = folder.path().join("out.parquet");
    predict(["--input", text(&input), "--output", text(&output)]).succeeds().says("device");
}

#[test]
fn below_the_threshold_the_category_is_null_and_counted() {
    let all = predicted(&[]);
    let highest = all.iter().filter_map(|row| row["probability"].as_f64()).fold(0.0, f64::max);
    let threshold = highest.to_string();
    let folder = folder();
    let input = write(folder.path().join("in.parquet"), &articles());
    let outcome = predict(["--input", text(&input), "--threshold", &threshold]).succeeds();
    let found = json_lines(&outcome.stdout);
    assert_eq!(column(&found, "probability"), column(&all, "probability"), "the probability stays");
    let mut below = 0;
    for (found, before) in found.iter().zip(&all) {
        let is_sure = before["probability"].as_f64().is_some_and(|probability| probability >= highest);
        assert_eq!(found["predicted"], if is_sure { before["predicted"].clone() } else { Value::Null });
        below += usize::from(!is_sure && !before["probability"].is_null());
    }
    assert!(below > 0);
    outcome.says(&format!("{below} below the threshold"));
}

#[test]
fn the_best_categories_come_in_order() {
    let all = predicted(&["--all"]);
    let found = predicted(&["--top", "3"]);
    for (found, all) in found.iter().zip(&all) {
        let Some(probabilities) = all["probabilities"].as_object() else {
            assert!(found["top"].is_null());
            continue;
        };
        let mut expected: Vec<(&String, f64)> =
            probabilities.iter().map(|(name, value)| (name, value.as_f64().unwrap())).collect();
        expected.sort_by(|one, other| other.1.total_cmp(&one.1));
        let expected: Vec<Value> = expected[..3]
            .iter()
            .map(|(category, probability)| json!({ "category": category, "probability": probability }))
            .collect();
        assert_eq!(found["top"], Value::from(expected));
        assert_eq!(found["top"][0]["category"], found["predicted"]);
        let sum: f64 = probabilities.values().map(|value| value.as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }
}

#[test]
fn words_and_weights_are_those_of_the_coloured_text() {
    for method in ["attention", "integrated-gradients"] {
        let found = predicted(&["--explain", method]);
        let texts: Vec<&str> = TITLES.iter().flatten().copied().filter(|title| !title.is_empty()).collect();
        let shown = predict(["--format", "json", "--explain", method]).arguments(texts).succeeds().stdout;
        let mut shown = json_lines(&shown).into_iter();
        for row in &found {
            if row["predicted"].is_null() {
                assert!(row["words"].is_null());
                continue;
            }
            let document = shown.next().unwrap();
            let expected: Vec<Value> = document["words"]
                .as_array()
                .unwrap()
                .iter()
                .map(|word| {
                    let [start, end] = [&word["characters"][0], &word["characters"][1]];
                    json!({ "word": word["text"], "start": start, "end": end, "weight": word["weight"] })
                })
                .collect();
            assert_eq!(row["words"], Value::from(expected), "{method}");
            assert_eq!(row["predicted"], document["category"]);
        }
        assert!(shown.next().is_none());
    }
    let folder = folder();
    let (input, output) = (write(folder.path().join("in.csv"), &articles()), folder.path().join("out.csv"));
    predict(["--input", text(&input), "--explain", "attention", "--output", text(&output)]).succeeds();
    let words: Vec<Value> = serde_json::from_str(rows(&output)[0]["words"].as_str().unwrap()).unwrap();
    assert_eq!(words[0]["start"], 0, "in CSV the words are JSON");
}

#[test]
fn columns_that_do_not_fit_are_refused_by_name() {
    let folder = folder();
    let table = |name: &str, header: &str| {
        let path = folder.path().join(name);
        fs::write(&path, format!("{header}\n本の話,x\n")).unwrap();
        path
    };
    let other = table("other.csv", "a,b");
    predict(["--input", text(&other)]).fails_with(["\"a\", \"b\"", "--text-column"]);
    predict(["--input", text(&other), "--text-column", "c"]).fails_with(["--text-column c", "\"a\", \"b\""]);
    predict(["--input", text(&other), "--text-column", "a"]).succeeds();
    let taken = table("taken.csv", "title,predicted");
    predict(["--input", text(&taken)]).fails_with(["a column \"predicted\" already", "--prefix"]);
    let found = json_lines(&predict(["--input", text(&taken), "--prefix", "bert_"]).succeeds().stdout);
    assert_eq!((&found[0]["predicted"], found[0]["bert_predicted"].is_string()), (&json!("x"), true));
    let numbers = folder.path().join("numbers.jsonl");
    fs::write(&numbers, "{\"text\": 1}\n").unwrap();
    predict(["--input", text(&numbers)]).fails_with(["column \"text\" is Int64", "expected text"]);
    predict(["--input", text(&other), "--input", text(&taken)])
        .arguments(["--text-column", "a"])
        .fails_with(["taken.csv: there is no column \"a\""]);
    predict(["--input", text(&folder.path().join("none-*.csv"))]).fails_with(["none-*.csv", "no such file"]);
}

#[test]
fn files_of_a_pattern_are_read_in_order() {
    let folder = folder();
    for (name, header, row) in [
        ("part-10.csv", "id,title", "3,春の本"),
        ("part-1.csv", "id,title", "1,夏の本"),
        ("part-2.csv", "title,id", "秋の本,2"),
    ] {
        fs::write(folder.path().join(name), format!("{header}\n{row}\n")).unwrap();
    }
    let pattern = folder.path().join("part-*.csv");
    let found = json_lines(&predict(["--input", text(&pattern)]).succeeds().stdout);
    assert_eq!(column(&found, "id"), ["1", "2", "3"]);
    assert_eq!(column(&found, "title"), ["夏の本", "秋の本", "春の本"]);
}

#[test]
fn numbers_and_names_out_of_range_are_refused() {
    let refused = |options: &[&str], parts: &[&str]| {
        predict(["--format", "csv", "本"]).arguments(options).fails_with(parts.iter().copied());
    };
    refused(&["--top", "10"], &["--top is 10", "1 to 9"]);
    refused(&["--threshold", "2"], &["--threshold is 2", "0 to 1"]);
    refused(&["--head", "0"], &["--head 0", "--explain attention"]);
    refused(&["--precision", "int8", "--explain", "attention"], &["--precision int8", "--explain"]);
    predict(["本", "--output", "out.xyz"]).fails_with(["out.xyz: the name shows no form", ".parquet"]);
}

/// The union of all shards' rows, sorted by id.
fn union(folder: &Path, arguments: &[&str], output: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    for number in 1..=count {
        let shard = format!("{number}/{count}");
        let path = folder.join(output);
        predict(["--shard", &shard, "--output", text(&path)]).arguments(arguments).succeeds();
        let (stem, extension) = output.split_once('.').unwrap();
        all.extend(rows(&folder.join(format!("{stem}-{number:05}-of-{count:05}.{extension}"))));
    }
    all.sort_by_key(|row| row["id"].to_string());
    all
}

#[test]
fn shards_together_are_the_whole() {
    let folder = folder();
    let expected = predicted(&[]);
    // Rows of one file, dealt out; whole files; row groups.
    let one = write(folder.path().join("one.parquet"), &articles());
    assert_eq!(union(folder.path(), &["--input", text(&one)], "rows.parquet", 4), expected);
    for part in 0..3 {
        write(folder.path().join(format!("part-{part}.parquet")), &articles().slice(2 * part, 2));
    }
    let parts = folder.path().join("part-?.parquet");
    let first = folder.path().join("files-00001-of-00002.jsonl");
    assert_eq!(union(folder.path(), &["--input", text(&parts)], "files.jsonl", 2), expected);
    assert_eq!(column(&rows(&first), "id"), [1, 2], "the first of three files");
    // A shard without rows is a table without rows.
    assert_eq!(union(folder.path(), &["--input", text(&one)], "many.parquet", 8), expected);
}

#[test]
fn a_finished_shard_is_not_computed_again() {
    let folder = folder();
    let input = folder.path().join("in.csv");
    fs::write(&input, "id,title\n1,夏の本\n2,秋の本\n").unwrap();
    let output = folder.path().join("out.csv");
    let shard = |options: &[&str]| -> Outcome {
        predict(["--input", text(&input), "--output", text(&output), "--shard", "1/2"])
            .arguments(options)
            .succeeds()
    };
    let done = folder.path().join("out-00001-of-00002.csv");
    shard(&[]).does_not_say("up to date");
    let first = fs::metadata(&done).unwrap().modified().unwrap();
    shard(&[]).says("up to date");
    assert_eq!(fs::metadata(&done).unwrap().modified().unwrap(), first);
    shard(&["--threshold", "0.5"]).does_not_say("up to date");
    shard(&[]).does_not_say("up to date");
    shard(&[]).says("up to date");
    fs::write(&input, "id,title\n1,冬の本\n2,秋の本\n").unwrap();
    shard(&[]).does_not_say("up to date");
    assert_eq!(rows(&done)[0]["title"], "冬の本");
    fs::write(&done, "damaged").unwrap();
    shard(&[]).does_not_say("up to date");
    predict(["--shard", "3/2", "本"]).ends().says("3/16");
}

#[test]
fn a_shard_makes_the_folder_of_its_output() {
    let folder = folder();
    let output = folder.path().join("new/predicted/out.csv");
    let input = folder.path().join("in.csv");
    fs::write(&input, "id,title\n1,夏の本\n2,秋の本\n").unwrap();
    for shard in ["2/2", "1/2"] {
        predict(["--input", text(&input), "--output", text(&output), "--shard", shard]).succeeds();
    }
    assert_eq!(rows(&output.with_file_name("out-00001-of-00002.csv"))[0]["title"], "夏の本");
}

/// A Parquet file with two rows in each of two row groups. The first group is large and compresses well.
fn two_row_groups(titles: [&str; 4]) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2));
    let properties = properties.set_dictionary_enabled(false).build();
    let filler = "残す".repeat(20_000);
    let (titles, notes): (ArrayRef, ArrayRef) = (
        Arc::new(StringArray::from(titles.to_vec())),
        Arc::new(StringArray::from(vec![&*filler, &*filler, "", ""])),
    );
    let rows = RecordBatch::try_from_iter([("title", titles), ("note", notes)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn a_compressed_file_that_was_replaced_is_computed_again() {
    let gzip = |content: &[u8]| {
        let mut compressed = GzEncoder::new(Vec::new(), flate2::Compression::default());
        compressed.write_all(content).unwrap();
        compressed.finish().unwrap()
    };
    let zstd = |content: &[u8]| zstd::encode_all(content, 0).unwrap();
    // The content tells whether a file is compressed, not its name.
    for name in ["in.parquet.gz", "in.parquet"] {
        let folder = folder();
        let (input, output) = (folder.path().join(name), folder.path().join("out.csv"));
        // Both files have the same size, and the second row group begins beyond it.
        let replace = |titles| {
            let content = two_row_groups(titles);
            let mut compressed = if name.ends_with(".gz") { gzip(&content) } else { zstd(&content) };
            compressed.resize(16_384, 0);
            fs::write(&input, compressed).unwrap();
        };
        let shard = || -> Outcome {
            let names = ["--input", text(&input), "--output", text(&output), "--shard", "2/2"];
            predict(names).succeeds()
        };
        let titles = || column(&rows(&folder.path().join("out-00002-of-00002.csv")), "title");
        replace(["春の本", "夏の本", "秋の本", "冬の本"]);
        shard().does_not_say("up to date");
        assert_eq!(titles(), ["秋の本", "冬の本"], "{name}");
        shard().says("up to date");
        replace(["春の本", "夏の本", "夜の本", "冬の本"]);
        shard().does_not_say("up to date");
        assert_eq!(titles(), ["夜の本", "冬の本"], "{name}");
    }
}

#[test]
fn shards_of_other_files_or_options_are_not_put_beside_each_other() {
    let folder = folder();
    let input = folder.path().join("in-*.csv");
    let add = |name: &str| fs::write(folder.path().join(name), "id,title\n1,夏の本\n2,秋の本\n").unwrap();
    add("in-1.csv");
    add("in-2.csv");
    let output = folder.path().join("out.csv");
    let shard = |shard: &str, options: &[&str]| -> Outcome {
        let names = ["--input", text(&input), "--output", text(&output), "--shard", shard];
        predict(names).arguments(options).ends()
    };
    assert_eq!(shard("1/2", &[]).code, Some(0));
    // A file that has come since would move the borders between the shards.
    add("in-0.csv");
    let refused = shard("2/2", &[]);
    refused
        .refuses(["out-00001-of-00002.csv was made from something else (list of files)", "another --output"]);
    assert!(!folder.path().join("out-00002-of-00002.csv").exists());
    fs::remove_file(folder.path().join("in-0.csv")).unwrap();
    shard("2/2", &["--threshold", "0.5"]).refuses(["something else (columns)"]);
    assert_eq!(shard("2/2", &[]).code, Some(0));
    assert_eq!(shard("1/3", &["--threshold", "0.5"]).code, Some(0), "another number of shards");
}

#[test]
#[cfg(unix)]
fn a_model_of_links_is_read_as_the_hubs_cache_has_them() {
    let folder = folder();
    let (blobs, snapshot) = (folder.path().join("blobs"), folder.path().join("snapshots/1"));
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for entry in fs::read_dir(root().join("tests/fixtures/model")).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            let blob = format!("blob-of-{}", entry.file_name().display());
            fs::copy(entry.path(), blobs.join(&blob)).unwrap();
            let link = snapshot.join(entry.file_name());
            std::os::unix::fs::symlink(Path::new("../../blobs").join(&blob), link).unwrap();
        }
    }
    let input = write(folder.path().join("in.parquet"), &articles());
    for precision in ["f32", "int8"] {
        let options = ["--precision", precision];
        let found = predict_with(&snapshot, ["--input", text(&input)]).arguments(options).succeeds();
        assert_eq!(json_lines(&found.stdout), predicted(&options), "{precision}");
    }
}

#[test]
fn a_reader_that_ends_early_ends_the_program_quietly() {
    let folder = folder();
    let input = folder.path().join("in.txt");
    fs::write(&input, "本の話\n".repeat(20_000)).unwrap();
    for format in ["jsonl", "csv", "arrow", "ansi"] {
        let mut child = predict(["--input", text(&input), "--format", format]).starts();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = Vec::new();
        stdout.read_until(b'\n', &mut line).unwrap();
        assert!(!line.is_empty());
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(141), "{format}: {said}");
        assert!(!said.contains("error") && !said.contains("panicked"), "{format}: {said}");
    }
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_leaves_no_file() {
    let folder = folder();
    let input = folder.path().join("in.txt");
    fs::write(&input, "本の話、映画の予告編、勝利の日本代表\n".repeat(200_000)).unwrap();
    let output = folder.path().join("out.csv");
    let mut child = predict(["--input", text(&input), "--output", text(&output)]).starts();
    let files = || fs::read_dir(folder.path()).unwrap().count();
    while files() == 1 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it wrote");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let outcome = Outcome::of(child);
    assert_eq!(outcome.code, Some(130), "{}", outcome.printed());
    outcome.says("interrupted: the output was not written");
    assert_eq!(files(), 1, "only the input is left");
}

#[test]
fn integers_change_little() {
    let words = ["本", "映画", "勝利", "新型", "料理", "監督", "発売", "旅行", "予告編", "日本"];
    let titles: Vec<String> =
        (0..100).map(|number| format!("{}の{}", words[number / 10], words[number % 10])).collect();
    let predicted = |precision: &str| {
        let invocation = predict(["--format", "jsonl", "--precision", precision]);
        let outcome = invocation.input(titles.join("\n")).succeeds();
        // Where int8 gains nothing, its user is told.
        let is_slow = precision == "int8" && int8_weight_bits() < 8;
        assert_eq!(outcome.stderr.contains("this processor has no instructions for 8-bit integers"), is_slow);
        json_lines(&outcome.stdout)
    };
    let (floats, integers) = (predicted("f32"), predicted("int8"));
    assert_ne!(floats, integers, "the integers were used");
    let equal =
        floats.iter().zip(&integers).filter(|(one, other)| one["predicted"] == other["predicted"]).count();
    assert!(equal >= 98, "{equal} of 100 categories");
    for (one, other) in floats.iter().zip(&integers) {
        let [one, other] = [one, other].map(|row| row["probability"].as_f64().unwrap());
        assert!((one - other).abs() < 0.05, "{one} {other}");
    }
}

#[test]
fn texts_that_the_vocabulary_does_not_know_are_counted() {
    let lines = "映画の予告編\nᚠᚢᚦᚨᚱᚲ ᚷᚹᚺᚾ\n映画ᚠ\n";
    let outcome = predict(["--format", "jsonl"]).input(lines).succeeds();
    outcome.says("3 texts").says("1 mostly of characters that the vocabulary does not know");
    predict(["--format", "jsonl"]).input("映画\n").succeeds().does_not_say("does not know");
}

#[test]
fn a_file_is_not_taken_for_a_text() {
    let folder = folder();
    let input = write(folder.path().join("in.csv"), &articles());
    predict([text(&input)]).fails_with(["in.csv is a file", "--input"]);
}

#[test]
fn a_model_folder_needs_no_configuration() {
    let folder = folder();
    let model = root().join("tests/fixtures/model");
    // The configuration's path is pipeline.toml unless another is given, and this folder has none.
    let mut command = Command::new(binary("predict"));
    command.current_dir(folder.path()).env_remove("MIDASHI_CONFIG").env_remove("MIDASHI_SET");
    command.args(["本の話", "--model", text(&model), "--set", "evaluate.device=cpu", "--set"]);
    command.arg(format!("run.cache={}", root().join("cache").display()));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let nowhere = folder.path().join("none.toml");
    let run = Run::sample(folder.path(), "none").config(&nowhere).set("evaluate.device=cpu");
    run.stage("predict").arguments(["本の話"]).fails_with(["none.toml"]);
    run.stage("predict").arguments(["本の話", "--model", text(&model)]).fails_with(["none.toml"]);
}

#[test]
fn the_help_has_examples_and_exit_codes() {
    let help = predict(["--help"]).succeeds().stdout;
    for part in
        ["Examples:", "--input news.csv --output predicted.parquet", "Exit codes: 0", "--shard <3/16>"]
    {
        assert!(help.contains(part), "{part} is not in\n{help}");
    }
}

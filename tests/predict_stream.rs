//! `midashi-predict` between an Arrow stream on standard input and one on standard output, as engines use it.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Float32Array, Int64Array, LargeStringArray, ListArray,
    RecordBatch, StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Int32Type, Int64Type, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use midashi_tests::{Invocation, Outcome, Run, folder, root};
use serde_json::Value;

/// The end of an Arrow stream, as its writer marks it.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// `midashi-predict` with the bundled model, from a stream to a stream.
fn predict(options: &[&str]) -> Invocation {
    predict_with(&root().join("tests/fixtures/model"), options)
}

fn predict_with(model: &Path, options: &[&str]) -> Invocation {
    let run = Run::sample(folder().path(), "none").set("evaluate.device=cpu");
    let stream = ["--input", "-", "--input-format", "arrow", "--format", "arrow"];
    run.stage("predict").arguments(["--model", model.to_str().unwrap()]).arguments(stream).arguments(options)
}

/// A program that answers batch for batch.
struct Conversation {
    child: Child,
    sender: StreamWriter<ChildStdin>,
    receiver: Option<StreamReader<ChildStdout>>,
}

impl Conversation {
    fn new(schema: &Schema, options: &[&str]) -> Self {
        let mut child = predict(options).starts();
        let sender = StreamWriter::try_new(child.stdin.take().unwrap(), schema).unwrap();
        Self { child, sender, receiver: None }
    }

    /// Sends a batch and waits for its answer, while nothing else is sent.
    fn ask(&mut self, rows: &RecordBatch) -> RecordBatch {
        self.sender.write(rows).unwrap();
        self.sender.flush().unwrap();
        let output = &mut self.child.stdout;
        let receiver =
            self.receiver.get_or_insert_with(|| StreamReader::try_new(output.take().unwrap(), None).unwrap());
        receiver.next().unwrap().unwrap()
    }

    /// Ends the stream; asserts that the program ends well and has nothing else to say.
    fn end(self) {
        let Self { child, mut sender, receiver } = self;
        sender.finish().unwrap();
        drop(sender);
        assert!(receiver.unwrap().next().is_none());
        assert_eq!(Outcome::of(child).code, Some(0));
    }
}

fn titles(count: usize) -> Vec<String> {
    let words = ["本", "映画の予告編", "逆転勝利の日本代表、監督が語る涙の理由", "新型スマホ", "料理"];
    (0..count).map(|number| format!("{number}{}", words[number % 5].repeat(1 + number % 7))).collect()
}

fn text_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("text", DataType::Utf8, true),
    ]))
}

/// Rows with these texts; the first has the number `first`.
fn rows(first: usize, texts: &[String]) -> RecordBatch {
    let ids: ArrayRef =
        Arc::new(Int64Array::from_iter_values((first..first + texts.len()).map(|id| id as i64)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    RecordBatch::try_new(text_schema(), vec![ids, texts]).unwrap()
}

/// Batches of `size` rows as a stream.
fn stream(texts: &[String], size: usize) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &text_schema()).unwrap();
    for (number, texts) in texts.chunks(size).enumerate() {
        writer.write(&rows(number * size, texts)).unwrap();
    }
    writer.into_inner().unwrap()
}

/// The batches that the program makes of a stream.
fn answers(input: Vec<u8>, options: &[&str]) -> Vec<RecordBatch> {
    let mut child = predict(options).starts();
    let mut sender = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || sender.write_all(&input).unwrap());
    let found =
        StreamReader::try_new(child.stdout.take().unwrap(), None).unwrap().map(Result::unwrap).collect();
    writing.join().unwrap();
    assert_eq!(Outcome::of(child).code, Some(0));
    found
}

/// The bits of all probabilities, by id.
fn bits(batches: &[RecordBatch]) -> Vec<(i64, Vec<u32>)> {
    let of_batch = |batch: &RecordBatch| {
        let ids = batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().clone();
        let all = batch.column_by_name("probabilities").unwrap().as_struct().clone();
        let of_row = move |row: usize| {
            let columns =
                all.columns().iter().map(|column| column.as_primitive::<Float32Type>().value(row).to_bits());
            (ids.value(row), columns.collect())
        };
        (0..batch.num_rows()).map(of_row).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

#[test]
fn a_batch_is_answered_before_the_next_one_is_sent() {
    let texts = titles(2600);
    let mut conversation = Conversation::new(&text_schema(), &[]);
    let mut start = 0;
    for count in [1, 0, 3, 2500, 0, 1, 95] {
        let sent = rows(start, &texts[start..start + count]);
        let found = conversation.ask(&sent);
        assert_eq!(found.num_rows(), count);
        assert_eq!(found.columns()[..2], *sent.columns(), "the input's columns, in order");
        assert_eq!(found.column_by_name("predicted").unwrap().null_count(), 0);
        start += count;
    }
    conversation.end();
}

#[test]
fn columns_types_and_metadata_of_the_input_are_kept() {
    let words: DictionaryArray<Int32Type> = ["赤", "青", "赤"].into_iter().collect();
    let other: DictionaryArray<Int32Type> = ["黄"; 3].into_iter().collect();
    let lists =
        ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]);
    let columns = |words: &DictionaryArray<Int32Type>| -> Vec<ArrayRef> {
        vec![
            Arc::new(LargeStringArray::from(vec![Some("映画の予告編"), None, Some("")])),
            Arc::new(words.clone()),
            Arc::new(StringViewArray::from(vec!["a string that is longer than twelve bytes", "b", "c"])),
            Arc::new(lists.clone()),
            Arc::new(Int64Array::from(vec![1, 2, 3])),
        ]
    };
    let metadata = |value: &str| HashMap::from([("origin".to_owned(), value.to_owned())]);
    let mut fields: Vec<Field> = ["text", "colour", "view", "list"]
        .into_iter()
        .zip(columns(&words))
        .map(|(name, array)| Field::new(name, array.data_type().clone(), true))
        .collect();
    fields.push(Field::new("id", DataType::Int64, false).with_metadata(metadata("a column's")));
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata("a table's")));
    let mut conversation = Conversation::new(&schema, &["--text-column", "text"]);
    for words in [&words, &other] {
        let sent = RecordBatch::try_new(schema.clone(), columns(words)).unwrap();
        let found = conversation.ask(&sent);
        assert_eq!(found.schema().fields()[..5], schema.fields()[..], "types, nullability, metadata");
        assert_eq!(found.schema().metadata(), schema.metadata());
        assert_eq!(found.columns()[..5], *sent.columns());
        let added: Vec<_> = found.schema().fields()[5..].iter().map(|field| field.name().clone()).collect();
        assert_eq!(added, ["predicted", "probability"]);
        let predicted = found.column_by_name("predicted").unwrap();
        let nulls: Vec<bool> = (0..3).map(|row| predicted.is_null(row)).collect();
        assert_eq!(nulls, [false, true, true], "a missing and an empty text have no category");
        assert!(found.column_by_name("probability").unwrap().is_null(1));
    }
    conversation.end();
}

#[test]
fn texts_may_be_of_any_string_type() {
    let texts = ["映画の予告編", "逆転勝利の日本代表"];
    let dictionary: DictionaryArray<Int32Type> = texts.into_iter().collect();
    let arrays: [ArrayRef; 4] = [
        Arc::new(StringArray::from(texts.to_vec())),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(StringViewArray::from(texts.to_vec())),
        Arc::new(dictionary),
    ];
    let probabilities = arrays.map(|array| {
        let rows = RecordBatch::try_from_iter([("text", array)]).unwrap();
        let mut conversation = Conversation::new(&rows.schema(), &[]);
        let found = conversation.ask(&rows);
        conversation.end();
        found.column_by_name("probability").unwrap().as_primitive::<Float32Type>().clone()
    });
    let first: &Float32Array = &probabilities[0];
    assert!(probabilities.iter().all(|other| other == first), "{probabilities:?}");
}

#[test]
fn predictions_do_not_depend_on_the_batches_to_the_last_bit() {
    let texts = titles(300);
    for precision in ["f32", "int8"] {
        let of = |size: usize, threads: &str| {
            let options = ["--all", "--precision", precision, "--set", threads];
            bits(&answers(stream(&texts, size), &options))
        };
        let expected = of(300, "run.threads=2");
        assert_eq!(expected.iter().map(|(id, _)| *id).collect::<Vec<_>>(), (0..300).collect::<Vec<_>>());
        for (size, threads) in [(7, "run.threads=2"), (1, "run.threads=2"), (100, "run.threads=1")] {
            assert!(of(size, threads) == expected, "{precision}, batches of {size}, {threads}");
        }
    }
}

#[test]
fn a_hundred_thousand_rows_are_one_batch() {
    let texts: Vec<String> = titles(100_000).into_iter().map(|text| text.chars().take(8).collect()).collect();
    let found = answers(stream(&texts, 100_000), &[]);
    let sizes: Vec<usize> = found.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(sizes, [100_000]);
    let ids = found[0].column_by_name("id").unwrap().as_primitive::<Int64Type>();
    assert!(ids.values().iter().copied().eq(0..100_000));
}

#[test]
fn a_slow_reader_stops_the_writer() {
    const BATCHES: usize = 60;
    // 4 MB a batch: the pipes hold 64 KiB each, the program a few batches.
    let note = "残".repeat(1_400_000);
    let schema = Arc::new(Schema::new(vec![
        Field::new("text", DataType::Utf8, true),
        Field::new("note", DataType::Utf8, true),
    ]));
    let mut child = predict(&["--text-column", "text"]).starts();
    let mut sender = StreamWriter::try_new(child.stdin.take().unwrap(), &schema).unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let writing = std::thread::spawn(move || {
        for _ in 0..BATCHES {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(StringArray::from(vec!["本"])),
                Arc::new(StringArray::from(vec![note.as_str()])),
            ];
            sender.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
        }
        sender.finish().unwrap();
    });
    // Nothing is read until the writer has stood still for a while.
    let mut last = (0, 0);
    while last.1 < 20 {
        assert!(!writing.is_finished(), "the program does not read to the end while nobody reads it");
        std::thread::sleep(Duration::from_millis(100));
        let now = sent.load(Ordering::SeqCst);
        last = if now == last.0 && now > 0 { (now, last.1 + 1) } else { (now, 0) };
    }
    assert!(last.0 < 10, "{} of {BATCHES} batches were taken while nobody read", last.0);
    let found = StreamReader::try_new(child.stdout.take().unwrap(), None).unwrap();
    assert_eq!(found.map(Result::unwrap).map(|batch| batch.num_rows()).sum::<usize>(), BATCHES);
    writing.join().unwrap();
    assert_eq!(Outcome::of(child).code, Some(0));
}

/// What the program says of a stream, and what it has written.
fn refused(input: &[u8], options: &[&str]) -> (Outcome, Vec<u8>) {
    refused_by(predict(options), input)
}

fn refused_by(program: Invocation, input: &[u8]) -> (Outcome, Vec<u8>) {
    let mut child = program.starts();
    let (mut sender, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let input = input.to_owned();
    // The program may end before it has read everything.
    let writing = std::thread::spawn(move || drop(sender.write_all(&input)));
    let mut written = Vec::new();
    output.read_to_end(&mut written).unwrap();
    writing.join().unwrap();
    (Outcome::of(child), written)
}

#[test]
fn a_broken_stream_is_an_error_with_its_batch_after_the_batches_before_it() {
    let texts = titles(5);
    let whole = stream(&texts, 3);
    let (outcome, written) = refused(&whole[..whole.len() - END.len() - 50], &[]);
    outcome.refuses(["standard input: is broken in batch 2, after row 3: ", "a message is cut off"]);
    let found: Vec<RecordBatch> =
        StreamReader::try_new(&*written, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [3]);
    assert!(!written.ends_with(&END), "a stream with an error has no end");

    let mut flipped = whole.clone();
    let message = whole.windows(4).take(whole.len() - END.len()).rposition(|four| four == &END[..4]).unwrap();
    flipped[message + 12..message + 60].fill(0x7f);
    let (outcome, _) = refused(&flipped, &[]);
    outcome.refuses(["standard input: is broken in batch 2, after row 3"]);
    let (outcome, _) = refused(b"text,label\nabc,d\n", &[]);
    outcome.refuses(["standard input: is broken, or not Arrow IPC"]);
    // The schema is read before a batch is.
    let (outcome, written) = refused(&whole, &["--text-column", "headline"]);
    outcome.refuses(["--text-column headline: there is no such column; found \"id\", \"text\""]);
    assert!(written.is_empty());
}

#[test]
fn a_text_that_cannot_be_classified_is_named_with_its_batch_and_row() {
    let folder = folder();
    for file in fs::read_dir(root().join("tests/fixtures/model")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    // The sixth word of the vocabulary, "!", gets numbers whose squares overflow.
    let weights = folder.path().join("model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start =
        header["bert.embeddings.word_embeddings.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
    for (at, number) in bytes[8 + length + start..].chunks_mut(4).skip(5 * 32).take(32).enumerate() {
        number.copy_from_slice(&if at % 4 == 0 { -f32::MAX } else { f32::MAX }.to_le_bytes());
    }
    fs::write(&weights, bytes).unwrap();

    let texts = ["本", "映画", "新型", "!", "料理"].map(str::to_owned);
    let (outcome, written) = refused_by(predict_with(folder.path(), &[]), &stream(&texts, 2));
    outcome.refuses(["standard input, batch 2, row 4: ", "\"!\""]);
    let found: Vec<RecordBatch> =
        StreamReader::try_new(&*written, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [2], "the batch before it");
}

/// Programs of one thread with the same model share the memory of its weights.
#[cfg(target_os = "linux")]
#[test]
fn weights_are_mapped_from_their_file() {
    let sent = rows(0, &titles(3));
    let mut conversation = Conversation::new(&text_schema(), &["--set", "run.threads=1"]);
    conversation.ask(&sent);
    let maps = fs::read_to_string(format!("/proc/{}/maps", conversation.child.id())).unwrap();
    let mapped = maps.lines().filter(|line| line.ends_with("tests/fixtures/model/model.safetensors")).count();
    assert!(mapped > 0, "{maps}");
    conversation.end();
}

//! A corpus as people have it: the same rows from every form of a corpus, and a message for everything that is wrong.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use midashi_artifacts::{Article, Split};
use midashi_tests::{Corpus, Invocation, Outcome, Run, STAGES, folder, root};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::json;

fn run(folder: impl AsRef<Path>, name: &str, source: &str) -> Run {
    Run::sample(folder, name).set(&format!("corpus.source={source} corpus.layout=title-first"))
}

/// Fetches and returns `ingest`, ready to run.
fn ingest(folder: impl AsRef<Path>, source: &Path, set: &str) -> (Run, Invocation) {
    let run = run(folder.as_ref().join("artifacts"), "run", &source.display().to_string()).set(set);
    run.stage("fetch").succeeds();
    let ingest = run.stage("ingest");
    (run, ingest)
}

/// Writes a file `name` and ingests it.
fn ingest_file(
    folder: impl AsRef<Path>,
    name: &str,
    bytes: impl AsRef<[u8]>,
    set: &str,
) -> (Run, Invocation) {
    let path = folder.as_ref().join(name);
    fs::write(&path, bytes).unwrap();
    ingest(folder, &path, set)
}

fn succeeds(folder: impl AsRef<Path>, name: &str, bytes: impl AsRef<[u8]>, set: &str) -> (Run, Outcome) {
    let (run, ingest) = ingest_file(folder, name, bytes, set);
    (run, ingest.succeeds())
}

/// The rows and columns of `corpus.parquet`, without the metadata.
fn table(run: &Run) -> RecordBatch {
    let file = File::open(run.artifact("corpus.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let batch = concat_batches(&batches[0].schema(), &batches).unwrap();
    let plain = Schema::new(batch.schema().fields().clone());
    batch.with_schema(Arc::new(plain)).unwrap()
}

/// The sample's texts as a folder of categories, in the layout title-first.
fn sample_folder(folder: &Path) -> PathBuf {
    let mut corpus = Corpus::title_first();
    let texts = root().join("data/sample/text");
    let mut paths: Vec<PathBuf> = fs::read_dir(texts)
        .unwrap()
        .flat_map(|category| fs::read_dir(category.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("LICENSE.txt"))
        .collect();
    paths.sort();
    for path in paths {
        let category = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        corpus = corpus.article(
            &category,
            lines[0],
            &format!("{}\n二行目、\"引用\";\ta,b|c", lines[1..].join("\n")),
        );
    }
    corpus.write(folder.join("texts"))
}

/// The rows of a corpus as another program would export them.
struct Rows {
    categories: Vec<String>,
    articles: Vec<Article>,
}

impl Rows {
    fn label(&self, article: &Article) -> &str {
        &self.categories[article.category.index()]
    }

    fn delimited(&self, delimiter: char, line_end: &str) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut text = ["id", "title", "body", "category"].join(&delimiter.to_string()) + line_end;
        for article in &self.articles {
            let fields = [&article.id, &article.title, &article.body, self.label(article)].map(quoted);
            text += &(fields.join(&delimiter.to_string()) + line_end);
        }
        text
    }

    fn json_lines(&self) -> String {
        let row = |article: &Article| {
            let label = self.label(article);
            json!({"id": article.id, "title": article.title, "body": article.body, "category": label})
                .to_string()
        };
        self.articles.iter().map(|article| row(article) + "\n").collect()
    }

    fn batch(&self) -> RecordBatch {
        let column = |text: &dyn Fn(&Article) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.articles.iter().map(text)))
        };
        RecordBatch::try_from_iter([
            ("id", column(&|article| article.id.clone())),
            ("title", column(&|article| article.title.clone())),
            ("body", column(&|article| article.body.clone())),
            ("category", column(&|article| self.label(article).to_owned())),
        ])
        .unwrap()
    }

    fn of_split(&self, split: Split) -> Self {
        let articles = self.articles.iter().filter(|article| article.split == split).cloned().collect();
        Self { categories: self.categories.clone(), articles }
    }
}

fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar(folder: &Path) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all("texts", folder).unwrap();
    builder.into_inner().unwrap()
}

fn zip(folder: &Path) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for category in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        for file in fs::read_dir(category.path()).unwrap().map(Result::unwrap) {
            let name = format!("{}/{}", category.file_name().display(), file.file_name().display());
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(&fs::read(file.path()).unwrap()).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with one dataset, `owner/name`, and plain files at other paths.
fn start_hub(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(first) = lines.next() else { continue };
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
            let (status, body) = match respond(&files, &path) {
                Some(body) => (200, body),
                None => (404, Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: {}\r\nX-Repo-Commit: {COMMIT}\r\n\
                 ETag: \"{:x}\"\r\n\r\n",
                body.len(),
                path.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()))
            );
            let body = if first.starts_with("HEAD") { &[] } else { &body[..] };
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        }
    });
    url
}

fn respond(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Option<Vec<u8>> {
    match path.strip_prefix("/api/datasets/owner/name/") {
        Some("revision/main") => Some(json!({"sha": COMMIT}).to_string().into_bytes()),
        Some(tree) if tree == format!("tree/{COMMIT}?recursive=true") => {
            let entries = files.keys().map(|path| json!({"type": "file", "path": path}));
            Some(json!(entries.collect::<Vec<_>>()).to_string().into_bytes())
        }
        Some(_) => None,
        None => {
            let name = path.strip_prefix(&format!("/datasets/owner/name/resolve/{COMMIT}/"));
            files.get(name.or(path.strip_prefix('/'))?).cloned()
        }
    }
}

#[test]
fn every_form_of_a_corpus_gives_the_same_rows() {
    let folder = folder();
    let texts = sample_folder(folder.path());
    let first = run(folder.path().join("artifacts"), "folder", &texts.display().to_string());
    first.stages(&STAGES[..2]);
    let corpus = first.corpus();
    let rows = Rows { categories: corpus.categories, articles: corpus.articles };
    assert!(rows.articles.len() > 30 && rows.articles.iter().any(|article| article.body.contains('\n')));

    let mut file = FileWriter::try_new(Vec::new(), &rows.batch().schema()).unwrap();
    file.write(&rows.batch()).unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), &rows.batch().schema()).unwrap();
    stream.write(&rows.batch()).unwrap();
    let (csv, tar) = (rows.delimited(',', "\r\n"), tar(&texts));
    let utf16: Vec<u8> = csv.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("a.tar", tar.clone()),
        ("a.tar.gz", gzip(&tar)),
        ("a.tar.zst", zstd::encode_all(&*tar, 1).unwrap()),
        ("a.zip", zip(&texts)),
        ("a.csv", csv.clone().into_bytes()),
        ("bom.csv", format!("\u{feff}{}", rows.delimited(';', "\n")).into_bytes()),
        ("a.csv.gz", gzip(csv.as_bytes())),
        ("a.tsv", rows.delimited('\t', "\n").into_bytes()),
        ("a.jsonl", rows.json_lines().into_bytes()),
        ("a.jsonl.zst", zstd::encode_all(rows.json_lines().as_bytes(), 1).unwrap()),
        ("a.parquet", parquet(&rows.batch())),
        ("a.arrow", file.into_inner().unwrap()),
        ("stream.arrow", stream.into_inner().unwrap()),
        ("utf16.csv", utf16),
    ];
    let expected = table(&first);
    for (name, bytes) in forms {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let set = if name == "utf16.csv" { "corpus.encoding=utf-16le" } else { "" };
        let other = run(folder.path().join("artifacts"), name, &path.display().to_string()).set(set);
        other.stages(&STAGES[..2]);
        assert_eq!(table(&other), expected, "{name}");
    }

    let files = BTreeMap::from([
        ("data/corpus.parquet".to_owned(), parquet(&rows.batch())),
        ("README.md".to_owned(), b"# A dataset".to_vec()),
        ("plain/corpus.csv".to_owned(), csv.into_bytes()),
    ]);
    let hub = start_hub(files);
    let sources = [
        "hf://datasets/owner/name/data".to_owned(),
        "hf://datasets/owner/name@main/data/corpus.parquet".to_owned(),
        format!("{hub}/plain/corpus.csv"),
    ];
    for (at, source) in sources.iter().enumerate() {
        let cache = folder.path().join("cache");
        let other = run(folder.path().join("artifacts"), &format!("hub{at}"), source)
            .set(&format!("run.cache={}", cache.display()))
            .environment("HF_ENDPOINT", &hub)
            .environment("HF_HOME", &cache.display().to_string());
        other.stages(&STAGES[..2]);
        assert_eq!(table(&other), expected, "{source}");
    }
}

#[test]
fn splits_of_a_column_and_of_files_are_kept() {
    let folder = folder();
    let texts = sample_folder(folder.path());
    let (first, ingest) = ingest(&folder, &texts, "corpus.split.validation=0.2");
    ingest.succeeds();
    let corpus = first.corpus();
    let mut rows = Rows { categories: corpus.categories, articles: corpus.articles };
    // The order of files: training, validation, test.
    rows.articles.sort_by_key(|article| article.split as u16);

    let mut csv = String::from("id,title,body,category,split\n");
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for article in &rows.articles {
        let split = match article.split {
            Split::Validation => "dev",
            split => split.name(),
        };
        let fields = [&article.id, &article.title, &article.body, rows.label(article), split];
        csv += &(fields.map(quoted).join(",") + "\n");
    }
    let path = folder.path().join("column.csv");
    fs::write(&path, csv).unwrap();
    let column = run(folder.path().join("artifacts"), "column", &path.display().to_string());
    column.stage("fetch").succeeds();
    column.stage("ingest").succeeds().says("the splits are those of the corpus").says("split \"split\"");
    assert_eq!(column.corpus().articles, rows.articles);

    let training = rows.of_split(Split::Train).batch();
    let half = training.num_rows() / 2;
    let files = BTreeMap::from([
        ("data/train-00000-of-00002.parquet".to_owned(), parquet(&training.slice(0, half))),
        (
            "data/train-00001-of-00002.parquet".to_owned(),
            parquet(&training.slice(half, training.num_rows() - half)),
        ),
        (
            "data/validation-00000-of-00001.parquet".to_owned(),
            parquet(&rows.of_split(Split::Validation).batch()),
        ),
        ("data/test-00000-of-00001.parquet".to_owned(), parquet(&rows.of_split(Split::Test).batch())),
        ("script.py".to_owned(), b"exit()".to_vec()),
    ]);
    let hub = start_hub(files);
    let cache = folder.path().join("cache").display().to_string();
    let other = run(folder.path().join("artifacts"), "hub", "hf://datasets/owner/name")
        .environment("HF_ENDPOINT", &hub)
        .environment("HF_HOME", &cache);
    other.stages(&STAGES[..2]);
    assert_eq!(table(&other), table(&column));
    assert!(other.text("run.json").contains(&format!("\"corpus_revision\": \"{COMMIT}\"")));
    let offline = other.environment("HF_ENDPOINT", "http://127.0.0.1:1").environment("HF_HUB_OFFLINE", "1");
    offline.stages(&STAGES[..2]).up_to_date(2);
}

/// Thirty rows with two labels.
fn csv(rows: impl Fn(usize) -> String) -> String {
    (0..30).map(|at| rows(at) + "\n").fold("text,label\n".to_owned(), |csv, row| csv + &row)
}

#[test]
fn rows_without_ids_are_named_by_their_numbers() {
    let folder = folder();
    let text = csv(|at| format!("見出し{at},{}", ["b", "a"][at % 2]));
    let (run, outcome) = succeeds(&folder, "a.csv", &text, "");
    outcome.says("columns: title \"text\", label \"label\"").says("ids are made from the rows' numbers");
    let corpus = run.corpus();
    assert_eq!(corpus.categories, ["a", "b"]);
    let first: Vec<_> =
        corpus.articles[..3].iter().map(|a| (a.id.as_str(), a.title.as_str(), a.category.0)).collect();
    assert_eq!(first, [("1", "見出し0", 1), ("2", "見出し1", 0), ("3", "見出し2", 1)], "the table's order");
    let splits: Vec<usize> =
        Split::ALL.iter().map(|split| corpus.articles.iter().filter(|a| a.split == *split).count()).collect();
    assert_eq!(splits, [24, 0, 6]);
}

#[test]
fn a_recognised_column_of_ids_may_repeat_but_a_named_one_may_not() {
    let folder = folder();
    let text =
        csv(|at| format!("見出し{at},{},{}", ["b", "a"][at % 2], at % 7)).replace("label\n", "label,id\n");
    let (run, outcome) = succeeds(&folder, "a.csv", &text, "");
    outcome.says("ids are made from the rows' numbers: in the column \"id\", the id \"0\" occurs twice");
    assert_eq!(run.corpus().articles[9].id, "10");
    ingest_file(&folder, "a.csv", &text, "corpus.columns.id=id").1.fails_with([
        "a.csv: row 8: the id \"0\" occurs twice",
        "23 (23 without an id of their own)",
        "corpus.bad_files=skip",
    ]);
}

#[test]
fn a_missing_column_lists_those_that_are_there() {
    let folder = folder();
    let text = csv(|at| format!("見出し{at},a")).replace("text,label", "headline,kind");
    ingest_file(&folder, "a.csv", &text, "").1.fails_with([
        "a.csv",
        "no column has a usual name of a label; found \"headline\", \"kind\"; set corpus.columns.label",
    ]);
    ingest_file(&folder, "a.csv", &text, "corpus.columns.label=sort")
        .1
        .fails_with(["corpus.columns.label names the column \"sort\", but found \"headline\", \"kind\""]);
    let both = csv(|at| format!("見出し{at},{}", ["b", "a"][at % 2])).replace("text,label", "headline,kind");
    succeeds(&folder, "a.csv", both, "corpus.columns.label=kind").1.says("label \"kind\"");
}

#[test]
fn rows_that_cannot_be_used_are_counted_and_are_an_error_or_skipped() {
    let folder = folder();
    let row = |at: usize| match at {
        3 => ",a".to_owned(),
        4 | 5 => format!("見出し{at},　"),
        7 => "\"two\nlines\",a".to_owned(),
        9 => format!("見出し{at},a,extra"),
        _ => format!("見出し{at},{}", ["b", "a"][at % 2]),
    };
    ingest_file(&folder, "a.csv", csv(row), "").1.fails_with([
        "a.csv: row 10 (line 12): has 3 fields, the header has 2",
        "rows that cannot be used: 4 (1 unreadable, 1 without text, 2 without label)",
        "correct them, or set corpus.bad_files=skip",
    ]);
    let (run, outcome) = succeeds(&folder, "a.csv", csv(row), "corpus.bad_files=skip");
    outcome
        .says("left out 4 rows that cannot be used: 1 unreadable, 1 without text, 2 without label")
        .says("a.csv: row 4: the text, column \"text\", is empty")
        .says("a.csv: row 5: the label is empty");
    let corpus = run.corpus();
    assert_eq!(corpus.articles.len(), 26);
    assert_eq!((corpus.articles[4].id.as_str(), corpus.articles[4].title.as_str()), ("8", "two\nlines"));
    let record = run.text("run.json");
    assert!(record.contains("\"bad_rows_skipped\": 4"), "{record}");

    let json =
        (0..6).map(|at| format!("{{\"text\": \"見出し{at}\", \"label\": {}}}\n", at % 2)).collect::<String>();
    let broken = json.replacen("\"label\": 1}", "\"label\": 1", 1);
    ingest_file(&folder, "a.jsonl", broken, "").1.fails_with(["a.jsonl: row 2 (line 2): is not JSON"]);
    let unclosed = csv(|at| format!("見出し{at},a")) + "\"open,b\n";
    ingest_file(&folder, "a.csv", unclosed, "corpus.bad_files=skip")
        .1
        .fails_with(["a.csv", "the quote in line 32 is not closed"]);
    ingest_file(&folder, "a.csv", "text,label\n", "").1.fails_with(["the table has no rows"]);
    ingest_file(&folder, "a.csv", "text,label\na,b\nc,b\n", "")
        .1
        .fails_with(["all rows are of one category, \"b\""]);
}

#[test]
fn other_encodings_are_named_and_converted() {
    let folder = folder();
    let text = csv(|at| format!("新しい見出し{at},{}", ["家電", "映画"][at % 2]));
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    for (name, label, bytes) in [
        ("Shift_JIS", "shift_jis", encoding_rs::SHIFT_JIS.encode(&text).0.into_owned()),
        ("EUC-JP", "euc-jp", encoding_rs::EUC_JP.encode(&text).0.into_owned()),
        ("UTF-16", "utf-16le", utf16),
    ] {
        ingest_file(&folder, "a.csv", &bytes, "").1.fails_with([
            format!("a.csv: is encoded in {name}").as_str(),
            format!("set corpus.encoding to \"{label}\" to convert it").as_str(),
        ]);
        let (run, _) = succeeds(&folder, "a.csv", &bytes, &format!("corpus.encoding={label}"));
        assert_eq!(run.corpus().articles[2].title, "新しい見出し2");
    }
    ingest_file(&folder, "a.csv", &text, "corpus.encoding=latin-9000")
        .1
        .fails_with(["corpus.encoding is \"latin-9000\"", "shift_jis"]);
    let invalid = [text.as_bytes(), b"a\xff\x80b,c\n"].concat();
    ingest_file(&folder, "a.csv", invalid, "")
        .1
        .fails_with(["a.csv: row 31 (line 32): column \"text\" is not UTF-8 (byte 0xff at offset 1)"]);

    let file = |bytes: &[u8]| {
        let texts = Corpus::title_first().article("a", "見出し", "").file("b/1.txt", bytes);
        texts.write(folder.path().join("texts"))
    };
    let texts = file(&encoding_rs::SHIFT_JIS.encode("見出しの一つ").0);
    ingest(&folder, &texts, "")
        .1
        .fails_with(["b/1.txt line 1 is not UTF-8", "set corpus.encoding to \"shift_jis\""]);
}

#[test]
fn integer_labels_get_names_from_the_configuration_or_the_dataset() {
    let folder = folder();
    let numbers = csv(|at| format!("見出し{at},{}", at % 2));
    let (run, _) = succeeds(&folder, "a.csv", &numbers, "");
    assert_eq!(run.corpus().categories, ["0", "1"]);
    let (run, outcome) = succeeds(&folder, "a.csv", &numbers, "corpus.labels=[\"映画\",\"家電\",\"空\"]");
    outcome.says("names of the labels: corpus.labels").says("no text for 1 expected labels").says("空");
    assert_eq!(run.corpus().categories, ["映画", "家電"]);
    assert_eq!(run.corpus().articles[1].category.0, 1);
    ingest_file(&folder, "a.csv", numbers.replace(",1\n", ",2\n"), "corpus.labels=[\"映画\",\"家電\"]")
        .1
        .fails_with(["row 2: the label \"2\" is unknown; expected 0 to 1 or a name in corpus.labels"]);

    let features =
        json!({"info": {"features": {"label": {"names": ["映画", "家電"], "_type": "ClassLabel"}}}});
    let titles: Vec<String> = (0..30).map(|at| format!("見出し{at}")).collect();
    let batch = RecordBatch::try_from_iter([
        ("text", Arc::new(StringArray::from(titles)) as ArrayRef),
        ("label", Arc::new(Int64Array::from_iter_values((0..30).map(|at| at % 2)))),
    ])
    .unwrap();
    let metadata = HashMap::from([("huggingface".to_owned(), features.to_string())]);
    let schema = Schema::new_with_metadata(batch.schema().fields().clone(), metadata);
    let batch = batch.with_schema(Arc::new(schema)).unwrap();
    let (run, outcome) = succeeds(&folder, "a.parquet", parquet(&batch), "");
    outcome.says("names of the labels: the metadata of");
    assert_eq!(run.corpus().categories, ["映画", "家電"]);

    let card = "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n          \
        '0': 映画\n          '1': 家電\n---\n";
    fs::write(folder.path().join("README.md"), card).unwrap();
    let (run, outcome) = succeeds(&folder, "a.csv", &numbers, "");
    outcome.says("README.md");
    assert_eq!(run.corpus().categories, ["映画", "家電"]);
}

#[test]
fn names_of_labels_that_were_corrected_beside_a_table_are_taken() {
    let card = |names: [&str; 2]| {
        let [zero, one] = names;
        format!(
            "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n          \
             '0': {zero}\n          '1': {one}\n---\n"
        )
    };
    let numbers = csv(|at| format!("見出し{at},{}", at % 2));
    let folder = folder();
    let describe = |text: String| fs::write(folder.path().join("README.md"), text).unwrap();
    describe(card(["映画", "家電"]));
    let (run, _) = succeeds(&folder, "a.csv", &numbers, "");
    assert_eq!(run.corpus().categories, ["映画", "家電"]);
    run.stage("ingest").succeeds().up_to_date(1);
    describe(card(["家電", "映画"]));
    run.stage("ingest").succeeds().up_to_date(0);
    assert_eq!(run.corpus().categories, ["家電", "映画"]);
    describe(card(["家電", "映画"]) + "# Another sentence\n");
    run.stage("ingest").succeeds().up_to_date(1);

    let names = "corpus.labels=[\"0番\",\"1番\"]";
    let given = run.clone().set(names);
    given.stage("ingest").succeeds();
    describe(card(["映画", "家電"]));
    given.stage("ingest").succeeds().up_to_date(1);

    // The names count, not the place where they were found.
    let elsewhere = self::folder();
    fs::write(elsewhere.path().join("dataset_infos.json"), {
        json!({"default": {"features": {"label": {"names": ["映画", "家電"]}}}}).to_string()
    })
    .unwrap();
    let (other, _) = succeeds(&elsewhere, "a.csv", &numbers, "");
    run.stage("ingest").succeeds();
    let bytes = |run: &Run| fs::read(run.artifact("corpus.parquet")).unwrap();
    assert!(bytes(&other) == bytes(&run), "the artifact holds a path");
}

/// Ingests tables, each with its name and text.
fn ingest_tables(folder: &Path, tables: [(&str, String); 2]) -> (Run, Invocation) {
    let data = folder.join("tables");
    fs::create_dir(&data).unwrap();
    for (name, text) in tables {
        fs::write(data.join(name), text).unwrap();
    }
    ingest(folder, &data, "")
}

/// Thirty rows of a first file.
fn first_rows() -> String {
    csv(|at| format!("見出し{at},{}", ["b", "a"][at % 2]))
}

/// Thirty rows of a later file, which has one more column.
fn later_rows(column: &str, cell: impl Fn(usize) -> String) -> String {
    csv(|at| format!("続き{at},{},{}", ["b", "a"][at % 2], cell(at)))
        .replace("text,label\n", &format!("text,label,{column}\n"))
}

#[test]
fn bodies_that_only_a_later_file_has_are_not_read() {
    let folder = folder();
    let described = later_rows("description", |at| format!("説明{at}"));
    let (run, ingest) = ingest_tables(folder.path(), [("train.csv", first_rows()), ("test.csv", described)]);
    ingest.succeeds().says("columns: title \"text\", label \"label\"\n");
    let corpus = run.corpus();
    assert_eq!((corpus.articles.len(), corpus.articles[30].title.as_str()), (60, "続き0"));
    assert!(corpus.articles.iter().all(|article| article.body.is_empty()), "bodies in one split only");
}

#[test]
fn ids_that_only_a_later_file_has_are_not_read() {
    let numbered = later_rows("id", |at| (at + 1).to_string());
    let later = folder();
    let (run, ingest) =
        ingest_tables(later.path(), [("part-1.csv", first_rows()), ("part-2.csv", numbered.clone())]);
    ingest.succeeds().says("ids are made from the rows' numbers");
    let found: Vec<String> = run.corpus().articles.into_iter().map(|article| article.id).collect();
    assert_eq!(found, (1..=60).map(|number| number.to_string()).collect::<Vec<_>>());
    let first = folder();
    ingest_tables(first.path(), [("part-1.csv", numbered), ("part-2.csv", first_rows())]).1.fails_with([
        "part-2.csv: expected the columns of",
        "part-1.csv: corpus.columns.id names the column \"id\"",
    ]);
}

#[test]
fn splits_that_only_a_later_file_has_are_refused() {
    let divided = later_rows("split", |at| ["train", "test"][at % 2].to_owned());
    let parts = folder();
    ingest_tables(parts.path(), [("part-1.csv", first_rows()), ("part-2.csv", divided.clone())])
        .1
        .fails_with(["part-2.csv: the column \"split\" has splits, but", "part-1.csv has no such column"]);
    // Names of files that show a split count more than a column.
    let named = folder();
    let (run, ingest) = ingest_tables(named.path(), [("train.csv", first_rows()), ("test.csv", divided)]);
    ingest.succeeds();
    assert_eq!(run.corpus().articles.iter().filter(|article| article.split == Split::Test).count(), 30);
}

#[test]
fn a_missing_split_is_made_from_the_training_texts_and_said() {
    let folder = folder();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let rows = |split: &str| csv(|at| format!("{split}の見出し{at},{}", ["b", "a"][at % 2]));
    fs::write(data.join("train.csv"), rows("学習")).unwrap();
    fs::write(data.join("dev.csv"), rows("検証")).unwrap();
    let (run, ingest) = ingest(&folder, &data, "corpus.split.validation=0.5");
    ingest
        .succeeds()
        .says("the corpus has no test split; it is made from the training texts")
        .does_not_say("no validation");
    let count =
        |run: &Run, split| run.corpus().articles.iter().filter(|article| article.split == split).count();
    assert_eq!(Split::ALL.map(|split| count(&run, split)), [24, 30, 6]);
    let corpus = run.corpus();
    assert!(corpus.articles.iter().all(|a| a.title.starts_with("検証") == (a.split == Split::Validation)));
    assert_eq!(
        (corpus.articles[0].id.as_str(), corpus.articles[30].id.as_str()),
        ("train-1", "validation-1")
    );

    fs::write(data.join("test.csv"), rows("評価")).unwrap();
    let (run, ingest) = self::ingest(&folder, &data, "");
    ingest.succeeds().says("the splits are those of the corpus");
    assert_eq!(Split::ALL.map(|split| count(&run, split)), [30, 30, 30]);

    fs::write(data.join("test.csv"), rows("評価").replace("label", "other")).unwrap();
    self::ingest(&folder, &data, "").1.fails_with([
        "test.csv: expected the columns of",
        "train.csv",
        "\"other\"",
    ]);
    fs::remove_file(data.join("train.csv")).unwrap();
    fs::write(data.join("test.csv"), rows("評価")).unwrap();
    self::ingest(&folder, &data, "").1.fails_with(["gives splits, but no text for training"]);
}

#[test]
fn labels_in_one_split_and_equal_texts_in_both_are_said() {
    let folder = folder();
    let text = csv(|at| {
        let (split, label) =
            if at < 20 { ("train", ["b", "a"][at % 2]) } else { ("test", ["c", "a"][at % 2]) };
        format!("見出し{},{label},{split}", at % 25)
    })
    .replace("text,label", "text,label,split");
    let (run, outcome) = succeeds(&folder, "a.csv", &text, "");
    outcome
        .says("no training text in c: the model cannot learn them; the corpus has its texts in other splits only")
        .says("no test text in b: the report cannot measure them")
        .says("5 test texts are also training texts");
    assert!(run.text("run.json").contains("\"equal_texts\": 5"));
    ingest_file(&folder, "a.csv", text.replacen("test", "holdout", 1), "").1.fails_with([
        "row 21: the split is \"holdout\"; expected train, validation (or valid, val, dev) or test",
    ]);
}

#[test]
fn labels_that_look_the_same_are_one_category_and_said() {
    let folder = folder();
    let text = csv(|at| format!("見出し{at},{}", ["が", "か\u{3099}", "b"][at % 3]));
    let (run, outcome) = succeeds(&folder, "a.csv", text, "");
    outcome.says("2 spellings of \"が\" look the same");
    assert_eq!(run.corpus().categories, ["b", "が"]);
}

#[test]
fn folders_of_categories_may_lie_in_folders_of_splits() {
    let folder = folder();
    let corpus = Corpus::title_first()
        .file("train/a/1.txt", "学習".as_bytes())
        .file("train/b/1.txt", "学習".as_bytes())
        .file("test/a/1.txt", "評価".as_bytes())
        .file("test/b/2.txt", "評価".as_bytes())
        .write(folder.path().join("texts"));
    ingest(&folder, &corpus, "").1.fails_with(["train/b/1.txt has the same id as train/a/1.txt"]);
    fs::rename(corpus.join("train/b/1.txt"), corpus.join("train/b/2.txt")).unwrap();
    let (run, ingest) = ingest(&folder, &corpus, "");
    ingest.succeeds().says("the splits are those of the corpus");
    for article in run.corpus().articles {
        assert_eq!(article.title == "学習", article.split == Split::Train, "{}", article.id);
    }
}

#[test]
fn a_table_trains_a_model_from_beginning_to_end() {
    let folder = folder();
    let text = csv(|at| format!("{}の見出し{at},{}", ["映画", "家電"][at % 2], ["movie", "it"][at % 2]));
    let path = folder.path().join("a.csv");
    fs::write(&path, text).unwrap();
    let run = run(folder.path().join("artifacts"), "whole", &path.display().to_string())
        .small_model()
        .set("run.threads=2");
    run.stages(&STAGES);
    assert_eq!(run.predictions().categories.len(), 2);
}

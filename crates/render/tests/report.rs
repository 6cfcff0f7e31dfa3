//! Tests of the whole stage: a run's folder with invented artifacts is the input, `report.html` the output.
//!
//! The folder stays in Cargo's `target/tmp/report/`, so that the page can be opened in a browser.

#![allow(clippy::unwrap_used)] // a test that cannot prepare its input may panic

#[path = "report/explorer.rs"]
mod explorer;
#[path = "report/sections.rs"]
mod sections;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use midashi_artifacts::{
    Article, ArticleMetrics, AttentionRow, Averages, BaselineMetrics, BestHead, Calibration, CalibrationBin,
    CategoryId, ClassMetrics, ClassificationReport, Confusion, Corpus, Difference, Encoding, Erasure,
    Explanation, Explanations, Faithfulness, Integration, Interval, Intervals, MaskedMetrics, McNemar,
    Measure, Method, MethodFaithfulness, Metrics, ModelCard, PaddingShares, Prediction, Predictions, Scores,
    Split, StepRow, TokenizedCorpus, TokenizedText, Unit, write_attention, write_training,
};
use midashi_config::{Head, TextChoice};
use midashi_stage::{Stage, StageArguments, Sums, sha256_of};
use midashi_tests::browser::STARTING;
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Value, json};

const CATEGORIES: [&str; 9] = [
    "dokujo-tsushin",
    "it-life-hack",
    "kaden-channel",
    "livedoor-homme",
    "movie-enter",
    "peachy",
    "smax",
    "sports-watch",
    "topic-news",
];
const SCRIPT: &str = "<script>alert(1)</script>\"'&";
const BIDI: &str = "右から|\u{202E}|左へ\u{2069}\u{2069}家族👨\u{200D}👩\u{200D}👧と\u{200B}制御\u{1B}文字";

/// Titles as words and pieces: words are separated by spaces, which have no tokens, and pieces by bars. ㍿ becomes
/// four pieces.
const TITLES: [&str; 20] = [
    "新型 スマート|フォン を 試す 、 3 日 で 分かっ|た 長所 と 短所",
    "㍿ が 広く 見える 収納 の コツ 5 選",
    "監督 が 語る 「 海 の 向こう 」 撮影 秘話",
    "逆転 サヨナラ ！ 延長 12 回 の 死闘 を 制する",
    "掃除|機 の 音 は どこ まで 静か に なる か",
    "婚|活 パーティー で 聞か|れ|た 意外 な 質問 〜 本音 は どこ ？ 〜",
    "革靴 を 長持ち さ|せる 手入れ 、 職人 に 聞く",
    "駅前 の パン|屋 が 閉店 、 惜しむ 声 続く",
    "春 の メイク は ピンク で 決まり ♪",
    "A|nd|roid 4 . 0 搭載 タブレット が 発売 、 価格 は 2 万 円 台",
    "字幕 か 吹き替え か 、 映画館 で 聞い|て み|た",
    "背番号 10 を 継ぐ の は 誰 だ",
    "表計算 で つまずか|ない ため の 小技",
    "電子レンジ だけ で 作る 夕食",
    "一人 旅 に 出る 理由",
    "深夜 の ラジオ が 終わる",
    "時計 選び の 基本 を 押さえる",
    "無料 通話 アプリ を 比べる",
    SCRIPT,
    BIDI,
];

struct Run {
    arguments: StageArguments,
    folder: PathBuf,
}

impl Run {
    /// Artifacts of a run called `name`, as the earlier stages would write them.
    fn invented(name: &str) -> Self {
        Self::of(name, &TITLES.iter().enumerate().map(tokenized).collect::<Vec<_>>())
    }

    /// The same with a linear baseline, which is right about every second text, and with measured explanations:
    /// integrated gradients are best, then gradient × input; attention is no better than chance. The label of text 18
    /// is in doubt.
    fn measured(name: &str) -> Self {
        let run = Self::invented(name);
        let path = run.folder.join("predictions.parquet");
        let mut predictions = Predictions::read(&path).unwrap();
        let sure = &mut predictions.rows[18];
        sure.probabilities = vec![0.01; 9];
        sure.probabilities[sure.predicted.index()] = 0.92;
        let mut metrics = Metrics::read(&run.folder.join("metrics.json")).unwrap();
        metrics.faithfulness = Some(faithfulness());
        metrics.write(&run.folder.join("metrics.json")).unwrap();
        run.write_baseline(
            &predictions,
            McNemar { only_first_right: 3, only_second_right: 19, p_value: 0.0009 },
        );
        run
    }

    /// The same with a gradient × input of 1 for every token, so that frequent words have the same attribution in all
    /// texts.
    fn even(name: &str) -> Self {
        let run = Self::measured(name);
        let path = run.folder.join("explanations.parquet");
        let mut explanations = Explanations::read(&path).unwrap();
        explanations.rows.iter_mut().for_each(|row| row.gradient_x_input.fill(1.0));
        run.record("evaluate", &json!({"even": true}), &json!({}), |provenance| {
            explanations.write(&path, provenance).unwrap();
        });
        run
    }

    /// Writes these predictions with a baseline that is right about every second text, and its metrics.
    fn write_baseline(&self, predictions: &Predictions, mcnemar: McNemar) {
        let count = predictions.categories.len();
        let answer = |(at, row): (usize, &Prediction)| {
            let other = (row.label.0 + 2) % count as u16;
            let predicted = CategoryId(if at % 2 == 0 { row.label.0 } else { other });
            let mut probabilities = vec![0.05; count];
            probabilities[predicted.index()] = 0.6;
            Prediction { predicted, probabilities, ..row.clone() }
        };
        let rows = predictions.rows.iter().enumerate().map(answer).collect();
        let baseline = Predictions { categories: predictions.categories.clone(), rows };
        self.record("evaluate", &json!({"baseline": true}), &json!({}), |provenance| {
            let path = self.folder.join("predictions.parquet");
            predictions.write(Some(&baseline), &path, provenance).unwrap();
        });
        let path = self.folder.join("metrics.json");
        let mut metrics = Metrics::read(&path).unwrap();
        let around = |mean: f64| Interval { low: mean - 0.05, high: mean + 0.05 };
        let intervals =
            |accuracy, macro_f1| Intervals { accuracy: around(accuracy), macro_f1: around(macro_f1) };
        metrics.intervals = Some(intervals(0.651, 0.661));
        let scores = Scores { accuracy: 0.7123, macro_f1: 0.7234, intervals: intervals(0.701, 0.711) };
        metrics.baseline = Some(BaselineMetrics { scores, report: metrics.clone().into(), mcnemar });
        metrics.write(&path).unwrap();
    }

    /// The same for these texts.
    fn of(name: &str, texts: &[TokenizedText]) -> Self {
        Self::with(name, texts, &CATEGORIES.map(str::to_owned))
    }

    /// A measured run of many categories, whose first has markup in its name. The texts are all of the test split. Half of
    /// them are in the first `texts / 20` categories, ten in each, and the others in categories of their own.
    fn crowded(name: &str, categories: usize, texts: usize) -> Self {
        let mut names: Vec<String> =
            (0..categories).map(|at| format!("大きな分類・小さな分類 {at:05}")).collect();
        names[0] = SCRIPT.into();
        let text = |at: usize| {
            let title = format!("第 {at} 回 {}", TITLES[at % 13]);
            let label = if at < texts / 2 { at % (texts / 20) } else { at };
            let text = tokenized((at, &title.as_str()));
            TokenizedText { label: CategoryId(label as u16), split: Split::Test, ..text }
        };
        let run = Self::with(name, &(0..texts).map(text).collect::<Vec<_>>(), &names);
        let predictions = Predictions::read(&run.folder.join("predictions.parquet")).unwrap();
        let path = run.folder.join("metrics.json");
        let metrics = Metrics::read(&path).unwrap();
        Metrics { faithfulness: Some(faithfulness()), ..metrics }.write(&path).unwrap();
        // As many matrices as `evaluate` keeps by default.
        let path = run.folder.join("explanations.parquet");
        let mut explanations = Explanations::read(&path).unwrap();
        explanations.rows.iter_mut().skip(30).for_each(|row| row.attentions = None);
        run.record("evaluate", &json!({"few": true}), &json!({}), |provenance| {
            explanations.write(&path, provenance).unwrap();
        });
        run.write_baseline(
            &predictions,
            McNemar { only_first_right: 3, only_second_right: 19, p_value: 0.0009 },
        );
        run
    }

    /// The artifacts of these texts and categories.
    fn with(name: &str, texts: &[TokenizedText], categories: &[String]) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
        let _ = std::fs::remove_dir_all(root.join(name));
        std::fs::create_dir_all(&root).unwrap();
        let config = root.join(format!("{name}.toml"));
        let text = format!(
            "[run]\nname = {name:?}\nartifacts = {root:?}\n[render]\ntitle = \"見出し & <Midashi>\"\n"
        );
        std::fs::write(&config, text).unwrap();
        let run = Self { arguments: StageArguments { config, set: Vec::new() }, folder: root.join(name) };
        run.write_artifacts(texts, categories);
        run
    }

    fn write_artifacts(&self, texts: &[TokenizedText], categories: &[String]) {
        let at = |file: &str| self.folder.join(file);
        self.record(
            "fetch",
            &json!({"corpus_source": "https://example.org/titles.tar.gz", "corpus": "cache/titles.tar.gz",
                "checkpoint_source": "example/bert-<base>", "checkpoint": "cache/snapshots/0a1b2c3"}),
            &json!({"revision": "0a1b2c3"}),
            |_| (),
        );
        self.record(
            "ingest",
            &json!({"split": {"test": 0.4, "seed": 3}}),
            &json!({"articles": texts.len()}),
            |provenance| {
                let articles = texts.iter().map(article).collect();
                Corpus { categories: categories.to_vec(), articles }
                    .write(&at("corpus.parquet"), provenance)
                    .unwrap();
            },
        );
        let tokenize = json!({"max_length": 512, "dictionary": "ipadic", "learned_vocabulary_size": null});
        let tokenized_so = json!({"max_length": 24, "counts": {"truncated": 1}});
        self.record("tokenize", &tokenize, &tokenized_so, |provenance| {
            let corpus = TokenizedCorpus {
                categories: categories.to_vec(),
                tokenizer: "MeCab words, WordPiece".into(),
                vocabulary_size: 32_000,
                replacement: None,
                windowing: None,
                texts: texts.to_vec(),
            };
            corpus.write(&at("tokens.arrow"), provenance).unwrap();
        });
        let train = json!({
            "engine": {"device": "cpu", "onnxruntime": "1.2.3", "threads": 2},
            "train": {"trainable_layers": 1, "epochs": 5, "batch_size": 32, "seed": 7, "device": "auto",
                "learning_rate": {"encoder": 5e-5, "classifier": 1e-4}, "trunk_batch_tokens": 2048},
            "scratch": null,
            "threads": 2,
        });
        let trained = json!({"parameters": 9,
            "epochs": [{"epoch": 1, "summed_loss": 365.885870218277}]});
        self.record("train", &train, &trained, |provenance| {
            write_training(&at("training.parquet"), &steps(), provenance).unwrap();
            std::fs::create_dir_all(at("model")).unwrap();
            std::fs::write(at("model/README.md"), card(categories)).unwrap();
        });
        let evaluate = json!({"evaluate": {"attention_texts": 200, "device": "auto"}, "threads": 2});
        self.record("evaluate", &evaluate, &json!({"device": "cpu"}), |provenance| {
            let predict = |(row, text)| prediction_among(row, text, categories.len());
            let rows: Vec<Prediction> = texts.iter().enumerate().map(predict).collect();
            let explained = texts.iter().enumerate().zip(&rows);
            let explanations =
                explained.map(|((at, text), row)| explanation_of(at, text, row.predicted)).collect();
            metrics(&rows, categories).write(&at("metrics.json")).unwrap();
            Predictions { categories: categories.to_vec(), rows }
                .write(None, &at("predictions.parquet"), provenance)
                .unwrap();
            let attention: Vec<AttentionRow> = texts.iter().map(attention).collect();
            write_attention(&at("attention.parquet"), &attention, provenance).unwrap();
            Explanations { categories: categories.to_vec(), rows: explanations }
                .write(&at("explanations.parquet"), provenance)
                .unwrap();
        });
    }

    /// Acts as the stage `name` and writes its entry in `run.json`.
    fn record(
        &self,
        name: &'static str,
        settings: &Value,
        details: &Value,
        write: impl FnOnce(&midashi_stage::Provenance),
    ) {
        let _no_child_starts = STARTING.read();
        let stage = Stage::open(name, 1, &self.arguments).unwrap();
        let work = stage.begin(settings, &[], &[]).unwrap();
        // Without outputs, a second call has nothing to do.
        let Some(work) = work else { return };
        write(&work.provenance());
        work.finish(details).unwrap();
    }

    /// Enters the present digests of the artifacts in `run.json`, as if each stage had written them so.
    fn vouch(&self) {
        let path = self.folder.join("run.json");
        let Ok(text) = std::fs::read(&path) else { return };
        let mut record: Value = serde_json::from_slice(&text).unwrap();
        Sums::compute(&self.folder.join("model")).unwrap().write().unwrap();
        for (stage, files) in [
            ("ingest", &["corpus.parquet"][..]),
            ("tokenize", &["tokens.arrow"]),
            ("train", &["training.parquet", "model"]),
            (
                "evaluate",
                &["predictions.parquet", "attention.parquet", "explanations.parquet", "metrics.json"],
            ),
        ] {
            let files = files.iter().filter(|file| self.folder.join(file).exists());
            let digest = |file| json!({"path": file, "sha256": sha256_of(&self.folder.join(file)).unwrap()});
            let entry = record["stages"][stage].as_object_mut().unwrap();
            entry.insert("outputs".into(), files.map(digest).collect());
            entry.remove("sha256");
        }
        std::fs::write(path, record.to_string()).unwrap();
    }

    fn render(&self) -> Output {
        self.vouch();
        let starting = STARTING.write();
        let child = Command::new(env!("CARGO_BIN_EXE_midashi-render"))
            .arg("--config")
            .arg(&self.arguments.config)
            .env_remove("MIDASHI_SET")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(starting);
        child.wait_with_output().unwrap()
    }

    fn report(&self) -> String {
        let output = self.render();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(self.folder.join("report.html")).unwrap()
    }
}

/// `[CLS]`, the pieces, `[SEP]`. The normalised text has no spaces and has 株式会社 instead of ㍿.
fn tokenized((at, title): (usize, &&str)) -> TokenizedText {
    let mut text = TokenizedText {
        id: format!("text-{at}"),
        label: CategoryId((at % 9) as u16),
        split: [Split::Train, Split::Test][at % 2],
        encoding: Encoding {
            original: title.replace('|', ""),
            text: title.replace(['|', ' '], "").replace('㍿', "株式会社"),
            ..Encoding::default()
        },
    };
    let mut push = |token: String, word: Option<usize>, offsets, original| {
        text.encoding.input_ids.push(0);
        text.encoding.token_type_ids.push(0);
        text.encoding.tokens.push(token);
        text.encoding.word_ids.push(word.map(|word| word as i32));
        text.encoding.offsets.push(offsets);
        text.encoding.original_offsets.push(original);
    };
    push("[CLS]".into(), None, (0, 0), (0, 0));
    let (mut start, mut written) = (0, 0);
    for (number, word) in title.split(' ').enumerate() {
        for (piece, surface) in word.split('|').enumerate() {
            let original = (written, written + surface.chars().count() as u32);
            let normalised = if surface == "㍿" { vec!["株", "式", "会", "社"] } else { vec![surface] };
            for (at, surface) in normalised.into_iter().enumerate() {
                let end = start + surface.chars().count() as u32;
                let token = match (piece + at, surface) {
                    (0, "♪") => "[UNK]".to_owned(),
                    (0, surface) => surface.to_owned(),
                    (_, surface) => format!("##{surface}"),
                };
                push(token, Some(number), (start, end), original);
                start = end;
            }
            written = original.1;
        }
        written += 1;
    }
    push("[SEP]".into(), None, (start, start), (0, 0));
    text
}

fn article(text: &TokenizedText) -> Article {
    Article {
        id: text.id.clone(),
        category: text.label,
        url: None,
        published_at: None,
        title: text.encoding.original.clone(),
        body: String::new(),
        split: text.split,
    }
}

fn prediction((at, text): (usize, &TokenizedText)) -> Prediction {
    prediction_among(at, text, CATEGORIES.len())
}

/// Every third text is classified as the next category.
fn prediction_among(at: usize, text: &TokenizedText, categories: usize) -> Prediction {
    let wrong = at.is_multiple_of(3);
    let predicted = if wrong { (text.label.0 + 1) % categories as u16 } else { text.label.0 };
    let low = if categories == CATEGORIES.len() { 0.03 } else { 0.27 / categories as f32 };
    let mut probabilities = vec![low; categories];
    probabilities[usize::from(text.label.0)] = 0.2;
    let others = categories - if wrong { 2 } else { 1 };
    probabilities[usize::from(predicted)] = 1.0 - low * others as f32 - 0.2 * f32::from(u8::from(wrong));
    Prediction { id: text.id.clone(), label: text.label, predicted: CategoryId(predicted), probabilities }
}

/// Twelve heads; each text has its highest weights around a different token.
fn attention(text: &TokenizedText) -> AttentionRow {
    let count = text.encoding.tokens.len();
    let head = |head: usize| {
        let center = 1 + (count * 7 + head / 4) % (count - 2);
        let raw = (0..count).map(|at| match at {
            0 => 0.8,
            at if at == count - 1 => 1.6,
            at => 1.0 / (1.0 + (at as f32 - center as f32).powi(2)),
        });
        let raw: Vec<f32> = raw.collect();
        let sum: f32 = raw.iter().sum();
        raw.into_iter().map(|weight| weight / sum).collect()
    };
    AttentionRow {
        id: text.id.clone(),
        tokens: text.encoding.tokens.clone(),
        word_ids: text.encoding.word_ids.clone(),
        attention: (0..12).map(head).collect(),
    }
}

/// Two layers of twelve heads, the last as in [`attention`]. Every sixth text and the last have matrices, every second
/// text has integrated gradients and leave-one-out weights.
fn explanation((at, text): (usize, &TokenizedText)) -> Explanation {
    explanation_of(at, text, prediction((at, text)).predicted)
}

fn explanation_of(at: usize, text: &TokenizedText, category: CategoryId) -> Explanation {
    let count = text.encoding.tokens.len();
    let last = attention(text).attention;
    let mean: Vec<f32> =
        (0..count).map(|token| last.iter().map(|head| head[token]).sum::<f32>() / 12.0).collect();
    let signed = |scale: f32| -> Vec<f32> {
        (0..count).map(|token| scale * (3.0 - ((token * 5 + at) % 7) as f32)).collect()
    };
    let matrices = || {
        let first_layer = (0..12 * count * count).map(|_| 1.0 / count as f32);
        // Each token's attention is that of `[CLS]`, shifted to its position.
        let rows = last.iter().flat_map(|head| (0..count).map(move |from| (head, from)));
        let last_layer =
            rows.flat_map(|(head, from)| (0..count).map(move |to| head[(to + count - from) % count]));
        first_layer.chain(last_layer).collect()
    };
    Explanation {
        id: text.id.clone(),
        category,
        layer_attention: vec![vec![1.0 / count as f32; count], mean],
        rollout: (0..count).map(|token| (token + 1) as f32 / (count * (count + 1) / 2) as f32).collect(),
        gradient_x_input: signed(0.5),
        integrated_gradients: at.is_multiple_of(2).then(|| signed(0.25)),
        leave_one_out: at.is_multiple_of(2).then(|| signed(1e-4)),
        attentions: (at.is_multiple_of(6) || at == 19).then(matrices),
    }
}

fn steps() -> Vec<StepRow> {
    let row = |step: i64, split, loss: f64| StepRow {
        step,
        epoch: (step - 1) / 60 + 1,
        split,
        loss,
        correct: (32.0 * (-loss).exp()) as i64,
        texts: 32,
        tokens: 640,
        learning_rate_encoder: 5e-5,
        learning_rate_classifier: 1e-4,
        gradient_norm: None,
        batch: Vec::new(),
    };
    let loss = |step: i64| 0.45 + 1.8 * (-step as f64 / 80.0).exp();
    let noise = |step: i64| 0.2 * ((step * step * 37 % 101) as f64 / 101.0 - 0.5);
    (1..=300)
        .flat_map(|step| {
            let train = row(step, Split::Train, loss(step) + noise(step));
            let validation = (step % 60 == 0).then(|| row(step, Split::Validation, loss(step) + 0.15));
            std::iter::once(train).chain(validation)
        })
        .collect()
}

fn metrics(rows: &[Prediction], categories: &[String]) -> Metrics {
    let mut support = vec![0; categories.len()];
    rows.iter().for_each(|row| support[row.label.index()] += 1);
    let scores = Averages { precision: 0.625, recall: 0.65, f1: 0.6375 };
    let class = |(label, &support): (&String, &u64)| ClassMetrics { label: label.clone(), scores, support };
    Metrics {
        accuracy: 0.65,
        macro_f1: 0.6375,
        weighted_f1: 0.6375,
        macro_average: scores,
        weighted_average: scores,
        per_class: categories.iter().zip(&support).map(class).collect(),
        confusion: Confusion::of(categories.len(), rows.iter().map(|row| (row.label, row.predicted))),
        labels: categories.to_vec(),
        test_rows: rows.len() as u64,
        calibration: Some(Calibration {
            expected_calibration_error: 0.0432,
            brier_score: 0.4321,
            bins: (0..10).map(|at| bin(at, rows)).collect(),
        }),
        ..Metrics::default()
    }
}

/// Faithfulness on ten texts: differences to random words are significant from 0.05.
fn faithfulness() -> Faithfulness {
    let around = |number: f64| Interval { low: number - 0.05, high: number + 0.05 };
    let measure = |mean: f64, floor: f64| Measure {
        mean,
        interval: around(mean),
        over_random: Some(Difference::new(mean - floor, around(mean - floor), 10)),
        over_attention: None,
    };
    let row = |(method, comprehensiveness, sufficiency)| {
        let erasure = Erasure {
            comprehensiveness: measure(comprehensiveness, 0.2),
            sufficiency: measure(sufficiency, 0.4),
        };
        MethodFaithfulness { method, masked: erasure, removed: erasure, leave_one_out: measure(0.3, 0.0) }
    };
    let methods = [
        (Method::Attention, 0.21, 0.41),
        (Method::BestHead, 0.22, 0.4),
        (Method::Rollout, 0.3, 0.4),
        (Method::GradientXInput, 0.5, 0.3),
        (Method::IntegratedGradients, 0.7, 0.1),
        (Method::Random, 0.2, 0.4),
    ];
    Faithfulness {
        texts: 10,
        units: Unit::Words,
        replacement: "[MASK]".into(),
        mean_units: 8.0,
        shares: vec![0.1, 0.2, 0.5],
        methods: methods.map(row).to_vec(),
        best_head: BestHead { head: 3, texts: 8 },
        integration: Some(Integration { mean_points: 13.5, mean_error: 0.0361, largest_error: 0.0497 }),
    }
}

fn bin(at: u8, rows: &[Prediction]) -> CalibrationBin {
    let (low, high) = (f64::from(at) / 10.0, f64::from(at + 1) / 10.0);
    let confidence = |row: &&Prediction| f64::from(row.probabilities[row.predicted.index()]);
    let texts = rows.iter().filter(|row| low < confidence(row) && confidence(row) <= high).count() as u64;
    CalibrationBin { low, high, texts, confidence: (low + high) / 2.0, accuracy: low }
}

fn parse(html: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(html, options).unwrap()
}

fn with_class<'a>(document: &'a Document, class: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| {
        node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
    })
}

/// The text of a node without scripts.
fn text_of(node: Node) -> String {
    let is_shown =
        |node: &Node| node.is_text() && node.parent().is_none_or(|parent| !parent.has_tag_name("script"));
    node.descendants().filter(is_shown).filter_map(|node| node.text()).collect()
}

/// The visible English text, without text for screen readers.
fn english_of(node: Node) -> String {
    let hides = |node: Node| {
        let class = node.attribute("class").unwrap_or_default();
        node.has_tag_name("script") || class == "hidden" || class == "said" && lang_of(node) == Some("ja")
    };
    let is_shown = |text: &Node| !text.ancestors().any(hides);
    node.descendants()
        .filter(|node| node.is_text() && is_shown(node))
        .filter_map(|node| node.text())
        .collect()
}

fn lang_of<'a>(node: Node<'a, '_>) -> Option<&'a str> {
    node.attribute("lang")
}

#[test]
fn the_page_is_well_formed_and_shows_the_artifacts() {
    let run = Run::invented("complete");
    let html = run.report();
    let page = parse(&html);
    let text = text_of(page.root_element());
    for part in [
        "見出し & <Midashi>",
        "0.6500",
        "0.6375",
        "Not comparable",
        "20 in 9 categories",
        "Wrong: 7 of 20 shown texts",
        "4: 0.5",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    let facts = with_class(&page, "facts").next().unwrap();
    let facts: Vec<String> = facts.children().filter(Node::is_element).map(english_of).collect();
    let facts: Vec<(&str, &str)> = facts.chunks(2).map(|fact| (fact[0].as_str(), fact[1].as_str())).collect();
    let expected = [
        ("Articles", "20 in 9 categories"),
        ("Split", "10 train, 10 test"),
        ("Corpus", "https://example.org/titles.tar.gz"),
        ("Seed of the split", "3"),
        ("Checkpoint", "example/bert-<base>"),
        ("Checkpoint revision", "0a1b2c3"),
        ("Tokenizer", "MeCab words, WordPiece"),
        ("Dictionary", "ipadic"),
        ("Trainable layers", "1"),
        ("Epochs", "5"),
        ("Batch size", "32"),
        ("Learning rates", "encoder 5e-5, classifier 1e-4"),
        ("Seed of the training", "7"),
        ("Device", "cpu"),
        ("Threads", "2"),
        ("ONNX Runtime", "1.2.3"),
        ("Midashi", concat!(env!("CARGO_PKG_VERSION"), "+1")),
    ];
    assert_eq!(facts, expected, "the device that was used, not the one requested");
    assert_eq!(with_class(&page, "chart").filter(|chart| chart.attribute("role") == Some("img")).count(), 5);
    let confusion = with_class(&page, "confusion").next().unwrap();
    assert_eq!(confusion.descendants().filter(|node| node.has_tag_name("td")).count(), 81);
    assert!(html.len() < 370_000, "{} bytes for 20 texts", html.len());
}

/// The model card that `train` writes.
fn card(categories: &[String]) -> String {
    let categories: Vec<_> = categories.iter().map(|label| (label.clone(), [1, 0, 1])).collect();
    ModelCard {
        base_model: None,
        corpus: "texts",
        categories: &categories,
        text: TextChoice::Title,
        max_length: 24,
        windowing: None,
        head: Head::Linear,
        trimmed: None,
        training: &[],
    }
    .text()
}

#[test]
fn the_model_card_has_the_results() {
    let run = Run::invented("card");
    run.report();
    let accuracy = Metrics::read(&run.folder.join("metrics.json")).unwrap().accuracy;
    let text = std::fs::read_to_string(run.folder.join("README.md")).unwrap();
    assert!(text.contains(&format!("      value: {accuracy:.4}\n      name: Accuracy")), "{text}");
    assert!(text.contains(&format!("| this model | {accuracy:.4} | – |")), "{text}");

    std::fs::write(run.folder.join("model/README.md"), "# My own\n").unwrap();
    let refused = run.render();
    assert_eq!(refused.status.code(), Some(2));
    let message = String::from_utf8_lossy(&refused.stderr);
    assert!(
        message.contains("model/README.md: found no metadata") && message.contains("make train"),
        "{message}"
    );
}

#[test]
fn the_baselines_metrics_are_shown_with_the_models() {
    let run = Run::invented("baseline");
    let plain = english_of(parse(&run.report()).root_element());
    assert!(!plain.contains("linear baseline 0") && !plain.contains("95% interval"));
    assert!(plain.contains("There is no linear baseline in this run"));

    let predictions = Predictions::read(&run.folder.join("predictions.parquet")).unwrap();
    run.write_baseline(&predictions, McNemar { only_first_right: 3, only_second_right: 19, p_value: 0.0009 });
    let path = run.folder.join("metrics.json");
    let mut metrics: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    metrics["ensemble"] = json!({"weight": 0.5, "accuracy": 0.8123, "macro_f1": 0.8234,
        "intervals": {"accuracy": {"low": 0.76, "high": 0.86}, "macro_f1": {"low": 0.77, "high": 0.87}}});
    std::fs::write(&path, metrics.to_string()).unwrap();
    let html = run.report();
    let text = english_of(parse(&html).root_element());
    for part in [
        "accuracy, 95% interval 0.601 to 0.701",
        "linear baseline 0.7123, 95% interval 0.651 to 0.751",
        "linear baseline 0.7234, 95% interval 0.661 to 0.761",
        "both, averaged 0.8234, 95% interval 0.770 to 0.870",
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
}

#[test]
fn the_report_begins_with_the_verdict_and_ends_with_what_repeats_the_run() {
    let run = Run::invented("verdict");
    let predictions = Predictions::read(&run.folder.join("predictions.parquet")).unwrap();
    for (only_first_right, only_second_right, p_value, kind, parts) in [
        (
            3,
            19,
            0.0009,
            "linear",
            ["✗", "BERT loses to the linear baseline: 65.0% of the test texts right, against 71.2%"],
        ),
        (3, 9, 0.146, "behind", ["✗", "BERT is behind the linear baseline: 65.0%"]),
        (9, 3, 0.146, "ahead", ["≈", "BERT is not clearly better than the linear baseline"]),
        (19, 3, 0.0009, "bert", ["✓", "BERT beats the linear baseline"]),
    ] {
        run.write_baseline(&predictions, McNemar { only_first_right, only_second_right, p_value });
        let html = run.report();
        let page = parse(&html);
        let verdict = page.descendants().find(|node| node.attribute("id") == Some("verdict")).unwrap();
        assert_eq!(verdict.attribute("class"), Some(format!("comparison {kind}").as_str()));
        let text = english_of(verdict);
        assert!(parts.iter().all(|part| text.contains(part)), "{kind}: {text}");
        assert!(text.contains(&format!("Only BERT is right on {only_first_right} texts")), "{text}");
        assert_eq!(text.contains("is significant"), p_value < 0.05, "{text}");
    }
    let html = run.report();
    let page = parse(&html);
    let sections: Vec<&str> = page
        .descendants()
        .filter(|node| {
            node.has_tag_name("section") && node.parent().is_some_and(|it| it.has_tag_name("main"))
        })
        .filter_map(|node| node.attribute("id"))
        .collect();
    assert_eq!((sections[0], sections[sections.len() - 1]), ("texts", "run"), "{sections:?}");
    let folded = with_class(&page, "folded").next().unwrap();
    assert_eq!((folded.tag_name().name(), folded.attribute("open")), ("details", None));
    assert!(english_of(folded).contains("Checkpoint revision") && english_of(folded).contains("SHA-256"));
}

#[test]
fn a_baseline_that_does_not_belong_to_the_predictions_is_refused() {
    let run = Run::measured("baseline-mixed");
    run.record("evaluate", &json!({"mixed": true}), &json!({}), |provenance| {
        let path = run.folder.join("predictions.parquet");
        Predictions::read(&path).unwrap().write(None, &path, provenance).unwrap();
    });
    let refused = run.render();
    let message = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2));
    assert!(message.contains("column baseline") && message.contains("make evaluate"), "{message}");
}

#[test]
fn with_the_articles_choices_the_page_states_both_ways_of_measuring() {
    let run = Run::invented("article");
    let plain = text_of(parse(&run.report()).root_element());
    assert!(!plain.contains("As the article measures it"));

    let path = run.folder.join("metrics.json");
    let mut metrics = Metrics::read(&path).unwrap();
    let mut swapped = metrics.per_class.clone();
    swapped[0].support = 123_456;
    metrics.article = Some(ArticleMetrics {
        swapped: ClassificationReport {
            macro_average: Averages { precision: 0.1234, recall: 0.2345, f1: 0.6375 },
            weighted_average: Averages::default(),
            per_class: swapped,
        },
        masked: MaskedMetrics { accuracy: 0.7654, macro_f1: 0.7543, changed_predictions: 5 },
        padding: PaddingShares { positions: 0.311, attention: 0.207 },
    });
    metrics.write(&path).unwrap();
    let html = run.report();
    let text = text_of(parse(&html).root_element());
    for part in [
        "classification_report(prediction, answer)",
        "123,456",
        "0.1234",
        "0.7654",
        "0.7543",
        "changes 5 of 20 predictions",
        "31.1% of a text’s positions and received 20.7% of the attention",
        "without an attention mask",
        "Padding, which received 20.7%",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    assert!(text.contains("0.6500"), "the numbers of the run itself stay where they are");
}

#[test]
fn the_page_loads_nothing_and_runs_only_its_own_script() {
    let run = Run::invented("alone");
    let html = run.report();
    let page = parse(&html);
    for node in page.descendants().filter(Node::is_element) {
        assert!(!["img", "iframe", "object"].contains(&node.tag_name().name()));
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            assert!(name != "style" && !name.starts_with("on") && name != "src", "{name}={value}");
            assert!(name != "href" || value.starts_with('#') || value == "data:,", "{name}={value}");
        }
    }
    let style = page.descendants().find(|node| node.has_tag_name("style")).unwrap();
    let style = style.text().unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    let policy = page.descendants().find_map(|node| node.attribute("content")).unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("; script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let scripts = page.descendants().filter(|node| node.has_tag_name("script"));
    let data = scripts.clone().filter(|script| script.attribute("type") == Some("application/json"));
    assert_eq!((scripts.count(), data.count()), (3, 2), "all but one are data");
}

#[test]
fn titles_are_shown_as_they_are_and_never_become_markup() {
    let run = Run::invented("escaped");
    let html = run.report();
    let page = parse(&html);
    let titles: Vec<String> = with_class(&page, "title").map(text_of).collect();
    assert!(titles.iter().any(|title| title.ends_with(SCRIPT)));
    let visible = BIDI.replace('|', "").replace('\u{1B}', "␛");
    let bidi = with_class(&page, "title").find(|title| text_of(*title).ends_with(&visible)).unwrap();
    assert_eq!(bidi.last_element_child().map(|node| node.tag_name().name()), Some("bdi"));
    assert!(with_class(&page, "stand-in").any(|piece| text_of(piece) == "U+202E"));
    let unknown = with_class(&page, "piece").find(|piece| text_of(*piece) == "♪").unwrap();
    assert!(unknown.attribute("title").is_some_and(|title| title.contains("[UNK]")));
}

#[test]
fn the_gallery_colours_the_strongest_token_fully_and_marks_errors_in_words() {
    let run = Run::invented("gallery");
    let html = run.report();
    let page = parse(&html);
    let texts: Vec<Node> = with_class(&page, "text").collect();
    assert_eq!(texts.len(), 20);
    for text in &texts {
        let wrong = text.attribute("class") == Some("text wrong");
        assert_eq!(text_of(*text).contains("✗ wrong"), wrong);
        let classes: Vec<&str> = text.descendants().filter_map(|node| node.attribute("class")).collect();
        assert!(classes.iter().any(|class| class.contains("l10")), "{classes:?}");
        assert_eq!(classes.iter().filter(|class| **class == "special").count(), 2, "[CLS] and [SEP]");
    }
    let phone = with_class(&page, "word").find(|word| text_of(*word) == "スマートフォン").unwrap();
    let tokens: Vec<&str> = phone.children().filter_map(|piece| piece.attribute("title")).collect();
    assert!(tokens.len() == 2 && tokens[1].contains("##フォン"), "{tokens:?}");
}

#[test]
fn the_gallery_colours_the_text_as_its_author_wrote_it() {
    let run = Run::invented("original");
    let html = run.report();
    let page = parse(&html);
    let coloured = with_class(&page, "tokens").map(text_of);
    let published = with_class(&page, "title").map(|title| text_of(title.last_element_child().unwrap()));
    let pairs: Vec<(String, String)> = coloured.zip(published).collect();
    assert_eq!(pairs.len(), 20);
    for (coloured, published) in pairs {
        assert_eq!(coloured.replace("U+202E", "\u{202E}"), published);
    }
    let company = with_class(&page, "piece").find(|piece| text_of(*piece) == "㍿").unwrap();
    let tokens = company.attribute("title").unwrap().replace(['\u{2068}', '\u{2069}'], "");
    assert!(tokens.starts_with("株 + ##式 + ##会 + ##社 · "), "{tokens}");
}

#[test]
fn a_finished_report_is_up_to_date_and_a_new_title_remakes_it() {
    let run = Run::invented("again");
    let first = run.report();
    let second = run.render();
    assert!(String::from_utf8_lossy(&second.stdout).contains("up to date"));
    let config = std::fs::read_to_string(&run.arguments.config).unwrap();
    std::fs::write(&run.arguments.config, config.replace("見出し", "題")).unwrap();
    assert_ne!(run.report(), first);
}

#[test]
fn a_changed_record_of_another_stage_remakes_the_report() {
    let run = Run::invented("recorded");
    run.report();
    let path = run.folder.join("run.json");
    let mut record: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["stages"]["train"]["wall_seconds"] = json!(1234.5);
    record["stages"]["train"]["settings"]["engine"]["onnxruntime"] = json!("1.2.4");
    std::fs::write(&path, record.to_string()).unwrap();
    let html = run.report();
    assert!(html.contains("1234.5") && html.contains("1.2.4"));
    assert!(String::from_utf8_lossy(&run.render().stdout).contains("up to date"));
}

#[test]
fn artifacts_that_no_record_vouches_for_are_refused() {
    let run = Run::invented("unrecorded");
    std::fs::remove_file(run.folder.join("run.json")).unwrap();
    let output = run.render();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        message.contains("corpus.parquet cannot be checked") && message.contains("make ingest"),
        "{message}"
    );
}

#[test]
fn artifacts_that_do_not_belong_together_are_refused() {
    let run = Run::invented("mixed");
    std::fs::remove_file(run.folder.join("metrics.json")).unwrap();
    let missing = run.render();
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&missing.stderr)
            .contains("metrics.json is missing: run `make evaluate` first")
    );

    let run = Run::invented("mixed");
    run.record("evaluate", &json!({"other": true}), &json!({}), |provenance| {
        let mut row = attention(&tokenized((0, &TITLES[0])));
        row.id = "nobody".into();
        write_attention(&run.folder.join("attention.parquet"), &[row], provenance).unwrap();
    });
    let mixed = run.render();
    let message = String::from_utf8_lossy(&mixed.stderr);
    assert_eq!(mixed.status.code(), Some(2));
    assert!(
        message.contains("attention.parquet: row \"nobody\"; run `make evaluate` again")
            && message.contains("not in predictions.parquet"),
        "{message}"
    );
}

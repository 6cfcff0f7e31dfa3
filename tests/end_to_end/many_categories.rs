//! More categories than a table lists or a matrix holds, from the corpus to the report.

use std::fs;

use midashi_artifacts::ConfusionCell;
use midashi_tests::{Run, STAGES, folder};

const CATEGORIES: usize = 1_000;

/// A headline of a category: its number in two words, and one of five endings.
fn row(category: usize, ending: usize) -> String {
    let endings = ["を語る", "の見どころ", "が始まる", "を選ぶ", "の舞台裏"];
    format!("第{}課の{}番{},分類{category:04}\n", category / 40, category % 40, endings[ending])
}

#[test]
fn a_thousand_categories_make_a_small_report_and_short_tables() {
    let artifacts = folder();
    let corpus = artifacts.path().join("corpus");
    fs::create_dir_all(&corpus).unwrap();
    let table = |rows: &mut dyn Iterator<Item = String>| format!("text,label\n{}", rows.collect::<String>());
    let mut train = (0..CATEGORIES).flat_map(|category| [0, 1, 2].map(|ending| row(category, ending)));
    fs::write(corpus.join("train.csv"), table(&mut train)).unwrap();
    // Of every second category one text.
    let mut test = (0..CATEGORIES).step_by(2).map(|category| row(category, 3 + category / 2 % 2));
    fs::write(corpus.join("test.csv"), table(&mut test)).unwrap();

    let run = Run::sample(&artifacts, "many").small_model().reads(&corpus);
    let outcome = run.stages(&STAGES);
    outcome.says("… and 950 more").says("these are the 50 of 1000 categories with the lowest F1");
    let printed = outcome.printed();
    assert!(printed.lines().count() < 400, "{} lines", printed.lines().count());

    let (metrics, predictions) = (run.metrics(), run.predictions());
    assert_eq!((metrics.labels.len(), metrics.per_class.len(), predictions.rows.len()), (1_000, 1_000, 500));
    // The cells count the predictions.
    for ConfusionCell { label, predicted, texts } in metrics.confusion.cells() {
        let of_pair = predictions.rows.iter().filter(|row| (row.label, row.predicted) == (label, predicted));
        assert_eq!(of_pair.count() as u64, texts, "{label:?} {predicted:?}");
    }
    assert_eq!(metrics.confusion.cells().map(|cell| cell.texts).sum::<u64>(), 500);
    let json: serde_json::Value = serde_json::from_str(&run.text("metrics.json")).unwrap();
    assert_eq!(json["confusion"]["categories"], 1_000);
    let labels: serde_json::Value = serde_json::from_str(&run.text("model/config.json")).unwrap();
    assert_eq!(labels["id2label"].as_object().map(serde_json::Map::len), Some(1_000));

    // Of many categories, a table gets as many as are asked for, and the best is that of all.
    let rows = |options: &[&str]| -> Vec<serde_json::Value> {
        let asked =
            run.stage("predict").arguments(["--format", "jsonl", "第3課の1番を語る"]).arguments(options);
        asked.succeeds().stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let all = &rows(&["--all"])[0];
    let mut ranked: Vec<(&String, f64)> = all["probabilities"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(category, probability)| (category, probability.as_f64().unwrap()))
        .collect();
    // A stable sort of names in the model's order.
    ranked.sort_by(|one, other| other.1.total_cmp(&one.1));
    let top = &rows(&["--top", "1000"])[0]["top"];
    let top: Vec<(&str, f64)> = top
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["category"].as_str().unwrap(), item["probability"].as_f64().unwrap()))
        .collect();
    assert_eq!(top, ranked.iter().map(|(name, value)| (name.as_str(), *value)).collect::<Vec<_>>());

    let size = |name: &str| run.bytes(name).len();
    assert!(size("report.html") < 4_000_000, "{} bytes", size("report.html"));
    assert!(size("README.md") < 20_000 && size("model/README.md") < 20_000, "{} bytes", size("README.md"));
}

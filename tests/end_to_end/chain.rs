//! From the corpus to the report: what each stage hands on is what the others know.

use std::fs;
use std::process::Command;

use midashi_artifacts::{Predictions, Split};
use midashi_baseline::Baseline;
use midashi_tests::{binary, folder, root};
use roxmltree::{Document, Node, ParsingOptions};

use crate::runs::finished;

fn articles_of(split: Split) -> usize {
    finished().corpus().articles.iter().filter(|article| article.split == split).count()
}

#[test]
fn every_article_is_tokenised_in_the_order_of_the_corpus() {
    let (corpus, tokens) = (finished().corpus(), finished().tokens());
    assert_eq!(corpus.categories.len(), 9);
    assert_eq!(tokens.texts.len(), corpus.articles.len());
    for (text, article) in tokens.texts.iter().zip(&corpus.articles) {
        assert_eq!((&text.id, text.label, text.split), (&article.id, article.category, article.split));
        assert_eq!(text.encoding.tokens.first().map(String::as_str), Some("[CLS]"));
        assert_eq!(text.encoding.tokens.last().map(String::as_str), Some("[SEP]"));
    }
}

#[test]
fn training_takes_every_text_once_an_epoch_and_the_loss_falls() {
    let steps = finished().training();
    let per_epoch = articles_of(Split::Train).div_ceil(32);
    assert_eq!(steps.iter().filter(|row| row.split == Split::Train).count(), 2 * per_epoch);
    assert_eq!(steps.iter().filter(|row| row.split == Split::Validation).count(), 2);
    let (first, last) = (&steps[0], &steps[steps.len() - 2]);
    assert!(last.loss < first.loss, "the loss falls: {} … {}", first.loss, last.loss);
}

#[test]
fn metrics_count_the_predictions_of_the_test_split() {
    let (predictions, metrics) = (finished().predictions(), finished().metrics());
    let test = articles_of(Split::Test);
    let right = predictions.rows.iter().filter(|row| row.label == row.predicted).count();
    assert_eq!((predictions.rows.len(), metrics.test_rows), (test, test as u64));
    assert!((metrics.accuracy - right as f64 / test as f64).abs() < 1e-12);
    assert_eq!(metrics.labels, finished().corpus().categories);
    assert_eq!(metrics.confusion.cells().map(|cell| cell.texts).sum::<u64>(), test as u64);
    let interval = metrics.intervals.expect("intervals").accuracy;
    assert!(interval.low < metrics.accuracy && metrics.accuracy < interval.high);
    for row in &predictions.rows {
        assert!((row.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn the_baseline_is_fitted_to_the_same_training_texts() {
    let tokens = finished().tokens();
    let split = |split| {
        let texts = tokens.texts.iter().filter(move |text| text.split == split);
        texts
            .map(|text| (text.encoding.original.as_str(), text.label.index()))
            .unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let ((texts, labels), (test_texts, answers)) = (split(Split::Train), split(Split::Test));
    let probabilities = Baseline::fit(&texts, &labels, 9).unwrap().probabilities(&test_texts);
    let argmax = |row: &Vec<f64>| (0..9).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let right: Vec<bool> =
        probabilities.iter().zip(&answers).map(|(row, answer)| argmax(row) == *answer).collect();

    let found = finished().metrics().baseline.expect("a linear baseline");
    let count = right.iter().filter(|right| **right).count();
    assert!((found.scores.accuracy - count as f64 / answers.len() as f64).abs() < 1e-12);
    let predictions = finished().predictions();
    let alone = predictions.rows.iter().zip(&right);
    let alone = alone.filter(|(row, baseline)| row.label == row.predicted && !**baseline).count();
    assert_eq!(found.mcnemar.only_first_right, alone as u64);

    // Beside each prediction is the baseline's answer for the same text.
    let answers = Predictions::read_answers(&finished().artifact("predictions.parquet")).unwrap().unwrap();
    for (answer, row) in answers.iter().zip(&probabilities) {
        assert_eq!(answer.baseline.index(), argmax(row));
        assert!((f64::from(answer.baseline_probability) - row[argmax(row)]).abs() < 1e-6);
    }
    assert_eq!(answers.len(), predictions.rows.len());
}

/// The reader's way: save the report's configuration as run.toml, copy the command, add a text.
#[test]
fn the_reports_command_explains_another_text_with_the_runs_model() {
    let html = finished().text("report.html");
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let page = Document::parse_with_options(&html, options).unwrap();
    let part = |holds: &dyn Fn(&Node) -> bool| {
        let node = page.descendants().find(|node| holds(node)).unwrap();
        node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect::<String>()
    };
    let folder = folder();
    let saved = folder.path().join("run.toml");
    fs::write(&saved, part(&|node| node.has_tag_name("pre"))).unwrap();
    let data = part(&|node| node.attribute("id") == Some("explorer-data"));
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    let command = data["command"].as_str().unwrap();
    let command = command.replace("target/release/midashi-predict", &binary("predict").to_string_lossy());
    let command = command.replace("--config run.toml", &format!("--config '{}'", saved.display()));
    let command = format!("{command} --explain gradient-x-input --format json -- '猫の新しい写真'");
    let output = Command::new("sh")
        .args(["-c", &command])
        .current_dir(root())
        .env_remove("MIDASHI_CONFIG")
        .env_remove("MIDASHI_SET")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command}: {printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("猫の新しい写真") && printed.contains("gradient_x_input"), "{printed}");
}

#[test]
fn attention_of_20_texts_is_written_and_a_heads_row_sums_to_1() {
    let attention = finished().attention();
    assert_eq!(attention.len(), 20);
    for row in &attention {
        assert_eq!(row.attention.len(), 2, "heads");
        for head in &row.attention {
            assert_eq!(head.len(), row.tokens.len());
            assert!((head.iter().sum::<f32>() - 1.0).abs() < 1e-5, "a head's row sums to 1");
        }
    }
}

#[test]
fn the_report_shows_the_run_and_loads_nothing_from_outside() {
    let report = finished().text("report.html");
    assert!(report.contains("Sample headlines") && report.contains("sports-watch"));
    assert!(report.contains("only the baseline on"));
    for scheme in ["src=\"http", "href=\"http", "url(http"] {
        assert!(!report.contains(scheme), "the report loads something from outside: {scheme}");
    }
}

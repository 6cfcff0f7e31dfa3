//! Compares the baseline with scikit-learn's on the sample corpus (`fixtures/baseline_reference.py`).
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use midashi_baseline::Baseline;
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    features: usize,
    /// Number of correct predictions.
    right: usize,
    /// Probabilities of every sixth test headline.
    probabilities: Vec<Vec<f64>>,
}

/// Headlines and their categories, in the script's order.
fn sample() -> Vec<(String, usize)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/sample/text");
    let sorted = |folder: &Path| {
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let categories = sorted(&corpus).into_iter().filter(|path| path.is_dir());
    let headline = |path: &Path| fs::read_to_string(path).unwrap().split('\n').nth(2).unwrap().to_owned();
    let texts = |(category, folder): (usize, std::path::PathBuf)| {
        let paths = sorted(&folder).into_iter().filter(|path| path.file_stem().unwrap() != "LICENSE");
        paths.map(move |path| (headline(&path), category))
    };
    categories.enumerate().flat_map(texts).collect()
}

#[test]
fn probabilities_match_scikit_learn() {
    let reference: Reference =
        serde_json::from_str(include_str!("fixtures/baseline_reference.json")).unwrap();
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (at, row) in sample().into_iter().enumerate() {
        if at % 5 == 0 { test.push(row) } else { train.push(row) }
    }
    let (texts, labels): (Vec<_>, Vec<_>) = train.into_iter().unzip();
    let baseline = Baseline::fit(&texts, &labels, 9).unwrap();
    assert_eq!(baseline.features(), reference.features);

    let (texts, labels): (Vec<_>, Vec<_>) = test.into_iter().unzip();
    let found = baseline.probabilities(&texts);
    for (found, expected) in found.iter().step_by(6).zip(&reference.probabilities) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{found}, scikit-learn computes {expected}");
        }
    }
    let argmax = |row: &Vec<f64>| row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
    let right = found.iter().zip(labels).filter(|(row, label)| argmax(row) == *label).count();
    assert_eq!(right, reference.right);
}

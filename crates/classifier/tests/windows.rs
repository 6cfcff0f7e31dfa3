//! A text that is read in windows has the weighted mean of their logits, and explanations of that mean.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::PathBuf;

use midashi_classifier::{
    BulkClassifier, Classifier, Dictionaries, Integration, MatmulPrecision, Method, ModelFolder, Options,
    Scores, TextIds,
};
use midashi_runtime::{DeviceChoice, Engine};

const MAX_LENGTH: usize = 16;
const STRIDE: usize = 4;
const LONG: &str = "逆転勝利の日本代表、監督が語る涙の理由。週末に観たい映画の予告編が公開。スマートフォンの新型が発売、価格は\
    2万円台でカメラが進化した秋の注目モデルを試す。";

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn engine() -> Engine {
    Engine::open(&root().join("cache/onnxruntime"), DeviceChoice::Cpu, 2).unwrap()
}

fn options() -> Options {
    Options {
        dictionaries: Dictionaries::below(&root().join("cache")),
        integration: Integration { points: 200, error: 1e-3 },
        ..Options::default()
    }
}

/// The bundled model as if it had been trained on windows.
fn model() -> (tempfile::TempDir, ModelFolder) {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(root().join("tests/fixtures/model")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let record = format!(
        r#"{{"trunk": null, "max_length": {MAX_LENGTH}, "long_texts": "windows", "stride": {STRIDE}}}"#
    );
    fs::write(folder.path().join("midashi.json"), record).unwrap();
    let model = ModelFolder::open(folder.path()).unwrap();
    (folder, model)
}

/// The windows of ids between two special tokens, cut by hand: each with its first place in the text.
fn cut(ids: &[i32]) -> Vec<(usize, Vec<i32>)> {
    let (first, last) = (ids[0], ids[ids.len() - 1]);
    let (words, room) = (&ids[1..ids.len() - 1], MAX_LENGTH - 2);
    let mut windows = Vec::new();
    for start in (0..words.len()).step_by(room - STRIDE) {
        let end = (start + room).min(words.len());
        windows.push((start + 1, [&[first], &words[start..end], &[last]].concat()));
        if end == words.len() {
            break;
        }
    }
    windows
}

/// The mean of numbers of windows with so many tokens.
fn mean(numbers: &[(f64, usize)]) -> f64 {
    let tokens: usize = numbers.iter().map(|(_, tokens)| tokens).sum();
    numbers.iter().map(|(number, count)| number * *count as f64).sum::<f64>() / tokens as f64
}

#[test]
fn the_answer_is_the_mean_of_the_windows_logits_weighted_by_tokens() {
    let engine = engine();
    let (_folder, model) = model();
    let mut classifier = Classifier::with_options(model, &engine, options()).unwrap();
    let whole = classifier.encode(&[LONG]).unwrap().remove(0);
    assert!(!whole.truncated && whole.encoding.len() > 2 * MAX_LENGTH);
    let windows = cut(&whole.encoding.input_ids);
    let zeros = [0; MAX_LENGTH];
    let ids: Vec<TextIds<'_>> = windows
        .iter()
        .map(|(_, ids)| TextIds { input_ids: ids, token_type_ids: &zeros[..ids.len()] })
        .collect();
    let of_windows = classifier.classify_ids(&ids).unwrap();
    let found = classifier.classify(&["短い", LONG]).unwrap().remove(1);
    let (_folder, model) = self::model();
    let mut bulk = BulkClassifier::open(&model, &engine, &options(), MatmulPrecision::Float32).unwrap();
    let scores: Vec<Scores> = bulk.classify_stream(["短い", LONG]).map(|one| one.unwrap().unwrap()).collect();
    for label in 0..classifier.labels().len() {
        let numbers = of_windows.iter().zip(&windows);
        let numbers: Vec<(f64, usize)> =
            numbers.map(|(one, (_, ids))| (f64::from(one.logits[label]), ids.len())).collect();
        let expected = mean(&numbers);
        for logits in [&found.logits, &scores[1].logits] {
            assert!((f64::from(logits[label]) - expected).abs() < 1e-5, "{label}: {logits:?} {expected}");
        }
    }
    assert!((found.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    // Attention of the windows at their tokens: [CLS] gets that of all, and every head still sums to 1.
    let (heads, tokens) = found.attention.dim();
    assert_eq!(tokens, whole.encoding.len());
    for head in 0..heads {
        let of_cls: Vec<(f64, usize)> = of_windows
            .iter()
            .zip(&windows)
            .map(|(one, (_, ids))| (f64::from(one.attention[[head, 0]]), ids.len()))
            .collect();
        assert!((f64::from(found.attention[[head, 0]]) - mean(&of_cls)).abs() < 1e-5);
        assert!((found.attention.row(head).sum() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn gradients_are_those_of_the_mean_and_integrated_gradients_are_complete() {
    let engine = engine();
    let (_folder, model) = model();
    let mut classifier = Classifier::with_options(model, &engine, options()).unwrap();
    let products = classifier.explain(&[LONG], Method::GradientXInput).unwrap().remove(0);
    let (encoding, category) = (&products.text.encoding, products.prediction.category.index());
    let windows = cut(&encoding.input_ids);
    assert_eq!(products.windows, windows.len());
    let tokens: usize = windows.iter().map(|(_, ids)| ids.len()).sum();
    let zeros = [0; MAX_LENGTH];
    let mut expected = vec![0.0; encoding.len()];
    for (start, ids) in &windows {
        let text = TextIds { input_ids: ids, token_type_ids: &zeros[..ids.len()] };
        let of_window = classifier.attributions(&[text], &[category]).unwrap().remove(0).gradient_x_input;
        for (at, weight) in of_window.iter().enumerate() {
            let place = match at {
                0 => 0,
                _ if at + 1 == ids.len() => encoding.len() - 1,
                _ => start + at - 1,
            };
            expected[place] += f64::from(*weight) * ids.len() as f64 / tokens as f64;
        }
    }
    for (found, expected) in products.weights.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }

    let integrated = classifier.explain(&[LONG], Method::IntegratedGradients).unwrap().remove(0);
    let (mask, _) = classifier.tokenizer().unwrap().replacement().unwrap();
    let masked = midashi_text::Encoding {
        input_ids: integrated.text.encoding.masked_input_ids(mask),
        ..integrated.text.encoding.clone()
    };
    let without = classifier.classify_encodings(&[&masked]).unwrap().remove(0).logits[category];
    let difference = f64::from(integrated.prediction.logits[category] - without);
    let sum: f64 = integrated.weights.iter().sum();
    assert!((sum - difference).abs() < 0.02 * difference.abs().max(0.1), "{sum} {difference}");
}

#[test]
fn a_text_of_one_window_has_the_results_of_a_model_without_windows() {
    let engine = engine();
    let (_folder, model) = model();
    let mut in_windows = Classifier::with_options(model, &engine, options()).unwrap();
    let plain = ModelFolder::open(&root().join("tests/fixtures/model")).unwrap();
    let mut plain = Classifier::with_options(plain, &engine, options()).unwrap();
    let texts = ["逆転勝利の日本代表", "新しい料理の本"];
    for method in [Method::ATTENTION, Method::Rollout, Method::GradientXInput, Method::IntegratedGradients] {
        let found = in_windows.explain(&texts, method).unwrap();
        let expected = plain.explain(&texts, method).unwrap();
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.prediction, expected.prediction);
            assert_eq!(found.weights, expected.weights);
            assert_eq!((found.windows, &found.text), (1, &expected.text));
        }
    }
}

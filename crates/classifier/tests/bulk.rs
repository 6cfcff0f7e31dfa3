//! Classifying streams of texts agrees with classifying texts, whatever the windows.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::path::PathBuf;

use midashi_classifier::{
    BulkClassifier, Classifier, Dictionaries, MatmulPrecision, ModelFolder, Options, Scores, Window,
};
use midashi_runtime::{DeviceChoice, Engine};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn engine() -> Engine {
    Engine::open(&root().join("cache/onnxruntime"), DeviceChoice::Cpu, 2).unwrap()
}

fn options() -> Options {
    Options { dictionaries: Dictionaries::below(&root().join("cache")), ..Options::default() }
}

fn model() -> ModelFolder {
    ModelFolder::open(&root().join("tests/fixtures/model")).unwrap()
}

fn bulk(engine: &Engine) -> BulkClassifier {
    BulkClassifier::open(&model(), engine, &options(), MatmulPrecision::Float32).unwrap()
}

/// Texts of many lengths, in no order.
fn texts(count: usize) -> Vec<String> {
    let words = ["本", "映画の予告編", "逆転勝利の日本代表、監督が語る涙の理由", "新型スマホ"];
    (0..count).map(|number| format!("{number}{}", words[number % 4].repeat(1 + number % 5))).collect()
}

fn assert_close(found: &Scores, expected: &[f32]) {
    for (found, expected) in found.probabilities.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn a_stream_has_the_predictions_of_its_texts_in_their_order() {
    let engine = engine();
    let texts = texts(BulkClassifier::WINDOW + 100);
    let expected = Classifier::with_options(model(), &engine, options()).unwrap().classify(&texts).unwrap();
    let mut bulk = bulk(&engine);
    let found: Vec<Option<Scores>> = bulk.classify_stream(texts).map(Result::unwrap).collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let found = found.as_ref().unwrap();
        assert_close(found, &expected.probabilities);
        assert_eq!(found.category, expected.category);
        let largest = found.logits.iter().copied().fold(f32::MIN, f32::max);
        assert_eq!(found.logits[found.category.index()], largest);
    }
}

#[test]
fn a_text_without_words_has_no_prediction() {
    let engine = engine();
    let found: Vec<bool> = bulk(&engine)
        .classify_stream(["本", "", " \u{3000}", "本"])
        .map(|one| one.unwrap().is_some())
        .collect();
    assert_eq!(found, [true, false, false, true]);
    assert_eq!(
        bulk(&engine).classify_stream([""; 3]).filter(|one| one.as_ref().unwrap().is_none()).count(),
        3
    );
    assert_eq!(bulk(&engine).classify_stream(Vec::<String>::new()).count(), 0);
}

#[test]
fn windows_come_back_with_what_was_kept_until_an_error() {
    #[derive(Debug)]
    struct Failed(String);
    impl From<midashi_classifier::Error> for Failed {
        fn from(error: midashi_classifier::Error) -> Self {
            Self(error.to_string())
        }
    }
    let engine = engine();
    let mut bulk = bulk(&engine);
    let window = |number: usize| Ok(Window { texts: texts(number), kept: number });
    let windows = vec![window(3), window(0), window(5), Err(Failed("here".into())), window(7)];
    let mut done = 0;
    let found: Vec<Result<(usize, usize), Failed>> = bulk
        .classify_windows(windows)
        .with_progress(|texts| done += texts)
        .map(|window| window.map(|window| (window.kept, window.scores.len())))
        .collect();
    assert_eq!(done, 8);
    assert_eq!(found.len(), 4);
    let kept: Vec<_> = found[..3].iter().map(|window| *window.as_ref().unwrap()).collect();
    assert_eq!(kept, [(3, 3), (0, 0), (5, 5)]);
    assert_eq!(found[3].as_ref().unwrap_err().0, "here");
}

#[test]
fn a_prediction_does_not_depend_on_the_window() {
    let engine = engine();
    let texts = texts(40);
    let mut bulk = bulk(&engine);
    let together: Vec<Scores> =
        bulk.classify_stream(texts.clone()).map(|one| one.unwrap().unwrap()).collect();
    for (text, expected) in texts.into_iter().zip(&together).step_by(7) {
        let alone = bulk.classify_stream([text]).next().unwrap().unwrap().unwrap();
        assert_close(&alone, &expected.probabilities);
    }
}

#[test]
fn a_text_that_is_too_long_is_truncated_and_says_so() {
    let engine = engine();
    let options = Options { max_length: Some(8), ..options() };
    let mut bulk = BulkClassifier::open(&model(), &engine, &options, MatmulPrecision::Float32).unwrap();
    let found: Vec<Scores> = bulk
        .classify_stream(["本の話".repeat(20), "本".to_owned()])
        .map(|one| one.unwrap().unwrap())
        .collect();
    assert_eq!([found[0].truncated, found[1].truncated], [true, false]);
}

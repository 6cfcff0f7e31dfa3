//! Compares the fine-tuned model with a linear baseline, which is fitted on the same training texts and
//! measured on the same test texts, and with the average of the two.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use midashi_artifacts::{
    BaselineMetrics, CategoryId, EnsembleMetrics, Intervals, McNemar, Metrics, Prediction, Predictions,
    Scores, Split, TokenizedCorpus,
};
use midashi_baseline::Baseline;
use midashi_config::Evaluate;
use midashi_encoder::argmax;
use midashi_stage::Work;
use ndarray::ArrayView1;

use crate::metrics::metrics;
use crate::statistics::{bootstrap, mcnemar};
use crate::texts::in_split;

/// Raised when the linear model gives other results for the same texts.
const REVISION: u32 = 3;

/// The linear model beside the fine-tuned one.
#[derive(Debug, Default, PartialEq)]
pub struct Comparison {
    /// The linear model's predictions for the same texts.
    pub predictions: Option<Predictions>,
    /// Its metrics.
    pub baseline: Option<BaselineMetrics>,
    /// The metrics of both models together, with `evaluate.ensemble`.
    pub ensemble: Option<EnsembleMetrics>,
}

/// Where the baseline's predictions are cached for runs that share their texts.
struct Cache {
    /// `baseline.parquet`.
    path: PathBuf,
    /// Everything that the predictions depend on: the SHA-256 of `tokens.arrow`, and [`REVISION`].
    key: String,
}

/// The baseline's predictions and metrics and those of the ensemble, if the configuration requests them. `model` are
/// the fine-tuned model's predictions.
///
/// # Errors
/// When an ensemble is requested and no baseline can be fitted, or the cache cannot be written.
pub fn compare(work: &Work, corpus: &TokenizedCorpus, model: &Predictions) -> Result<Comparison> {
    let (config, folder) = (work.config(), work.folder());
    if !config.evaluate.baseline {
        return Ok(Comparison::default());
    }
    let tokens_sha256 = work.sha256_of(&folder.tokens()).context("tokens.arrow is no input of this stage")?;
    let key = format!("tokens.arrow {tokens_sha256}, revision {REVISION}");
    let cache = Cache { path: folder.baseline(), key };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(config.threads()).build()?;
    threads.install(|| compare_cached(corpus, model, &config.evaluate, &cache))
}

/// Without a baseline, and with a note, when the training texts have no features in common.
fn compare_cached(
    corpus: &TokenizedCorpus,
    model: &Predictions,
    settings: &Evaluate,
    cache: &Cache,
) -> Result<Comparison> {
    // An unreadable cache is reported and made again.
    let cached = Predictions::read_cache(&cache.path, &cache.key).unwrap_or_else(|error| {
        midashi_stage::outln!("  {error}");
        None
    });
    let baseline = match cached.filter(|cached| cached.is_of_the_same_texts(model)) {
        Some(cached) => cached,
        None => match fit_and_predict(corpus, model) {
            Ok(predictions) => {
                predictions.write_cache(&cache.path, &cache.key)?;
                predictions
            }
            Err(error) if settings.ensemble => {
                return Err(error).context(
                    "evaluate.ensemble needs the linear baseline; set evaluate.ensemble = false or train on more texts",
                );
            }
            Err(error) => {
                midashi_stage::outln!("  no linear baseline: {error}");
                return Ok(Comparison::default());
            }
        },
    };
    let weight = settings.ensemble_weight;
    let ensemble = settings.ensemble.then(|| scores(&average(model, &baseline, weight))).transpose()?;
    let compared = BaselineMetrics {
        scores: scores(&baseline)?,
        report: metrics(&baseline)?.into(),
        mcnemar: mcnemar(&correct(model), &correct(&baseline)),
    };
    Ok(Comparison {
        predictions: Some(baseline),
        baseline: Some(compared),
        ensemble: ensemble.map(|scores| EnsembleMetrics { weight, scores }),
    })
}

/// Each model's scores with their intervals, and the test of the difference, for the terminal.
pub fn lines(metrics: &Metrics) -> String {
    let mut lines = String::new();
    let Metrics { accuracy, macro_f1, .. } = *metrics;
    let own = metrics.intervals.map(|intervals| ("fine-tuned", Scores { accuracy, macro_f1, intervals }));
    let baseline = metrics.baseline.as_ref().map(|baseline| ("linear baseline", baseline.scores));
    let ensemble = metrics.ensemble.map(|ensemble| ("both, averaged", ensemble.scores));
    for (name, scores) in [own, baseline, ensemble].into_iter().flatten() {
        let Scores { accuracy, macro_f1, intervals: Intervals { accuracy: a, macro_f1: f } } = scores;
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            "  {name:<15}  accuracy {accuracy:.4} ({:.4} to {:.4})  macro F1 {macro_f1:.4} ({:.4} to {:.4})",
            a.low, a.high, f.low, f.high,
        );
    }
    if let Some(BaselineMetrics { scores, mcnemar, .. }) = &metrics.baseline {
        let _ = writeln!(
            lines,
            "  correct where the other is wrong: fine-tuned {}, linear baseline {}\n  {}: accuracy {accuracy:.4} against {:.4} \
             ({mcnemar})",
            mcnemar.only_first_right,
            mcnemar.only_second_right,
            verdict(mcnemar),
            scores.accuracy,
        );
    }
    lines
}

/// What McNemar's test says about the two models, BERT first.
fn verdict(mcnemar: &McNemar) -> &'static str {
    match mcnemar.is_significant() {
        false => "no difference is shown between BERT and the linear baseline",
        true if mcnemar.only_first_right > mcnemar.only_second_right => {
            "BERT is better than the linear baseline"
        }
        true => "BERT is worse than the linear baseline",
    }
}

/// Fits the baseline on the training split and predicts the texts of `model`.
fn fit_and_predict(
    corpus: &TokenizedCorpus,
    model: &Predictions,
) -> Result<Predictions, midashi_baseline::Error> {
    // The texts as their authors wrote them: the baseline does not use the tokenizer.
    let originals = |split| in_split(corpus, split).into_iter().map(|at| &corpus.texts[at]);
    let (texts, labels): (Vec<&str>, Vec<usize>) =
        originals(Split::Train).map(|text| (text.encoding.original.as_str(), text.label.index())).unzip();
    let baseline = Baseline::fit(&texts, &labels, corpus.categories.len())?;
    let texts: Vec<&str> = originals(Split::Test).map(|text| text.encoding.original.as_str()).collect();
    let probabilities = baseline.probabilities(&texts);
    Ok(with_probabilities(model, |_, row| probabilities[row].iter().map(|&p| p as f32).collect()))
}

/// The weighted mean of two models' probabilities for the same texts.
fn average(first: &Predictions, second: &Predictions, weight: f64) -> Predictions {
    with_probabilities(first, |row, at| {
        let pairs = row.probabilities.iter().zip(&second.rows[at].probabilities);
        pairs
            .map(|(&one, &other)| (weight * f64::from(one) + (1.0 - weight) * f64::from(other)) as f32)
            .collect()
    })
}

/// The same texts with other probabilities, and the category that is then the most probable.
fn with_probabilities(
    predictions: &Predictions,
    probabilities: impl Fn(&Prediction, usize) -> Vec<f32>,
) -> Predictions {
    let rows = predictions.rows.iter().enumerate().map(|(at, row)| {
        let probabilities = probabilities(row, at);
        let predicted = CategoryId(argmax(ArrayView1::from(&probabilities)) as u16);
        Prediction { id: row.id.clone(), label: row.label, predicted, probabilities }
    });
    Predictions { categories: predictions.categories.clone(), rows: rows.collect() }
}

fn scores(predictions: &Predictions) -> Result<Scores> {
    let Metrics { accuracy, macro_f1, .. } = metrics(predictions)?;
    Ok(Scores { accuracy, macro_f1, intervals: bootstrap(predictions) })
}

fn correct(predictions: &Predictions) -> Vec<bool> {
    predictions.rows.iter().map(|row| row.label == row.predicted).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use midashi_artifacts::{Encoding, TokenizedText};

    use super::*;

    fn corpus(texts: &[(&str, u16, Split)]) -> TokenizedCorpus {
        let text = |&(original, label, split): &(&str, u16, Split)| TokenizedText {
            id: original.into(),
            label: CategoryId(label),
            split, // The baseline must not read this field.
            encoding: Encoding { original: original.into(), text: "同じ".into(), ..Encoding::default() },
        };
        TokenizedCorpus {
            categories: vec!["魚".into(), "鳥".into()],
            tokenizer: String::new(),
            vocabulary_size: 0,
            replacement: None,
            windowing: None,
            texts: texts.iter().map(text).collect(),
        }
    }

    fn predictions(rows: &[(u16, [f32; 2])]) -> Predictions {
        let row = |&(label, probabilities): &(u16, [f32; 2])| Prediction {
            id: String::new(),
            label: CategoryId(label),
            predicted: CategoryId(u16::from(probabilities[1] > probabilities[0])),
            probabilities: probabilities.to_vec(),
        };
        Predictions { categories: vec!["魚".into(), "鳥".into()], rows: rows.iter().map(row).collect() }
    }

    /// The first character of a title decides its category; the test texts are among the others.
    fn separable() -> TokenizedCorpus {
        use Split::{Test, Train};
        corpus(&[
            ("鯛の群れ", 0, Train),
            ("鯛が来た", 1, Test),
            ("鯛が釣れた", 0, Train),
            ("鷹が来た", 1, Train),
            ("鷹の巣", 1, Test),
            ("鷹の群れ", 1, Train),
        ])
    }

    /// With an empty cache.
    fn compare(corpus: &TokenizedCorpus, model: &Predictions, settings: &Evaluate) -> Result<Comparison> {
        let folder = tempfile::tempdir()?;
        compare_cached(corpus, model, settings, &cache(folder.path(), "these"))
    }

    fn cache(folder: &Path, key: &str) -> Cache {
        Cache { path: folder.join("baseline.parquet"), key: key.into() }
    }

    #[test]
    fn a_baseline_is_fitted_once_for_the_same_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let model = predictions(&[(1, [0.9, 0.1]), (1, [0.6, 0.4])]);
        let accuracy = |corpus: &TokenizedCorpus, tokens: &str| {
            let cache = cache(folder.path(), tokens);
            let compared = compare_cached(corpus, &model, &Evaluate::default(), &cache).unwrap();
            compared.baseline.unwrap().scores.accuracy
        };
        let before = accuracy(&separable(), "these");
        // The first test text now looks like a bird to the baseline; the cache still has the old prediction.
        let mut other = separable();
        other.texts[1].encoding.original = "鷹が来た".into();
        assert_eq!(accuracy(&other, "these"), before);
        let after = accuracy(&other, "others");
        assert_ne!(after, before);
        std::fs::write(folder.path().join("baseline.parquet"), "damaged").unwrap();
        assert_eq!(accuracy(&other, "others"), after, "made again");
    }

    #[test]
    fn both_models_are_measured_on_the_same_texts() {
        // The baseline predicts fish, bird; the model fish, fish; both texts are about birds.
        let model = predictions(&[(1, [0.9, 0.1]), (1, [0.6, 0.4])]);
        let settings = Evaluate { ensemble: true, ensemble_weight: 0.1, ..Evaluate::default() };
        let compared = compare(&separable(), &model, &settings).unwrap();
        let (baseline, ensemble) = (compared.baseline.unwrap(), compared.ensemble.unwrap());
        let answers: Vec<u16> =
            compared.predictions.unwrap().rows.iter().map(|row| row.predicted.0).collect();
        assert_eq!(answers, [0, 1], "the baseline's own, beside the model's");
        assert_eq!(baseline.scores.accuracy, 0.5);
        let compared = baseline.mcnemar;
        assert_eq!((compared.only_first_right, compared.only_second_right, compared.p_value), (0, 1, 1.0));
        assert_eq!((ensemble.weight, ensemble.scores.accuracy), (0.1, 0.5), "the baseline decides");
        let settings = Evaluate { ensemble_weight: 1.0, ..settings };
        let ensemble = compare(&separable(), &model, &settings).unwrap().ensemble.unwrap();
        assert_eq!(ensemble.scores.accuracy, 0.0, "the model decides");
    }

    #[test]
    fn the_verdict_follows_the_test() {
        let of = |only_first_right, only_second_right, p_value| {
            verdict(&McNemar { only_first_right, only_second_right, p_value })
        };
        assert!(of(52, 7, 1e-9).starts_with("BERT is better"));
        assert!(of(7, 52, 1e-9).starts_with("BERT is worse"));
        assert!(of(12, 7, 0.36).starts_with("no difference is shown"));
    }

    #[test]
    fn the_mean_is_weighted_by_the_models_share() {
        let (first, second) = (predictions(&[(0, [0.75, 0.25])]), predictions(&[(0, [0.25, 0.75])]));
        let both = average(&first, &second, 0.25);
        assert_eq!(both.rows[0].probabilities, [0.375, 0.625]);
        assert_eq!(both.rows[0].predicted, CategoryId(1));
    }

    #[test]
    fn one_test_text_is_measured_too() {
        let mut corpus = separable();
        corpus.texts.remove(4);
        let model = predictions(&[(1, [0.2, 0.8])]);
        let Comparison { baseline, ensemble, .. } = compare(&corpus, &model, &Evaluate::default()).unwrap();
        let baseline = baseline.unwrap();
        let interval = baseline.scores.intervals.accuracy;
        assert_eq!((baseline.scores.accuracy, interval.low, interval.high), (0.0, 0.0, 0.0));
        assert_eq!(baseline.mcnemar.only_first_right, 1);
        assert_eq!(ensemble, None);
    }

    #[test]
    fn one_category_is_always_right() {
        let mut corpus = separable();
        corpus.categories.truncate(1);
        corpus.texts.iter_mut().for_each(|text| text.label = CategoryId(0));
        let mut model = predictions(&[(0, [0.9, 0.1]), (0, [0.9, 0.1])]);
        model.categories.truncate(1);
        let baseline = compare(&corpus, &model, &Evaluate::default()).unwrap().baseline.unwrap();
        assert_eq!((baseline.scores.accuracy, baseline.mcnemar.p_value), (1.0, 1.0));
    }

    #[test]
    fn texts_with_nothing_in_common_have_no_baseline_and_no_ensemble() {
        let corpus = corpus(&[("鯛", 0, Split::Train), ("鷹", 1, Split::Train), ("鯛", 0, Split::Test)]);
        let model = predictions(&[(0, [0.9, 0.1])]);
        assert_eq!(compare(&corpus, &model, &Evaluate::default()).unwrap(), Comparison::default());
        let settings = Evaluate { ensemble: true, ..Evaluate::default() };
        let error = format!("{:#}", compare(&corpus, &model, &settings).unwrap_err());
        assert!(error.contains("evaluate.ensemble = false") && error.contains("2 training texts"), "{error}");
    }
}

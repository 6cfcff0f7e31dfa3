//! The linear baseline beside the fine-tuned model: fitted on the same training texts, measured on
//! the same test texts, and on wish averaged with it.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use midashi_artifacts::{
    BaselineMetrics, CategoryId, EnsembleMetrics, Intervals, Metrics, Prediction, Predictions, Scores, Split,
    TokenizedCorpus,
};
use midashi_baseline::Baseline;
use midashi_bert::most_probable;
use midashi_config::Evaluate;
use ndarray::ArrayView1;

use crate::metrics::metrics;
use crate::statistics::{bootstrap, mcnemar};

/// Raised when the linear model says other things of the same texts.
const REVISION: u32 = 1;

/// Where the baseline's predictions are kept, for runs that differ in other things than their texts.
pub struct Kept {
    /// `baseline.parquet`.
    pub path: PathBuf,
    /// SHA-256 of `tokens.arrow`, which is all that they depend on.
    pub tokens_sha256: String,
}

/// What stands beside the fine-tuned model.
pub struct Beside {
    /// The linear model alone.
    pub baseline: BaselineMetrics,
    /// Both together, with `evaluate.ensemble`.
    pub ensemble: Option<EnsembleMetrics>,
}

impl Kept {
    fn key(&self) -> String {
        format!("tokens.arrow {}, revision {REVISION}", self.tokens_sha256)
    }

    /// What is kept of the texts of `model`. It is a cache: what cannot be read is made again, and that is
    /// said.
    fn predictions(&self, model: &Predictions) -> Option<Predictions> {
        let known = Predictions::read_cache(&self.path, &self.key()).unwrap_or_else(|error| {
            println!("  {error}");
            None
        });
        known.filter(|known| known.is_of_the_same_texts(model))
    }
}

/// Fits the baseline on the training split, or takes what was `kept` of it, and measures it on the texts
/// of `model`, the fine-tuned model's predictions. Nothing, and a note, where the training texts teach it
/// nothing.
///
/// # Errors
/// When an ensemble is asked for and there is no baseline, or its predictions cannot be kept.
pub fn beside(
    corpus: &TokenizedCorpus,
    model: &Predictions,
    settings: &Evaluate,
    kept: &Kept,
) -> Result<Option<Beside>> {
    let predicted = match kept.predictions(model) {
        Some(known) => known,
        None => match fitted(corpus, model) {
            Ok(fitted) => {
                fitted.write_cache(&kept.path, &kept.key())?;
                fitted
            }
            Err(error) if settings.ensemble => {
                return Err(error).context(
                    "evaluate.ensemble needs the linear baseline; set evaluate.ensemble = false or train on more texts",
                );
            }
            Err(error) => {
                println!("  no linear baseline: {error}");
                return Ok(None);
            }
        },
    };
    let ensemble = settings.ensemble.then(|| {
        let weight = settings.ensemble_weight;
        let both = mean(model, &predicted, weight);
        anyhow::Ok(EnsembleMetrics { weight, scores: scores(&both)? })
    });
    Ok(Some(Beside {
        baseline: BaselineMetrics {
            scores: scores(&predicted)?,
            report: metrics(&predicted)?.into(),
            mcnemar: mcnemar(&right(model), &right(&predicted)),
        },
        ensemble: ensemble.transpose()?,
    }))
}

/// Every model's scores with their intervals, and whether the difference is chance, for the terminal.
pub fn lines(metrics: &Metrics) -> String {
    let mut lines = String::new();
    let mut line = |name: &str, accuracy: f64, macro_f1: f64, intervals: &Intervals| {
        let Intervals { accuracy: of_accuracy, macro_f1: of_f1 } = intervals;
        // Writing to a string cannot fail.
        let _ = writeln!(
            lines,
            "  {name:<15}  accuracy {accuracy:.4} ({:.4} to {:.4})  macro F1 {macro_f1:.4} ({:.4} to {:.4})",
            of_accuracy.low, of_accuracy.high, of_f1.low, of_f1.high,
        );
    };
    let beside = |scores: &Scores| (scores.accuracy, scores.macro_f1, scores.intervals);
    let own =
        metrics.intervals.map(|intervals| ("fine-tuned", (metrics.accuracy, metrics.macro_f1, intervals)));
    let baseline = metrics.baseline.as_ref().map(|baseline| ("linear baseline", beside(&baseline.scores)));
    let ensemble = metrics.ensemble.map(|ensemble| ("both, averaged", beside(&ensemble.scores)));
    for (name, (accuracy, macro_f1, intervals)) in [own, baseline, ensemble].into_iter().flatten() {
        line(name, accuracy, macro_f1, &intervals);
    }
    if let Some(BaselineMetrics { mcnemar, .. }) = &metrics.baseline {
        let _ = writeln!(
            lines,
            "  right alone: fine-tuned {}, linear baseline {} ({mcnemar})",
            mcnemar.only_first_right, mcnemar.only_second_right,
        );
    }
    lines
}

/// What the baseline, fitted on the training split, says of the texts of `model`.
fn fitted(corpus: &TokenizedCorpus, model: &Predictions) -> Result<Predictions, midashi_baseline::Error> {
    let (texts, labels): (Vec<&str>, Vec<usize>) = originals(corpus, Split::Train).unzip();
    let baseline = Baseline::fit(&texts, &labels, corpus.categories.len())?;
    let texts: Vec<&str> = originals(corpus, Split::Test).map(|(text, _)| text).collect();
    let probabilities = baseline.probabilities(&texts);
    Ok(with_probabilities(model, |_, row| probabilities[row].iter().map(|&p| p as f32).collect()))
}

/// The texts of a split as their authors wrote them, with their categories.
fn originals(corpus: &TokenizedCorpus, split: Split) -> impl Iterator<Item = (&str, usize)> {
    let texts = corpus.texts.iter().filter(move |text| text.split == split);
    texts.map(|text| (text.original.as_str(), text.label.index()))
}

/// The weighted mean of two models' probabilities of the same texts.
fn mean(first: &Predictions, second: &Predictions, weight: f64) -> Predictions {
    with_probabilities(first, |row, at| {
        let pairs = row.probabilities.iter().zip(&second.rows[at].probabilities);
        pairs
            .map(|(&one, &other)| (weight * f64::from(one) + (1.0 - weight) * f64::from(other)) as f32)
            .collect()
    })
}

/// The same texts with other probabilities, and what is then most probable.
fn with_probabilities(
    predictions: &Predictions,
    probabilities: impl Fn(&Prediction, usize) -> Vec<f32>,
) -> Predictions {
    let rows = predictions.rows.iter().enumerate().map(|(at, row)| {
        let probabilities = probabilities(row, at);
        let predicted = CategoryId(most_probable(ArrayView1::from(&probabilities)) as u16);
        Prediction { id: row.id.clone(), label: row.label, predicted, probabilities }
    });
    Predictions { categories: predictions.categories.clone(), rows: rows.collect() }
}

fn scores(predictions: &Predictions) -> Result<Scores> {
    let Metrics { accuracy, macro_f1, .. } = metrics(predictions)?;
    Ok(Scores { accuracy, macro_f1, intervals: bootstrap(predictions) })
}

fn right(predictions: &Predictions) -> Vec<bool> {
    predictions.rows.iter().map(|row| row.label == row.predicted).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use midashi_artifacts::TokenizedText;

    use super::*;

    fn corpus(texts: &[(&str, u16, Split)]) -> TokenizedCorpus {
        let text = |&(original, label, split): &(&str, u16, Split)| TokenizedText {
            id: original.into(),
            label: CategoryId(label),
            split,
            original: original.into(),
            // Of this the baseline must not learn.
            text: "同じ".into(),
            input_ids: vec![],
            token_type_ids: vec![],
            tokens: vec![],
            word_ids: vec![],
            offsets: vec![],
            original_offsets: vec![],
        };
        TokenizedCorpus {
            categories: vec!["魚".into(), "鳥".into()],
            tokenizer: String::new(),
            vocabulary_size: 0,
            replacement: None,
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

    /// What a title is about, its first character says; the test texts stand among the others.
    fn telling() -> TokenizedCorpus {
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

    /// With nothing kept.
    fn beside(corpus: &TokenizedCorpus, model: &Predictions, settings: &Evaluate) -> Result<Option<Beside>> {
        let folder = tempfile::tempdir()?;
        super::beside(corpus, model, settings, &kept(folder.path(), "these"))
    }

    fn kept(folder: &Path, tokens_sha256: &str) -> Kept {
        Kept { path: folder.join("baseline.parquet"), tokens_sha256: tokens_sha256.into() }
    }

    #[test]
    fn a_baseline_is_fitted_once_for_the_same_tokens() {
        let folder = tempfile::tempdir().unwrap();
        let model = predictions(&[(1, [0.9, 0.1]), (1, [0.6, 0.4])]);
        let accuracy = |corpus: &TokenizedCorpus, tokens: &str| {
            let kept = kept(folder.path(), tokens);
            let found = super::beside(corpus, &model, &Evaluate::default(), &kept).unwrap().unwrap();
            found.baseline.scores.accuracy
        };
        let before = accuracy(&telling(), "these");
        // The first test text is now of what the baseline takes for a bird; what was kept does not know.
        let mut other = telling();
        other.texts[1].original = "鷹が来た".into();
        assert_eq!(accuracy(&other, "these"), before);
        let after = accuracy(&other, "others");
        assert_ne!(after, before);
        std::fs::write(folder.path().join("baseline.parquet"), "damaged").unwrap();
        assert_eq!(accuracy(&other, "others"), after, "made again");
    }

    #[test]
    fn both_models_are_measured_on_the_same_texts() {
        // The baseline says fish, bird; the model fish, fish; both texts are of birds.
        let model = predictions(&[(1, [0.9, 0.1]), (1, [0.6, 0.4])]);
        let settings = Evaluate { ensemble: true, ensemble_weight: 0.1, ..Evaluate::default() };
        let found = beside(&telling(), &model, &settings).unwrap().unwrap();
        assert_eq!(found.baseline.scores.accuracy, 0.5);
        let compared = found.baseline.mcnemar;
        assert_eq!((compared.only_first_right, compared.only_second_right, compared.p_value), (0, 1, 1.0));
        let Some(ensemble) = found.ensemble else { panic!("no ensemble") };
        assert_eq!((ensemble.weight, ensemble.scores.accuracy), (0.1, 0.5), "the baseline decides");
        let settings = Evaluate { ensemble_weight: 1.0, ..settings };
        let ensemble = beside(&telling(), &model, &settings).unwrap().unwrap().ensemble.unwrap();
        assert_eq!(ensemble.scores.accuracy, 0.0, "the model decides");
    }

    #[test]
    fn the_mean_is_weighted_by_the_models_share() {
        let (first, second) = (predictions(&[(0, [0.75, 0.25])]), predictions(&[(0, [0.25, 0.75])]));
        let both = mean(&first, &second, 0.25);
        assert_eq!(both.rows[0].probabilities, [0.375, 0.625]);
        assert_eq!(both.rows[0].predicted, CategoryId(1));
    }

    #[test]
    fn one_test_text_is_measured_too() {
        let mut corpus = telling();
        corpus.texts.remove(4);
        let found = beside(&corpus, &predictions(&[(1, [0.2, 0.8])]), &Evaluate::default()).unwrap().unwrap();
        let interval = found.baseline.scores.intervals.accuracy;
        assert_eq!((found.baseline.scores.accuracy, interval.low, interval.high), (0.0, 0.0, 0.0));
        assert_eq!(found.baseline.mcnemar.only_first_right, 1);
        assert_eq!(found.ensemble, None);
    }

    #[test]
    fn one_category_is_always_right() {
        let mut corpus = telling();
        corpus.categories.truncate(1);
        corpus.texts.iter_mut().for_each(|text| text.label = CategoryId(0));
        let mut model = predictions(&[(0, [0.9, 0.1]), (0, [0.9, 0.1])]);
        model.categories.truncate(1);
        let found = beside(&corpus, &model, &Evaluate::default()).unwrap().unwrap();
        assert_eq!((found.baseline.scores.accuracy, found.baseline.mcnemar.p_value), (1.0, 1.0));
    }

    #[test]
    fn texts_with_nothing_in_common_have_no_baseline_and_no_ensemble() {
        let corpus = corpus(&[("鯛", 0, Split::Train), ("鷹", 1, Split::Train), ("鯛", 0, Split::Test)]);
        let model = predictions(&[(0, [0.9, 0.1])]);
        assert!(beside(&corpus, &model, &Evaluate::default()).unwrap().is_none());
        let settings = Evaluate { ensemble: true, ..Evaluate::default() };
        let error = format!("{:#}", beside(&corpus, &model, &settings).err().unwrap());
        assert!(error.contains("evaluate.ensemble = false") && error.contains("2 training texts"), "{error}");
    }
}

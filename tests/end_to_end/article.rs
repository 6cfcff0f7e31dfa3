//! The article's choices, `compat.article`: licences as titles, no attention mask, precision and recall swapped. They
//! are made when asked for, measured, and leave no trace when they are off.

use std::path::Path;

use midashi_artifacts::{ArticleMetrics, Split};
use midashi_encoder::PaddingRule;
use midashi_tests::{Corpus, Outcome, Run, STAGES, Shared, folder};

use crate::exported::probabilities;
use crate::runs::{finished, further};

/// A run of two categories, each with its licence, without the article's choices.
fn with_licences(folder: &Path, name: &str) -> Run {
    let mut corpus = Corpus::new();
    for (category, words) in [("魚", ["鯛", "鮪", "鰯の群れ"]), ("鳥", ["雀の巣", "鷹", "燕"])] {
        corpus = corpus.licence(category, "この記事には\n条件があります\n出所を示すこと\n");
        for at in 0..18 {
            // Titles of 2 to 25 characters, so that batches have padding.
            let title = format!("{}{}", words[at % 3], "が来た".repeat(at % 8));
            corpus = corpus.article(category, &title, "本文");
        }
    }
    further(folder, name).reads(&corpus.write(folder.join("texts"))).set(
        "corpus.split.stratified=false corpus.split.test=0.5 corpus.split.seed=1 \
         train.batch_size=4 train.epochs=8 train.learning_rate.encoder=1e-2 \
         train.learning_rate.classifier=1e-2 evaluate.attention_texts=100",
    )
}

/// A finished run with the article's choices, what its stages printed, and the same folder's run without them.
fn article() -> &'static (Run, Outcome, Run) {
    static RUN: Shared<(Run, Outcome, Run)> = Shared::new();
    RUN.get(|folder| {
        let without = with_licences(folder, "article");
        let run = without.clone().set("compat.article=true");
        let outcome = run.stages(&STAGES);
        (run, outcome, without)
    })
}

fn theirs() -> &'static Run {
    &article().0
}

/// A finished run without them, in a folder that they were used in, and what its stages printed.
fn ours() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|folder| {
        let run = article().2.copy_to(folder);
        let outcome = run.stages(&STAGES);
        (run, outcome)
    })
}

fn measured() -> ArticleMetrics {
    theirs().metrics().article.expect("what the article's choices change")
}

#[test]
fn licences_are_titles() {
    let (run, outcome, _) = article();
    outcome.says("counted 2 licences as titles");
    let corpus = run.corpus();
    assert_eq!(corpus.articles.len(), 38);
    let licences: Vec<_> = corpus.articles.iter().filter(|row| row.id.starts_with("LICENSE-")).collect();
    assert_eq!(licences.len(), 2);
    assert!(licences.iter().all(|row| row.title == "出所を示すこと" && row.url.is_none()));
}

#[test]
fn frozen_layers_stay_frozen_though_no_features_are_computed() {
    let run = theirs();
    assert!(!run.artifact("features.arrow").exists());
    let (before, after) = (finished().weights(), run.weights());
    let changed = |name: &str| before.get(name).unwrap() != after.get(name).unwrap();
    assert!(changed("bert.encoder.layer.1.attention.self.value.weight"));
    assert!(!changed("bert.encoder.layer.0.attention.self.value.weight"));
}

#[test]
fn predictions_are_those_of_unmasked_batches_in_the_corpuss_order() {
    let run = theirs();
    let (predictions, test) = (run.predictions(), run.texts(Split::Test));
    let (mut masked_right, mut changed, mut differences) = (0, 0, 0);
    let argmax = |row: &[f32]| usize::from(row[1] > row[0]);
    // train.batch_size is 4.
    for (texts, rows) in test.chunks(4).zip(predictions.rows.chunks(4)) {
        let [unmasked, masked] =
            [PaddingRule::Attended, PaddingRule::Masked].map(|padding| probabilities(run, texts, padding));
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row.id, texts[at].id);
            for (found, expected) in row.probabilities.iter().zip(&unmasked[at]) {
                assert!((found - expected).abs() < 1e-5, "{}: {found}, {expected}", row.id);
            }
            differences += usize::from((unmasked[at][0] - masked[at][0]).abs() > 1e-4);
            changed += u64::from(row.predicted.index() != argmax(&masked[at]));
            masked_right += usize::from(row.label.index() == argmax(&masked[at]));
        }
    }
    assert!(differences > 0 && changed > 0, "the mask matters: {differences}, {changed}");

    let right = predictions.rows.iter().filter(|row| row.label == row.predicted).count();
    assert!((run.metrics().accuracy - right as f64 / test.len() as f64).abs() < 1e-12);
    assert!((measured().masked.accuracy - masked_right as f64 / test.len() as f64).abs() < 1e-12);
    assert_eq!(measured().masked.changed_predictions, changed);
}

#[test]
fn precision_and_recall_are_swapped() {
    article().1.says("classification_report(prediction, answer)");
    for (swapped, class) in measured().swapped.per_class.iter().zip(&theirs().metrics().per_class) {
        assert_eq!(
            (swapped.scores.precision, swapped.scores.recall),
            (class.scores.recall, class.scores.precision)
        );
    }
}

#[test]
fn the_attention_that_a_texts_own_tokens_lack_went_to_padding() {
    let run = theirs();
    let (attention, padding) = (run.attention(), measured().padding);
    let test = run.texts(Split::Test).len();
    assert_eq!(attention.len(), test);
    let left: f32 = attention.iter().flat_map(|row| row.attention.iter().flatten()).sum();
    let heads = (2 * test) as f64;
    assert!((1.0 - f64::from(left) / heads - padding.attention).abs() < 1e-5);
    assert!(padding.attention > 0.0 && padding.positions > 0.0);
}

#[test]
fn the_report_has_a_section_on_them() {
    assert!(theirs().text("report.html").contains("<h3 id=\"article\">"));
}

#[test]
fn running_again_with_them_does_nothing() {
    theirs().stages(&STAGES).up_to_date(STAGES.len());
}

#[test]
fn without_them_everything_is_as_if_they_had_never_been_used() {
    let (run, outcome) = ours();
    // Fetch alone has nothing to do.
    outcome.up_to_date(1);
    assert_eq!(run.corpus().articles.len(), 36);
    assert!(run.artifact("features.arrow").exists());
    for (name, traces) in [
        ("metrics.json", &["\"article\""][..]),
        ("model/midashi.json", &["compat"]),
        ("run.json", &["compat", "licences_as_titles"]),
        ("report.html", &["compat", "licences_as_titles", "<h3 id=\"article\">"]),
    ] {
        let text = run.text(name);
        for trace in traces {
            assert!(!text.contains(trace), "{name} contains {trace}");
        }
    }
}

#[test]
fn a_model_trained_without_them_is_not_evaluated_with_them() {
    let artifacts = folder();
    let run = ours().0.copy_to(&artifacts).set("compat.article=true");
    run.stage("evaluate").fails_with([
        "was trained with compat.article = false, the configuration says true",
        "run `make all` with this setting",
    ]);
}

#[test]
fn a_model_trained_with_them_is_not_evaluated_without_them() {
    let artifacts = folder();
    let refusal = "was trained with compat.article = true, the configuration says false";
    article().2.copy_to(&artifacts).stage("evaluate").fails_with([refusal]);
    theirs().copy_to(&artifacts).stages(&["evaluate"]);
}

/// Learning rates are 0, so that the exported model is the one that the first step's loss is of, and one batch holds
/// the whole training split, so that its order makes no difference.
#[test]
fn training_attends_to_padding() {
    let folder = folder();
    let run = with_licences(folder.path(), "unmasked").set(
        "compat.article=true train.learning_rate.encoder=0 train.learning_rate.classifier=0 \
         train.batch_size=100 corpus.split.validation=0.2",
    );
    run.stages(&STAGES[..4]);

    let tokens = run.tokens();
    assert!(tokens.texts.is_sorted_by_key(|text| text.split as u16), "training, validation, test");
    assert!(!tokens.texts.is_sorted_by_key(|text| text.label), "each in random order");

    let steps = run.training();
    for split in [Split::Train, Split::Validation] {
        let texts = run.texts(split);
        let step = steps.iter().find(|row| row.split == split).unwrap();
        assert_eq!((step.step, step.texts), (1, texts.len() as i64));
        let loss = |padding| {
            let rows = probabilities(&run, &texts, padding);
            let losses = texts.iter().zip(&rows).map(|(text, row)| -f64::from(row[text.label.index()].ln()));
            losses.sum::<f64>() / texts.len() as f64
        };
        let (unmasked, masked) = (loss(PaddingRule::Attended), loss(PaddingRule::Masked));
        assert!((step.loss - unmasked).abs() < 1e-4, "{split:?}: {} and {unmasked}", step.loss);
        assert!((step.loss - masked).abs() > 1e-3, "{split:?}: {} as with a mask", step.loss);
    }
}

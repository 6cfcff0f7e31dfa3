//! Whole runs on the sample corpus at reduced size: the chain, repetition, reuse, exchange.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use midashi_artifacts::{
    Corpus, Metrics, Predictions, Split, TokenizedCorpus, TokenizedText, read_attention, read_training,
};
use midashi_baseline::Baseline;
use midashi_bert::{
    ATTENTION, ATTENTION_MASK, Batch, Checkpoint, INPUT_IDS, LOGITS, PaddingRule, TOKEN_TYPE_IDS, TextIds,
};
use midashi_runtime::{Device, Runtime, SessionOptions, Tensor};
use midashi_tests::{Run, STAGES, root};

/// A model so small that a run takes a second, and the article's plain recipe.
const SMALL: &str = "model.scratch.layers=2 model.scratch.hidden_size=32 model.scratch.attention_heads=2 \
    model.scratch.intermediate_size=48 model.scratch.vocabulary_size=2000 train.epochs=2 evaluate.attention_texts=20 \
    train.dropout.hidden=0 train.dropout.attention=0 train.weight_decay=0 train.max_grad_norm=0 \
    train.learning_rate.schedule=constant train.learning_rate.warmup=0";

fn small(artifacts: &Path, name: &str) -> Run {
    Run::new("data/sample.toml", artifacts, name).set(SMALL)
}

/// A finished run that several tests look at and none changes.
fn finished() -> &'static Run {
    static RUN: OnceLock<(tempfile::TempDir, Run)> = OnceLock::new();
    let (_, run) = RUN.get_or_init(|| {
        let artifacts = tempfile::tempdir().unwrap();
        let run = small(artifacts.path(), "finished").set("corpus.split.validation=0.1");
        run.stages(&STAGES);
        (artifacts, run)
    });
    run
}

#[test]
fn the_chain_runs_from_corpus_to_report() {
    let run = finished();
    let corpus = Corpus::read(&run.artifact("corpus.parquet")).unwrap();
    let tokens = TokenizedCorpus::read(&run.artifact("tokens.arrow")).unwrap();
    let rows = |split| corpus.articles.iter().filter(|article| article.split == split).count();
    let test = rows(Split::Test);
    assert_eq!(corpus.categories.len(), 9);
    assert_eq!(tokens.texts.len(), corpus.articles.len());
    for (text, article) in tokens.texts.iter().zip(&corpus.articles) {
        assert_eq!((&text.id, text.label, text.split), (&article.id, article.category, article.split));
        assert_eq!(text.tokens.first().map(String::as_str), Some("[CLS]"));
        assert_eq!(text.tokens.last().map(String::as_str), Some("[SEP]"));
    }

    let steps = read_training(&run.artifact("training.parquet")).unwrap();
    let per_epoch = rows(Split::Train).div_ceil(32);
    assert_eq!(steps.iter().filter(|row| row.split == Split::Train).count(), 2 * per_epoch);
    assert_eq!(steps.iter().filter(|row| row.split == Split::Validation).count(), 2);
    let (first, last) = (&steps[0], &steps[steps.len() - 2]);
    assert!(last.loss < first.loss, "the loss falls: {} … {}", first.loss, last.loss);

    let predictions = Predictions::read(&run.artifact("predictions.parquet")).unwrap();
    let metrics = Metrics::read(&run.artifact("metrics.json")).unwrap();
    let right = predictions.rows.iter().filter(|row| row.label == row.predicted).count();
    assert_eq!((predictions.rows.len(), metrics.test_rows), (test, test as u64));
    assert!((metrics.accuracy - right as f64 / test as f64).abs() < 1e-12);
    assert_eq!(metrics.labels, corpus.categories);
    assert_eq!(metrics.confusion.iter().flatten().sum::<u64>(), test as u64);
    for row in &predictions.rows {
        assert!((row.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    let found = metrics.baseline.expect("a linear baseline");
    let split = |split| {
        let texts = tokens.texts.iter().filter(move |text| text.split == split);
        texts.map(|text| (text.original.as_str(), text.label.index())).unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let ((texts, labels), (test_texts, answers)) = (split(Split::Train), split(Split::Test));
    let probabilities = Baseline::fit(&texts, &labels, 9).unwrap().probabilities(&test_texts);
    let most = |row: &Vec<f64>| (0..9).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let baseline_right: Vec<bool> =
        probabilities.iter().zip(answers).map(|(row, answer)| most(row) == answer).collect();
    let baseline_right_count = baseline_right.iter().filter(|right| **right).count();
    assert!((found.scores.accuracy - baseline_right_count as f64 / test as f64).abs() < 1e-12);
    let alone = predictions.rows.iter().zip(&baseline_right);
    let alone = alone.filter(|(row, baseline)| row.label == row.predicted && !**baseline).count();
    assert_eq!(found.mcnemar.only_first_right, alone as u64);
    let interval = metrics.intervals.expect("intervals").accuracy;
    assert!(interval.low < metrics.accuracy && metrics.accuracy < interval.high);

    let attention = read_attention(&run.artifact("attention.parquet")).unwrap();
    assert_eq!(attention.len(), 20);
    for row in &attention {
        assert_eq!(row.attention.len(), 2, "heads");
        for head in &row.attention {
            assert_eq!(head.len(), row.tokens.len());
            assert!((head.iter().sum::<f32>() - 1.0).abs() < 1e-5, "a head's row sums to 1");
        }
    }
    let report = fs::read_to_string(run.artifact("report.html")).unwrap();
    assert!(report.contains("Sample headlines") && report.contains("sports-watch"));
    assert!(report.contains("the linear baseline alone on"));
    for scheme in ["src=\"http", "href=\"http", "url(http"] {
        assert!(!report.contains(scheme), "the report asks for something from outside: {scheme}");
    }
}

#[test]
fn running_again_does_nothing() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = small(artifacts.path(), "again");
    run.stages(&STAGES);
    let made = |run: &Run| -> Vec<_> {
        ["corpus.parquet", "tokens.arrow", "training.parquet", "model", "metrics.json", "report.html"]
            .iter()
            .map(|name| fs::metadata(run.artifact(name)).unwrap().modified().unwrap())
            .collect()
    };
    let before = made(&run);
    let text = run.stages(&STAGES);
    assert_eq!(text.matches("up to date").count(), STAGES.len(), "all say so:\n{text}");
    assert_eq!(made(&run), before);

    let text = run.set("render.title=Other").stages(&STAGES[1..]);
    assert_eq!(text.matches("up to date").count(), 4, "only render works:\n{text}");
}

#[test]
fn the_same_run_gives_the_same_bytes_wherever_it_is_made() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = [one.path(), other.path()].map(|artifacts| {
        let run = small(artifacts, "same");
        run.stages(&STAGES);
        run
    });
    for name in [
        "corpus.parquet",
        "tokens.arrow",
        "tokenizer/vocab.txt",
        "training.parquet",
        "model/model.safetensors",
        "model/config.json",
        "model/classifier.onnx",
        "model/training.onnx",
        "predictions.parquet",
        "attention.parquet",
        "explanations.parquet",
        "metrics.json",
    ] {
        let [one, other] = [&runs[0], &runs[1]].map(|run| fs::read(run.artifact(name)).unwrap());
        assert!(one == other, "{name} differs between two runs");
    }
}

/// The model of the finished run as another run's checkpoint, its last layer trained further.
fn further(artifacts: &Path, name: &str) -> Run {
    let checkpoint = finished().artifact("model");
    small(artifacts, name).set(&format!("model.checkpoint={} train.trainable_layers=1", checkpoint.display()))
}

#[test]
fn a_written_model_is_a_checkpoint_for_another_run() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = further(artifacts.path(), "further");
    run.stages(&STAGES);
    // The vocabulary is the checkpoint's and not learned again.
    let vocabulary = |run: &Run| fs::read(run.artifact("model/vocab.txt")).unwrap();
    assert_eq!(vocabulary(&run), vocabulary(finished()));
    // What was frozen is unchanged, what was trained is not.
    let weights = |run: &Run| Checkpoint::open(&run.artifact("model")).unwrap().encoder().unwrap();
    let (before, after) = (weights(finished()), weights(&run));
    for (name, tensor) in before.iter() {
        let trained = name.starts_with("bert.encoder.layer.1.");
        // A key's bias has no gradient but rounding.
        if !name.ends_with("key.bias") {
            assert_eq!(after.get(name) != Some(tensor), trained, "{name}");
        }
    }
}

#[test]
fn features_are_computed_once_and_change_nothing() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = further(artifacts.path(), "features");
    let text = run.stages(&STAGES);
    assert!(text.contains("features of 1 frozen layers: 1440 texts"), "{text}");
    let made = fs::metadata(run.artifact("features.arrow")).unwrap().modified().unwrap();
    let with_features = Predictions::read(&run.artifact("predictions.parquet")).unwrap();

    // Another learning rate starts from the same features.
    let changed = further(artifacts.path(), "features").set("train.learning_rate.classifier=1e-2");
    let text = changed.stages(&STAGES[3..]);
    assert!(text.contains("taken from"), "{text}");
    assert_eq!(fs::metadata(run.artifact("features.arrow")).unwrap().modified().unwrap(), made);
    let other = Predictions::read(&run.artifact("predictions.parquet")).unwrap();
    assert_ne!(other, with_features);

    // Without them the whole model says the same.
    run.stages(&STAGES[3..]);
    fs::remove_file(run.artifact("features.arrow")).unwrap();
    fs::remove_file(run.artifact("predictions.parquet")).unwrap();
    run.stages(&["evaluate"]);
    let without = Predictions::read(&run.artifact("predictions.parquet")).unwrap();
    for (one, other) in with_features.rows.iter().zip(&without.rows) {
        assert_eq!(one.predicted, other.predicted, "{}", one.id);
        for (one, other) in one.probabilities.iter().zip(&other.probabilities) {
            assert!((one - other).abs() < 1e-5);
        }
    }

    // Damaged ones are made again, and that is said.
    fs::write(run.artifact("features.arrow"), "damaged").unwrap();
    let text = changed.stages(&["train"]);
    assert!(text.contains("features.arrow: ") && text.contains("1440 texts in"), "{text}");
}

#[test]
fn no_trainable_layer_trains_the_classifier_alone() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = further(artifacts.path(), "frozen").set("train.trainable_layers=0");
    run.stages(&STAGES);
    let weights = |run: &Run| Checkpoint::open(&run.artifact("model")).unwrap().encoder().unwrap();
    let (before, after) = (weights(finished()), weights(&run));
    assert!(before.iter().all(|(name, tensor)| after.get(name) == Some(tensor)));
}

/// What practitioners add to the article's recipe.
const RECIPE: &str = "corpus.split.validation=0.1 train.dropout.hidden=0.1 train.dropout.attention=0.1 \
    train.learning_rate.schedule=linear train.learning_rate.warmup=0.1 train.weight_decay=0.01 train.max_grad_norm=1 \
    train.label_smoothing=0.1 train.class_weights=balanced train.learning_rate.layer_decay=0.9";

#[test]
fn a_step_in_parts_is_the_step() {
    let artifacts = tempfile::tempdir().unwrap();
    let run = small(artifacts.path(), "parts")
        .set("corpus.split.validation=0.1 train.gradient_accumulation_steps=3");
    run.stages(&STAGES[..4]);
    let (parts, whole) = (run.artifact("training.parquet"), finished().artifact("training.parquet"));
    let (parts, whole) = (read_training(&parts).unwrap(), read_training(&whole).unwrap());
    assert_eq!(parts.len(), whole.len());
    for (part, whole) in parts.iter().zip(&whole).take(10) {
        assert_eq!((part.texts, part.tokens), (whole.texts, whole.tokens));
        assert!((part.loss - whole.loss).abs() < 1e-4, "{} and {}", part.loss, whole.loss);
        let (norm, expected) = (part.gradient_norm.unwrap(), whole.gradient_norm.unwrap());
        assert!((norm - expected).abs() < 1e-3 * expected, "{norm} and {expected}");
    }
}

#[test]
fn the_whole_recipe_trains_and_repeats() {
    let artifacts = tempfile::tempdir().unwrap();
    let train = |name: &str| {
        let run = small(artifacts.path(), name).set(RECIPE);
        run.stages(&STAGES[..4]);
        run
    };
    let (run, again) = (train("recipe"), train("again"));
    let weights = |run: &Run| fs::read(run.artifact("model/model.safetensors")).unwrap();
    assert!(weights(&run) == weights(&again), "dropout draws the same masks again");
    let steps = read_training(&run.artifact("training.parquet")).unwrap();
    let rates: Vec<f64> =
        steps.iter().filter(|row| row.split == Split::Train).map(|row| row.learning_rate_encoder).collect();
    let highest = rates.iter().copied().fold(0.0, f64::max);
    assert_eq!((rates[0], highest), (0.0, 1e-3), "warms up from 0 to what is configured");
    assert!(*rates.last().unwrap() < 0.05 * highest, "and goes down to 0");
    let plain = read_training(&finished().artifact("training.parquet")).unwrap();
    assert_ne!(steps[0].loss, plain[0].loss, "dropout and smoothing are part of the loss");
}

/// Texts as a model reads them.
fn ids<'a>(texts: &[&'a TokenizedText]) -> Vec<TextIds<'a>> {
    let ids = |text: &&'a TokenizedText| TextIds {
        input_ids: &text.input_ids,
        token_type_ids: &text.token_type_ids,
    };
    texts.iter().map(ids).collect()
}

#[test]
fn the_exported_classifier_gives_the_predictions() {
    the_exported_classifier_agrees(finished());
}

#[test]
fn titles_and_bodies_are_read_as_pairs_and_ingested_once() {
    let artifacts = tempfile::tempdir().unwrap();
    let reading = |choice: &str| small(artifacts.path(), "texts").set(&format!("corpus.text={choice}"));
    let run = reading("title+body");
    let text = run.stages(&STAGES);
    assert!(!text.contains("without a body"), "{text}");
    let corpus = Corpus::read(&run.artifact("corpus.parquet")).unwrap();
    let tokens = |run: &Run| TokenizedCorpus::read(&run.artifact("tokens.arrow")).unwrap().texts;
    for (text, article) in tokens(&run).iter().zip(&corpus.articles) {
        assert_eq!(text.original, format!("{}\n{}", article.title, article.body));
        let separators: Vec<usize> =
            text.tokens.iter().enumerate().filter(|(_, token)| *token == "[SEP]").map(|(at, _)| at).collect();
        assert_eq!((separators.len(), separators[1]), (2, text.tokens.len() - 1), "{}", text.id);
        let title = article.title.chars().count() as u32;
        for at in 1..separators[1] {
            let in_body = at > separators[0];
            assert_eq!(text.token_type_ids[at], i32::from(in_body));
            assert!(at == separators[0] || (text.original_offsets[at].0 > title) == in_body, "{}", text.id);
        }
    }
    the_exported_classifier_agrees(&run);
    let report = fs::read_to_string(run.artifact("report.html")).unwrap();
    assert!(report.contains("title+body"));

    let run = reading("body");
    assert!(run.stage("ingest").text.contains("up to date"));
    run.stages(&["tokenize"]);
    for (text, article) in tokens(&run).iter().zip(&corpus.articles) {
        assert_eq!(text.original, article.body);
        assert!(text.token_type_ids.iter().all(|&kind| kind == 0));
    }
}

fn the_exported_classifier_agrees(run: &Run) {
    let runtime = Runtime::load(&root().join("cache/onnxruntime")).unwrap();
    let model = fs::read(run.artifact("model/classifier.onnx")).unwrap();
    let mut session = runtime.session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let corpus = TokenizedCorpus::read(&run.artifact("tokens.arrow")).unwrap();
    let predictions = Predictions::read(&run.artifact("predictions.parquet")).unwrap();
    let attention = read_attention(&run.artifact("attention.parquet")).unwrap();
    let texts: Vec<_> = corpus.texts.iter().filter(|text| text.split == Split::Test).collect();
    for (texts, rows) in texts.chunks(7).zip(predictions.rows.chunks(7)) {
        let batch = Batch::of_ids(&ids(texts), 0, PaddingRule::Masked);
        let inputs: Vec<(&str, Tensor)> = batch.inputs();
        let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, [INPUT_IDS, TOKEN_TYPE_IDS, ATTENTION_MASK]);
        let outputs = session.run(inputs).unwrap();
        let logits = outputs.float32(LOGITS).unwrap();
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row.id, texts[at].id);
            let logits = logits.index_axis(ndarray::Axis(0), at);
            let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
            for (logit, probability) in logits.iter().zip(&row.probabilities) {
                assert!((logit.exp() / total - probability).abs() < 1e-5);
            }
            if let Some(shown) = attention.iter().find(|shown| shown.id == row.id) {
                let weights = outputs.float32(ATTENTION).unwrap();
                for (head, expected) in shown.attention.iter().enumerate() {
                    for (token, expected) in expected.iter().enumerate() {
                        assert!((weights[[at, head, token]] - expected).abs() < 1e-5);
                    }
                }
            }
        }
    }
}

/// Two categories in the livedoor layout, each with its licence.
fn corpus_with_licences(folder: &Path) {
    for (category, words) in [("魚", ["鯛", "鮪", "鰯の群れ"]), ("鳥", ["雀の巣", "鷹", "燕"])] {
        let category = folder.join(category);
        fs::create_dir_all(&category).unwrap();
        fs::write(category.join("LICENSE.txt"), "この記事には\n条件があります\n出所を示すこと\n").unwrap();
        for at in 0..18 {
            // Titles of 2 to 25 characters, so that batches have padding.
            let title = format!("{}{}", words[at % 3], "が来た".repeat(at % 8));
            let name = format!("{}{at}.txt", category.file_name().unwrap().display());
            fs::write(category.join(name), format!("http://a/\n2012-05-04T09:55:00+0900\n{title}\n本文"))
                .unwrap();
        }
    }
}

/// What the exported classifier says of `texts` as one batch.
fn probabilities(run: &Run, texts: &[&TokenizedText], padding: PaddingRule) -> Vec<Vec<f32>> {
    let runtime = Runtime::load(&root().join("cache/onnxruntime")).unwrap();
    let model = fs::read(run.artifact("model/classifier.onnx")).unwrap();
    let mut session = runtime.session(&model, SessionOptions::new(Device::Cpu, 1)).unwrap();
    let batch = Batch::of_ids(&ids(texts), 0, padding);
    let outputs = session.run(batch.inputs()).unwrap();
    let softmax = |row: ndarray::ArrayView1<'_, f32>| {
        let total: f32 = row.iter().map(|logit| logit.exp()).sum();
        row.iter().map(|logit| logit.exp() / total).collect()
    };
    outputs.float32(LOGITS).unwrap().rows().into_iter().map(softmax).collect()
}

/// A run of [`corpus_with_licences`] below `folder`, without the article's choices.
fn with_licences(folder: &Path, name: &str) -> Run {
    let texts = folder.join("texts");
    if !texts.exists() {
        corpus_with_licences(&texts);
    }
    further(folder, name).set(&format!(
        "corpus.source={} corpus.split.stratified=false corpus.split.test=0.5 corpus.split.seed=1 \
         train.batch_size=4 train.epochs=8 train.learning_rate.encoder=1e-2 \
         train.learning_rate.classifier=1e-2 evaluate.attention_texts=100",
        texts.display()
    ))
}

#[test]
fn the_articles_choices_are_made_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let ours = with_licences(folder.path(), "article");
    let theirs = with_licences(folder.path(), "article").set("compat.article=true");
    let text = theirs.stages(&STAGES);
    assert!(text.contains("counted 2 licences as titles"), "{text}");
    assert!(text.contains("classification_report(prediction, answer)"), "{text}");

    // The licences are rows, and nothing is computed once for all batches.
    let corpus = Corpus::read(&theirs.artifact("corpus.parquet")).unwrap();
    assert_eq!(corpus.articles.len(), 38);
    let licences: Vec<_> = corpus.articles.iter().filter(|row| row.id.starts_with("LICENSE-")).collect();
    assert_eq!(licences.len(), 2);
    assert!(licences.iter().all(|row| row.title == "出所を示すこと" && row.url.is_none()));
    assert!(!theirs.artifact("features.arrow").exists());
    let weights = |run: &Run| Checkpoint::open(&run.artifact("model")).unwrap().encoder().unwrap();
    let (before, after) = (weights(finished()), weights(&theirs));
    let learned = |name: &str| before.get(name).unwrap() != after.get(name).unwrap();
    assert!(learned("bert.encoder.layer.1.attention.self.value.weight"));
    assert!(!learned("bert.encoder.layer.0.attention.self.value.weight"), "frozen layers stay frozen");

    // Predictions are those of batches of train.batch_size in the corpus's order, without a mask.
    let tokens = TokenizedCorpus::read(&theirs.artifact("tokens.arrow")).unwrap();
    let test: Vec<&TokenizedText> = tokens.texts.iter().filter(|text| text.split == Split::Test).collect();
    let predictions = Predictions::read(&theirs.artifact("predictions.parquet")).unwrap();
    let (mut masked_right, mut changed, mut differences) = (0, 0, 0);
    let most_probable = |row: &[f32]| usize::from(row[1] > row[0]);
    for (texts, rows) in test.chunks(4).zip(predictions.rows.chunks(4)) {
        let [unmasked, masked] = [PaddingRule::Attended, PaddingRule::Masked]
            .map(|padding| probabilities(&theirs, texts, padding));
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(row.id, texts[at].id);
            for (found, expected) in row.probabilities.iter().zip(&unmasked[at]) {
                assert!((found - expected).abs() < 1e-5, "{}: {found}, {expected}", row.id);
            }
            differences += usize::from((unmasked[at][0] - masked[at][0]).abs() > 1e-4);
            changed += u64::from(row.predicted.index() != most_probable(&masked[at]));
            masked_right += usize::from(row.label.index() == most_probable(&masked[at]));
        }
    }
    assert!(differences > 0 && changed > 0, "the mask matters: {differences}, {changed}");

    let metrics = Metrics::read(&theirs.artifact("metrics.json")).unwrap();
    let right = predictions.rows.iter().filter(|row| row.label == row.predicted).count();
    assert!((metrics.accuracy - right as f64 / test.len() as f64).abs() < 1e-12);
    let article = metrics.article.expect("what the article's choices do");
    assert!((article.masked.accuracy - masked_right as f64 / test.len() as f64).abs() < 1e-12);
    assert_eq!(article.masked.changed_predictions, changed);
    for (swapped, class) in article.swapped.per_class.iter().zip(&metrics.per_class) {
        assert_eq!(
            (swapped.scores.precision, swapped.scores.recall),
            (class.scores.recall, class.scores.precision)
        );
    }

    // What a text's own tokens lack of attention went to padding.
    let attention = read_attention(&theirs.artifact("attention.parquet")).unwrap();
    assert_eq!(attention.len(), test.len());
    let left: f32 = attention.iter().flat_map(|row| row.attention.iter().flatten()).sum();
    let heads = (2 * test.len()) as f64;
    assert!((1.0 - f64::from(left) / heads - article.padding.attention).abs() < 1e-5);
    assert!(article.padding.attention > 0.0 && article.padding.positions > 0.0);
    let report = fs::read_to_string(theirs.artifact("report.html")).unwrap();
    assert!(report.contains("<h3 id=\"article\">"));

    // Off again, everything is as if it had never been on.
    assert_eq!(theirs.stages(&STAGES).matches("up to date").count(), STAGES.len());
    let text = ours.stages(&STAGES);
    assert_eq!(text.matches("up to date").count(), 1, "fetch alone has nothing to do:\n{text}");
    assert_eq!(Corpus::read(&ours.artifact("corpus.parquet")).unwrap().articles.len(), 36);
    assert!(ours.artifact("features.arrow").exists());
    for (name, traces) in [
        ("metrics.json", &["\"article\""][..]),
        ("model/midashi.json", &["compat"]),
        ("run.json", &["compat", "licences_as_titles"]),
        ("report.html", &["compat", "licences_as_titles", "<h3 id=\"article\">"]),
    ] {
        let text = fs::read_to_string(ours.artifact(name)).unwrap();
        for trace in traces {
            assert!(!text.contains(trace), "{name} holds {trace}");
        }
    }
}

#[test]
fn a_model_is_evaluated_only_as_it_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let ours = with_licences(folder.path(), "mixed");
    let theirs = with_licences(folder.path(), "mixed").set("compat.article=true");
    ours.stages(&STAGES[..4]);
    theirs.stage("evaluate").refuses(&[
        "was trained with compat.article = false, the configuration says true",
        "run `make all` with this setting",
    ]);
    theirs.stages(&STAGES[..4]);
    ours.stage("evaluate").refuses(&["was trained with compat.article = true, the configuration says false"]);
    theirs.stages(&["evaluate"]);
}

/// Nothing learns, so that the exported model is the one that the first step's loss is of, and one
/// batch holds the whole training split, so that its order makes no difference.
#[test]
fn with_the_articles_choices_training_attends_to_padding() {
    let folder = tempfile::tempdir().unwrap();
    let run = with_licences(folder.path(), "unmasked").set(
        "compat.article=true train.learning_rate.encoder=0 train.learning_rate.classifier=0 \
         train.batch_size=100 corpus.split.validation=0.2",
    );
    run.stages(&STAGES[..4]);

    let tokens = TokenizedCorpus::read(&run.artifact("tokens.arrow")).unwrap();
    assert!(tokens.texts.is_sorted_by_key(|text| text.split as u16), "training, validation, test");
    assert!(!tokens.texts.is_sorted_by_key(|text| text.label), "each in random order");

    let steps = read_training(&run.artifact("training.parquet")).unwrap();
    for split in [Split::Train, Split::Validation] {
        let texts: Vec<&TokenizedText> = tokens.texts.iter().filter(|text| text.split == split).collect();
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

#[test]
fn texts_without_url_and_date_are_a_corpus_too() {
    let folder = tempfile::tempdir().unwrap();
    for (category, titles) in
        [("魚", ["鯛が釣れた", "鮪の初競り", "鰯の群れ"]), ("鳥", ["雀の巣", "鷹が飛ぶ", "燕が来た"])]
    {
        fs::create_dir_all(folder.path().join("texts").join(category)).unwrap();
        for (at, title) in titles.iter().enumerate() {
            let path = folder.path().join("texts").join(category).join(format!("{category}{at}.txt"));
            fs::write(path, format!("{title}\n本文")).unwrap();
        }
    }
    let run = small(folder.path(), "own").set(&format!(
        "corpus.source={} corpus.layout=title-first corpus.split.test=0.34 corpus.split.stratified=true",
        folder.path().join("texts").display()
    ));
    run.stages(&STAGES);
    let corpus = Corpus::read(&run.artifact("corpus.parquet")).unwrap();
    assert_eq!(corpus.categories, ["魚", "鳥"]);
    assert!(corpus.articles.iter().all(|article| article.url.is_none() && article.body == "本文"));
}

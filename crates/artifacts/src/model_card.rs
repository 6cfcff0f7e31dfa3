//! The model card: `README.md` of `model/`, with the metadata that the Hugging Face hub reads, and the same with results.
//!
//! `train` writes it before the model is evaluated. `render` adds the results to a copy beside `model/`, because an
//! artifact is never changed in place.

use std::fmt::Write as _;

use midashi_config::{Head, TextChoice};
use midashi_text::{Windowing, shaped};

use crate::category::{LISTED_CATEGORIES, Split};
use crate::interval::Interval;
use crate::listing::{hardest, most_frequent};
use crate::metrics::{Metrics, Scores};

/// What a model card says about a model.
#[derive(Clone, Debug)]
pub struct ModelCard<'a> {
    /// What was fine-tuned; none if the model was trained from scratch.
    pub base_model: Option<BaseModel>,
    /// The corpus: a hub id, a URL, or the name of a file or folder, without its path.
    pub corpus: &'a str,
    /// Category names and the number of texts of each split, in the order of [`Split::ALL`].
    pub categories: &'a [(String, [usize; 3])],
    /// The part of an article that the model reads.
    pub text: TextChoice,
    /// Longest input in tokens.
    pub max_length: usize,
    /// How longer texts are cut into windows; none if they lose their end.
    pub windowing: Option<Windowing>,
    /// The head.
    pub head: Head,
    /// Number of pieces before and after the checkpoint's vocabulary was trimmed, if it was.
    pub trimmed: Option<(usize, usize)>,
    /// Settings of the training: names and values.
    pub training: &'a [(&'static str, String)],
}

/// The checkpoint that was fine-tuned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseModel {
    /// Its hub id, or the name of its folder, without the path.
    pub name: String,
    /// Whether `name` is a hub id.
    pub is_on_hub: bool,
    /// Its licence, as its own card states it.
    pub licence: Licence,
}

/// A licence as the metadata of a card on the hub: lines such as `license: apache-2.0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Licence(Vec<String>);

impl Licence {
    /// The licence in the metadata of the card `text`; empty if it states none.
    pub fn of_card(text: &str) -> Self {
        /// Longest line that is taken from somebody else's file.
        const LONGEST: usize = 300;
        let mut lines = text.lines();
        if lines.next().map(str::trim_end) != Some("---") {
            return Self::default();
        }
        let metadata = lines.take_while(|line| line.trim_end() != "---");
        let is_licence = |line: &&str| {
            ["license: ", "license_name: ", "license_link: "].iter().any(|key| line.starts_with(key))
                && line.len() <= LONGEST
                && !line.contains(char::is_control)
        };
        let lines: Vec<String> = metadata.filter(is_licence).map(|line| line.trim_end().to_owned()).collect();
        // A name or a link without the licence itself is no valid metadata.
        Self(if lines.iter().any(|line| line.starts_with("license: ")) { lines } else { Vec::new() })
    }

    /// The licence itself, such as `apache-2.0`.
    pub fn name(&self) -> Option<&str> {
        self.0.iter().find_map(|line| line.strip_prefix("license: "))
    }
}

/// The section that [`with_results`] replaces.
const RESULTS: &str = "## Results\n";
const NOT_EVALUATED: &str = "The model had not been evaluated when this card was written.\n";

impl ModelCard<'_> {
    /// The card without results.
    pub fn text(&self) -> String {
        let sections = [
            self.metadata(),
            format!("# {}\n", self.title()),
            self.description(),
            format!("{RESULTS}\n{NOT_EVALUATED}"),
            self.use_in_python(),
            self.training_data(),
            self.training(),
        ];
        sections.join("\n")
    }

    /// Checkpoint and corpus, without the owner's name.
    fn title(&self) -> String {
        let last = |name: &str| name.rsplit('/').find(|part| !part.is_empty()).unwrap_or("BERT").to_owned();
        let base = self.base_model.as_ref().map_or("BERT".to_owned(), |base| last(&base.name));
        shaped(&format!("{base} for {}", last(self.corpus)))
    }

    /// The hub's metadata: <https://huggingface.co/docs/hub/model-cards#model-card-metadata>.
    fn metadata(&self) -> String {
        let licence =
            self.base_model.as_ref().map(|base| &base.licence).filter(|licence| !licence.0.is_empty());
        let mut lines = vec!["language: ja".to_owned()];
        match licence {
            Some(licence) => lines.extend(licence.0.iter().cloned()),
            None => lines.push("license: unknown".to_owned()),
        }
        if let Some(base) = self.base_model.as_ref().filter(|base| base.is_on_hub) {
            lines.push(format!("base_model: {}", base.name));
        }
        if let Some(dataset) = self.dataset() {
            lines.extend(["datasets:".to_owned(), format!("- {dataset}")]);
        }
        lines.extend(
            [
                "library_name: transformers",
                "pipeline_tag: text-classification",
                "tags:",
                "- midashi",
                "- onnx",
            ]
            .map(str::to_owned),
        );
        lines.extend(["metrics:", "- accuracy", "- f1"].map(str::to_owned));
        format!("---\n{}\n---\n", lines.join("\n"))
    }

    /// The corpus's hub id, if it has one: `owner/name` of `hf://datasets/owner/name@revision/path`.
    fn dataset(&self) -> Option<String> {
        let id = self.corpus.strip_prefix("hf://datasets/")?;
        let mut parts = id.split(['/', '@']);
        Some(format!("{}/{}", parts.next()?, parts.next()?))
    }

    fn description(&self) -> String {
        let base = match &self.base_model {
            Some(BaseModel { name, is_on_hub: true, .. }) => {
                format!("[{name}](https://huggingface.co/{name}), fine-tuned")
            }
            Some(BaseModel { name, .. }) => format!("The checkpoint {}, fine-tuned", code(name)),
            None => "A BERT, trained from random weights".to_owned(),
        };
        let text = match self.text {
            TextChoice::Title => "headlines",
            TextChoice::Body => "bodies of articles",
            TextChoice::TitleAndBody => "articles, as pairs of a headline and a body",
        };
        let head = match self.head {
            Head::Linear => {
                "The classifier is a linear layer on the last hidden state of `[CLS]`. `BertForSequenceClassification` always \
                 has a pooler before it; here the pooler is 2⁻¹² times the identity, where its tanh is linear, and the \
                 classifier's weights are multiplied by 2¹². Keep this in mind if you fine-tune the model further: \
                 initialise pooler and classifier anew."
            }
            Head::Native => {
                "The classifier has the layers of the architecture's own class for sequence classification."
            }
        };
        let labels = match self.categories.len() {
            ..=LISTED_CATEGORIES => {
                let labels = self.categories.iter().map(|(label, _)| code(label));
                format!(": {}", labels.collect::<Vec<_>>().join(", "))
            }
            _ => ", which `labels.json` lists".to_owned(),
        };
        let licence = match self.base_model.as_ref().and_then(|base| base.licence.name()) {
            Some(name) => format!("The licence above, {name}, is that of the checkpoint; the texts may have another."),
            None => "The licence is unknown: neither checkpoint nor texts stated one in a way that a program reads.".into(),
        };
        let vocabulary = match self.trimmed {
            Some((before, after)) => format!(
                "\n\nIts vocabulary has {after} of the checkpoint's {before} pieces: those of the training corpus, of \
                 Japanese, ASCII and punctuation. Texts in these scripts are read as before; words in others, such as \
                 Hangul, are unknown or cut into smaller pieces."
            ),
            None => String::new(),
        };
        format!(
            "{base} to classify Japanese {text} in {} categories{labels}. Made with \
             Midashi.{vocabulary}\n\n{head}\n\n{licence}\n",
            self.categories.len(),
        )
    }

    fn use_in_python(&self) -> String {
        let (texts, encode) = match self.text {
            TextChoice::TitleAndBody => (
                "[{\"text\": \"見出し\", \"text_pair\": \"本文\"}]",
                "tokenizer([\"見出し\"], [\"本文\"], padding=True, truncation=\"only_second\", return_tensors=\"np\")",
            ),
            _ => (
                "[\"逆転勝利の日本代表、監督が語る涙の理由\"]",
                "tokenizer([\"逆転勝利の日本代表、監督が語る涙の理由\"], padding=True, truncation=True, return_tensors=\"np\")",
            ),
        };
        let truncation = if self.text == TextChoice::TitleAndBody { "\"only_second\"" } else { "True" };
        format!(
            "## Use\n\nIn this folder, with transformers:\n\n```python\nfrom transformers import pipeline\n\n\
             classify = pipeline(\"text-classification\", \".\")\n\
             print(classify({texts}, truncation={truncation}, top_k=3))\n```\n\n\
             With onnxruntime (`onnx/model.onnx` is the same file, where optimum and transformers.js look for it):\n\n\
             ```python\nimport json\n\nimport onnxruntime\nfrom transformers import AutoTokenizer\n\n\
             tokenizer = AutoTokenizer.from_pretrained(\".\")\n\
             session = onnxruntime.InferenceSession(\"classifier.onnx\")\n\
             labels = json.loads(session.get_modelmeta().custom_metadata_map[\"midashi.labels\"])\n\
             inputs = {encode}\n\
             [logits] = session.run([\"logits\"], dict(inputs))\n\
             print([labels[category] for category in logits.argmax(-1)])\n```\n\n\
             With Midashi, from a terminal or over HTTP:\n\n```sh\n\
             midashi-predict --model . '逆転勝利の日本代表、監督が語る涙の理由'\n\
             midashi-serve --model .\n```\n\n\
             {}\n",
            self.long_texts()
        )
    }

    fn long_texts(&self) -> String {
        match self.windowing {
            None => format!("Texts are cut to {} tokens, as in the training.", self.max_length),
            Some(Windowing { max_length, stride }) => format!(
                "Midashi reads texts of any length, as in the training: in windows of {max_length} tokens that share \
                 {stride}, and the answer is the mean of their logits, weighted by their numbers of tokens. The other \
                 programs read the first window unless you cut texts with `return_overflowing_tokens=True` and \
                 `stride={stride}` and average the logits."
            ),
        }
    }

    fn training_data(&self) -> String {
        let mut table = String::from("| category | training | validation | test |\n|---|---:|---:|---:|\n");
        let row = |label: &str, counts: [usize; 3]| {
            format!("| {label} | {} |\n", counts.map(|count| count.to_string()).join(" | "))
        };
        let sum = |rows: &mut dyn Iterator<Item = &[usize; 3]>| {
            rows.fold([0; 3], |sums, counts| [0, 1, 2].map(|split| sums[split] + counts[split]))
        };
        let all = sum(&mut self.categories.iter().map(|(_, counts)| counts));
        let training: Vec<usize> = self.categories.iter().map(|(_, counts)| counts[0]).collect();
        let listed: Vec<_> = most_frequent(&training).into_iter().map(|at| &self.categories[at]).collect();
        for (label, counts) in &listed {
            table += &row(&cell(label), *counts);
        }
        let others = self.categories.len() - listed.len();
        if others > 0 {
            let shown = sum(&mut listed.iter().map(|(_, counts)| counts));
            let rest = [0, 1, 2].map(|split| all[split] - shown[split]);
            table += &row(&format!("{others} others"), rest);
        }
        table += &row("**all**", all);
        format!("## Training data\n\n{}\n\n{table}", code(self.corpus))
    }

    fn training(&self) -> String {
        let mut table = String::from("| setting | value |\n|---|---|\n");
        for (name, value) in self.training {
            let _ = writeln!(table, "| `{name}` | {} |", cell(value));
        }
        format!("## Training\n\n{table}")
    }
}

/// The card `text` of [`ModelCard::text`] with the results of an evaluation, for the hub's metadata and for people; `None`
/// if the text is not such a card.
pub fn with_results(text: &str, metrics: &Metrics) -> Option<String> {
    let metadata_end = text.strip_prefix("---\n")?.find("\n---\n")? + "---\n".len();
    let (metadata, body) = text.split_at(metadata_end);
    let name = body.lines().find_map(|line| line.strip_prefix("# "))?;
    let (before, rest) = body.split_once(RESULTS)?;
    let after = rest.find("\n## ").map_or("", |next| &rest[next..]);
    let dataset = body.split_once("## Training data\n\n`")?.1.split_once('`')?.0;
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let index = format!(
        "\nmodel-index:\n- name: {name}\n  results:\n  - task:\n      type: text-classification\n      \
         name: Text classification\n    dataset:\n      name: {dataset}\n      type: {dataset}\n      split: test\n    \
         metrics:\n    - type: accuracy\n      value: {:.4}\n      name: Accuracy\n    - type: f1\n      value: {:.4}\n      \
         name: Macro F1",
        metrics.accuracy,
        metrics.macro_f1,
        name = quoted(name),
        dataset = quoted(dataset),
    );
    Some(format!("{metadata}{index}{before}{RESULTS}\n{}{after}", results(metrics)))
}

fn results(metrics: &Metrics) -> String {
    let interval = |interval: Option<Interval>| {
        interval.map_or("–".to_owned(), |Interval { low, high }| format!("{low:.4} to {high:.4}"))
    };
    let row = |name: &str, accuracy: f64, macro_f1: f64, [first, second]: [Option<Interval>; 2]| {
        format!("| {name} | {accuracy:.4} | {} | {macro_f1:.4} | {} |\n", interval(first), interval(second))
    };
    let intervals =
        metrics.intervals.map(|both| [both.accuracy, both.macro_f1].map(Some)).unwrap_or_default();
    let mut text = format!(
        "On the {} texts of the test split, with 95 % bootstrap intervals:\n\n\
         | | accuracy | interval | macro F1 | interval |\n|---|---:|---|---:|---|\n",
        metrics.test_rows
    );
    text += &row("this model", metrics.accuracy, metrics.macro_f1, intervals);
    if let Some(baseline) = &metrics.baseline {
        let Scores { accuracy, macro_f1, intervals } = baseline.scores;
        let intervals = [intervals.accuracy, intervals.macro_f1].map(Some);
        text += &row("linear baseline (character n-grams, TF-IDF)", accuracy, macro_f1, intervals);
    }
    text += "\n| category | precision | recall | F1 | texts |\n|---|---:|---:|---:|---:|\n";
    let listed = hardest(&metrics.per_class);
    for &at in &listed {
        let class = &metrics.per_class[at];
        let scores = class.scores;
        let label = cell(&class.label);
        let _ = writeln!(
            text,
            "| {label} | {:.4} | {:.4} | {:.4} | {} |",
            scores.precision, scores.recall, scores.f1, class.support
        );
    }
    if listed.len() < metrics.per_class.len() {
        let _ = writeln!(
            text,
            "\nThese are the {} of {} categories with the lowest F1; `metrics.json` has all.",
            listed.len(),
            metrics.per_class.len()
        );
    }
    text
}

/// The number of texts of each category in each split, in the order of [`Split::ALL`].
pub fn counts(
    categories: &[String],
    texts: impl Iterator<Item = (usize, Split)>,
) -> Vec<(String, [usize; 3])> {
    let mut counts: Vec<(String, [usize; 3])> =
        categories.iter().map(|label| (label.clone(), [0; 3])).collect();
    for (category, split) in texts {
        let at = Split::ALL.iter().position(|one| *one == split);
        if let (Some((_, counts)), Some(at)) = (counts.get_mut(category), at) {
            counts[at] += 1;
        }
    }
    counts
}

/// A text from outside as a cell of a Markdown table: on one line, and neither HTML nor Markdown.
fn cell(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in shaped(text).chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '\\' | '|' | '`' | '[' => shown.extend(['\\', c]),
            _ => shown.push(c),
        }
    }
    shown
}

/// A text from outside as code: on one line, without the quote that would end it.
fn code(text: &str) -> String {
    format!("`{}`", shaped(text).replace('`', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Averages, ClassMetrics, Intervals};

    const BASE_CARD: &str = "---\nlanguage:\n- ja\nlicense: cc-by-sa-4.0\nlicense_link: https://example.org/l\n---\nlicense: mit\n";

    fn card(corpus: &str, licence: Licence) -> String {
        card_of_windows(corpus, licence, None)
    }

    fn card_of_windows(corpus: &str, licence: Licence, windowing: Option<Windowing>) -> String {
        let categories = counts(
            &["謝罪".to_owned(), "告|知".to_owned()],
            [(0, Split::Train), (1, Split::Test), (1, Split::Train), (1, Split::Train)].into_iter(),
        );
        let base_model = Some(BaseModel { name: "owner/name".into(), is_on_hub: true, licence });
        let training = [("train.epochs", "5".to_owned())];
        ModelCard {
            base_model,
            corpus,
            categories: &categories,
            text: TextChoice::Title,
            max_length: 64,
            windowing,
            head: Head::Linear,
            trimmed: Some((250_037, 104_500)),
            training: &training,
        }
        .text()
    }

    #[test]
    fn the_card_says_that_the_vocabulary_was_trimmed() {
        let card = card("a.csv", Licence::default());
        assert!(card.contains("Its vocabulary has 104500 of the checkpoint's 250037 pieces"), "{card}");
    }

    #[test]
    fn the_card_says_how_long_texts_are_read() {
        assert!(
            card("a.csv", Licence::default()).contains("Texts are cut to 64 tokens, as in the training.")
        );
        let windowing = Some(Windowing { max_length: 64, stride: 8 });
        let windows = card_of_windows("a.csv", Licence::default(), windowing);
        assert!(windows.contains("in windows of 64 tokens that share 8,") && !windows.contains("are cut to"));
    }

    fn metrics() -> Metrics {
        let interval = |low, high| Interval { low, high };
        let scores = Averages { precision: 0.5, recall: 1.0, f1: 2.0 / 3.0 };
        Metrics {
            accuracy: 0.875,
            macro_f1: 0.75,
            test_rows: 8,
            intervals: Some(Intervals { accuracy: interval(0.5, 1.0), macro_f1: interval(0.25, 1.0) }),
            per_class: vec![ClassMetrics { label: "謝罪".into(), scores, support: 3 }],
            ..Metrics::default()
        }
    }

    #[test]
    fn the_licence_is_that_of_the_checkpoints_card() {
        let text = card("texts", Licence::of_card(BASE_CARD));
        assert!(text.starts_with("---\nlanguage: ja\nlicense: cc-by-sa-4.0\nlicense_link: https://example.org/l\nbase_model: owner/name\n"), "{text}");
        for unknown in
            ["", "license: mit\n", "---\nlicense_link: x\n---\n", "---\nlanguage: ja\n---\nlicense: mit"]
        {
            let text = card("texts", Licence::of_card(unknown));
            assert!(
                text.contains("\nlicense: unknown\n") && text.contains("The licence is unknown"),
                "{unknown}"
            );
        }
    }

    #[test]
    fn the_card_tells_data_and_settings() {
        let text = card("hf://datasets/owner/news@main/default", Licence::default());
        for part in [
            "datasets:\n- owner/news\n",
            "| 謝罪 | 1 | 0 | 0 |\n| 告\\|知 | 2 | 0 | 1 |\n| **all** | 3 | 0 | 1 |",
            "| `train.epochs` | 5 |",
            "cut to 64 tokens",
            NOT_EVALUATED,
        ] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
        assert!(!card("texts", Licence::default()).contains("datasets:"));
    }

    #[test]
    fn a_card_of_many_categories_lists_some_and_says_where_the_others_are() {
        let categories: Vec<(String, [usize; 3])> =
            (0..10_000).map(|at| (format!("category {at}"), [at % 100, 1, 2])).collect();
        let card = ModelCard {
            base_model: None,
            corpus: "texts",
            categories: &categories,
            text: TextChoice::Title,
            max_length: 64,
            windowing: None,
            head: Head::Linear,
            trimmed: None,
            training: &[],
        };
        let card = card.text();
        assert!(card.contains("in 10000 categories, which `labels.json` lists. Made"), "{card}");
        // 100 categories have 99 training texts, and all together 100 · (0 + … + 99).
        assert!(card.contains("\n| category 99 | 99 | 1 | 2 |\n"), "{card}");
        let (others, all) = ((495_000 - 50 * 99), 495_000);
        let rows =
            format!("\n| 9950 others | {others} | 9950 | 19900 |\n| **all** | {all} | 10000 | 20000 |\n");
        assert!(card.contains(&rows), "{card}");

        let class = |at: u64| ClassMetrics {
            label: format!("category {at}"),
            scores: Averages { f1: at as f64 / 10_000.0, ..Averages::default() },
            support: at % 2,
        };
        let metrics = Metrics { per_class: (0..10_000).map(class).collect(), ..Metrics::default() };
        let text = with_results(&card, &metrics).unwrap();
        assert!(text.contains("| category 1 | 0.0000 | 0.0000 | 0.0001 | 1 |"), "{text}");
        assert!(!text.contains("category 0 |") && !text.contains("| category 101 |"), "{text}");
        assert!(
            text.contains("These are the 50 of 10000 categories with the lowest F1; `metrics.json` has all.")
        );
        assert!(text.len() < 12_000, "{} bytes", text.len());
    }

    #[test]
    fn names_from_outside_are_neither_markdown_nor_html() {
        let name = "`a`\n---\n<script>|[x](y)\u{1B}[2J";
        assert_eq!(cell(name), "\\`a\\`␊---␊&lt;script>\\|\\[x](y)␛\\[2J");
        assert_eq!(code(name), "`'a'␊---␊<script>|[x](y)␛[2J`");
    }

    #[test]
    fn results_replace_their_section_and_join_the_metadata() {
        let card = card("texts.csv", Licence::default());
        let text = with_results(&card, &metrics()).unwrap();
        let (metadata, body) = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap();
        assert!(
            metadata.contains("- name: \"name for texts.csv\"\n")
                && metadata.contains("type: \"texts.csv\"\n"),
            "{metadata}"
        );
        assert!(metadata.contains("value: 0.8750\n") && metadata.contains("value: 0.7500\n"), "{metadata}");
        assert!(
            body.contains("| this model | 0.8750 | 0.5000 to 1.0000 | 0.7500 | 0.2500 to 1.0000 |"),
            "{body}"
        );
        assert!(body.contains("| 謝罪 | 0.5000 | 1.0000 | 0.6667 | 3 |"), "{body}");
        assert!(!text.contains(NOT_EVALUATED));
        // Everything else is as it was.
        for section in ["# name for texts.csv", "## Use", "## Training data", "## Training"] {
            assert_eq!(text.lines().filter(|line| *line == section).count(), 1, "{section}");
        }
        assert_eq!(with_results("# another card", &metrics()), None);
    }
}

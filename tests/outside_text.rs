//! Text from outside is text everywhere: it does not command a terminal, breaks no table and computes nothing in a spreadsheet; and
//! it is the same text from a file, a pipe and the command line.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;

use midashi_tests::{Outcome, Run, STAGES, Shared, folder};
use serde_json::{Value, json};

/// Sets a terminal's title, clears the screen, ends a line, turns the text around, and is a formula.
const NAME: &str = "=1+1\u{1B}]0;owned\u{7}\u{1B}[2J\n\u{9B}2J\u{202E}名";
/// As it is printed.
const SHOWN: &str = "=1+1␛]0;owned␇␛[2J␊\u{FFFD}2J<U+202E>名";

/// A run through all stages, of a table whose labels, titles and name are hostile, with all that its stages printed.
fn finished() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|folder| {
        let table = folder.join("t\u{1B}[2J.jsonl");
        let row = |number: usize| {
            let (label, word) = [(NAME, "魚"), ("b", "鳥")][number % 2];
            json!({"text": format!("{word}の見出し{number}{NAME}"), "label": label, "id": format!("{NAME}{number}")})
        };
        let rows: Vec<String> = (0..60).map(|number| row(number).to_string()).collect();
        fs::write(&table, rows.join("\n")).unwrap();
        let run = Run::sample(folder.join("artifacts"), "outside")
            .small_model()
            .reads(&table)
            .set("train.epochs=1 evaluate.device=cpu corpus.split.stratified=true");
        let outcome = run.stages(&STAGES);
        (run, outcome)
    })
}

fn safe(outcome: &Outcome) {
    let printed = outcome.printed();
    let commands = |c: char| c != '\n' && (c.is_control() || c == '\u{202E}');
    assert!(!printed.contains(commands), "{printed:?}");
}

fn predicted(run: &Run, arguments: &[&str]) -> Outcome {
    run.stage("predict").arguments(arguments.iter().copied()).succeeds()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn nothing_from_outside_commands_the_terminal_or_breaks_a_table() {
    let (run, outcome) = finished();
    safe(outcome);
    // The table of splits, the classification report.
    assert!(
        outcome.printed().lines().filter(|line| line.contains(SHOWN)).count() >= 2,
        "{}",
        outcome.printed()
    );
    outcome.says("t␛[2J.jsonl");
    assert_eq!(run.corpus().categories, [NAME, "b"], "the artifacts have the name as it is");
    for arguments in [&["魚の話"][..], &["--format", "ansi", NAME]] {
        let stdout = predicted(run, arguments).stdout;
        // Colours are the program's own.
        let without_colours =
            stdout.replace("\u{1B}[0m", "").replace("\u{1B}[", "<").replace("<2J", "\u{1B}[2J");
        assert!(
            !without_colours.contains("\u{1B}[2J") && !stdout.contains(['\u{7}', '\u{9B}', '\u{202E}']),
            "{stdout:?}"
        );
    }
    let model = run.artifact("model").display().to_string();
    safe(&run.stage("inspect").arguments([model.as_str(), "--text", NAME]).succeeds());
}

#[test]
fn messages_repeat_what_they_refuse_without_obeying_it() {
    let folder = folder();
    let run = Run::sample(folder.path().join("artifacts"), "refused");
    let missing = format!("corpus.source={}/x{NAME}", folder.path().display());
    let refused = run.stage("fetch").arguments(["--set", missing.as_str()]).ends();
    refused.refuses(["does not exist", SHOWN]);
    safe(&refused);
    let refused = run.stage("fetch").arguments([NAME]).ends();
    assert_eq!(refused.code, Some(2), "{}", refused.printed());
    assert!(refused.stderr.contains("unexpected argument"), "{}", refused.stderr);
    safe(&refused);
    let (finished, _) = finished();
    let input = folder.path().join("in.csv");
    fs::write(&input, format!("\"{NAME}\",\"{NAME}2\"\na,b\n")).unwrap();
    let refused = finished.stage("predict").arguments(["--input", text(&input)]).ends();
    refused.refuses(["no column has a usual name of a text"]);
    safe(&refused);
}

#[test]
fn a_spreadsheet_computes_nothing_and_a_program_gets_the_same_text_back() {
    let (run, _) = finished();
    let folder = folder();
    let input = folder.path().join("in.jsonl");
    let texts =
        ["=HYPERLINK(\"http://a/?\"&A1,\"魚\")", "+81 鳥", "-1 魚", "@魚", "\t魚", "＝魚", "魚=鳥", "'=魚"];
    let rows: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| json!({"text": text, "number": -(at as i64)}).to_string())
        .collect();
    fs::write(&input, rows.join("\n")).unwrap();
    let table = |name: &str, more: &[&str]| {
        let output = folder.path().join(name);
        let arguments = [&["--input", text(&input), "--output", text(&output)], more].concat();
        (predicted(run, &arguments), output)
    };
    for name in ["out.csv", "out.tsv"] {
        let (outcome, output) = table(name, &[]);
        let written = fs::read_to_string(&output).unwrap();
        let delimiter = if name == "out.csv" { ',' } else { '\t' };
        for line in written.lines() {
            let cells = line.split(delimiter).map(|cell| cell.trim_matches('"'));
            let computed = |cell: &&str| cell.starts_with(['=', '+', '@', '＝']) || *cell == "-1 魚";
            assert_eq!(cells.filter(computed).count(), 0, "{line}");
        }
        assert!(
            written.contains("'-1 魚") && written.contains(&format!("魚{delimiter}-3{delimiter}")),
            "{written}"
        );
        outcome.says("cells begin like a formula").says("--formulas keep");
        // The predicted category is a text from outside too.
        assert!(!written.contains(&format!("{delimiter}\"=1+1")), "{written}");
    }
    // Predictions of the table that was written are those of the texts, and its texts are the same bytes.
    let (kept, output) = table("kept.csv", &["--formulas", "keep"]);
    kept.does_not_say("begin like a formula");
    let again = folder.path().join("again.jsonl");
    let arguments =
        ["--input", text(&output), "--output", text(&again), "--text-column", "text", "--prefix", "again_"];
    predicted(run, &arguments);
    let (exact, lines) = table("out.jsonl", &[]);
    exact.does_not_say("begin like a formula");
    let objects = |path: &Path| -> Vec<Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    for ((first, again), text) in objects(&lines).iter().zip(&objects(&again)).zip(texts) {
        assert_eq!((&first["text"], &again["text"]), (&json!(text), &json!(text)));
        assert_eq!(first["predicted"], again["again_predicted"]);
    }
}

#[test]
fn a_text_is_the_same_from_a_file_a_pipe_and_the_command_line() {
    let (run, _) = finished();
    let folder = folder();
    let documents = |arguments: &[&str], input: &str| -> Vec<Value> {
        let arguments = [&["--format", "json"], arguments].concat();
        let outcome = run.stage("predict").arguments(arguments).input(input).succeeds();
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let one = &documents(&["魚の話\n二行目"], "")[0];
    for text in
        ["魚の話\r\n二行目", "魚の話\r二行目", "\u{feff}魚の話\n二行目", "\u{feff}\u{feff}魚の話\r\n二行目"]
    {
        assert_eq!(&documents(&[text], "")[0], one, "{text:?} on the command line");
        let csv = format!("text\n\"{text}\"\n");
        assert_eq!(
            &documents(&["--input", "-", "--input-format", "csv"], &csv)[0],
            one,
            "{text:?} on standard input"
        );
        let path = folder.path().join("in.csv");
        fs::write(&path, format!("\u{feff}\u{feff}{csv}")).unwrap();
        assert_eq!(&documents(&["--input", path.to_str().unwrap()], "")[0], one, "{text:?} in a file");
    }
    let lines = documents(&["魚の話", "二行目", "三行目"], "");
    for end in ["\n", "\r\n", "\r"] {
        let piped = format!("\u{feff}\u{feff}魚の話{end}二行目{end}三行目{end}");
        assert_eq!(documents(&[], &piped), lines, "{end:?}");
    }
}

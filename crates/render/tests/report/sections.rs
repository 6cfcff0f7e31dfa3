//! Tests of the report's sections: their content, and in a browser their language, width and tables.

use midashi_artifacts::{Article, Corpus};
use serde_json::json;

use crate::explorer::page;
use crate::{BIDI, Run, SCRIPT, english_of, lang_of, parse, with_class};

fn table(html: &str, id: &str) -> Vec<Vec<String>> {
    let page = parse(html);
    let table = page.descendants().find(|node| node.attribute("id") == Some(id)).unwrap();
    let rows = table.descendants().filter(|node| node.has_tag_name("tr"));
    rows.map(|row| row.children().filter(|cell| cell.is_element()).map(english_of).collect()).collect()
}

#[test]
fn the_scores_of_the_baseline_and_the_article_are_shown_per_category() {
    let run = Run::invented("beside");
    let path = run.folder.join("metrics.json");
    let mut metrics: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let average = json!({"precision": 0.1234, "recall": 0.2345, "f1": 0.3456});
    let mut classes = metrics["per_class"].clone();
    classes[2]["f1"] = json!(0.9876);
    let interval = json!({"low": 0.1, "high": 0.2});
    metrics["baseline"] = json!({"accuracy": 0.7123, "macro_f1": 0.3456, "macro_average": average,
        "weighted_average": average, "per_class": classes,
        "intervals": {"accuracy": interval, "macro_f1": interval},
        "mcnemar": {"only_first_right": 3, "only_second_right": 19, "p_value": 0.0009}});
    std::fs::write(&path, metrics.to_string()).unwrap();
    let rows = table(&run.report(), "scores");
    assert_eq!(rows[0], ["", "", "BERT", "linear baseline", "article1"]);
    let third = ["kaden-channel", "2", "0.6250", "0.6500", "0.6375", "0.6250", "0.6500", "0.9876", "–"];
    assert_eq!(rows[4], third, "the article's figures by category are not known");
    assert_eq!(rows[11], ["accuracy", "20", "", "", "0.6500", "", "", "0.7123", "0.85"]);
    let macro_average =
        ["macro average", "20", "0.6250", "0.6500", "0.6375", "0.1234", "0.2345", "0.3456", "0.84"];
    assert_eq!(rows[12], macro_average);
}

#[test]
fn confident_mistakes_come_first_and_link_to_their_texts() {
    let run = Run::invented("mistakes");
    let html = run.report();
    let rows = table(&html, "mistakes");
    // Every third text is wrong with 59 %; its true category has 20 %.
    assert_eq!(rows.len(), 1 + 7);
    assert_eq!(rows[7][0], SCRIPT);
    assert_eq!(&rows[7][1..], ["dokujo-tsushin", "it-life-hack", "59.0%", "20.0%"]);
    let page = parse(&html);
    let link = page.descendants().find(|node| node.has_tag_name("a") && english_of(*node) == SCRIPT).unwrap();
    assert_eq!(link.attribute("href"), Some("#texts?text=text-18"));
}

#[test]
fn near_duplicate_titles_are_listed_as_plain_text() {
    let run = Run::invented("twins");
    assert!(english_of(parse(&run.report()).root_element()).contains("None of the 20 test titles"));
    let path = run.folder.join("corpus.parquet");
    let corpus = Corpus::read_without_bodies(&path).unwrap();
    let with_title = |(at, article): (usize, Article)| match at {
        0 | 1 => Article { title: SCRIPT.into(), ..article },
        2 => Article { title: BIDI.into(), ..article },
        3 => Article { title: BIDI.to_uppercase().replace('\u{202E}', "\u{200B}"), ..article },
        _ => article,
    };
    let articles = corpus.articles.into_iter().enumerate().map(with_title).collect();
    run.record("ingest", &json!({"twins": true}), &json!({}), |provenance| {
        Corpus { categories: corpus.categories.clone(), articles }.write(&path, provenance).unwrap();
    });
    let html = run.report();
    let rows = table(&html, "pairs");
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(rows[1][0].starts_with(SCRIPT) && rows[1][1].starts_with(SCRIPT), "{rows:?}");
    assert_eq!(&rows[1][2..], ["1.000", "1", "✓ right"], "text 18 has that title too");
    assert!(rows[2][0].starts_with("右から|[U+200B]|左へ[U+2069][U+2069]家族👨\u{200D}👩"), "{rows:?}");
    assert!(rows[2][1].starts_with("右から|[U+202E]|左へ") && rows[2][1].contains("␛文字"), "{rows:?}");
    // Texts 1 and 3; every third text is wrong.
    let accuracy = table(&html, "with-duplicates");
    assert_eq!(accuracy[2][1..], ["2", "0.5000"]);
    assert_eq!(accuracy[3][1..], ["8", "0.7500"]);
}

#[test]
fn the_page_has_the_configuration_that_repeats_the_run() {
    let run = Run::invented("configuration");
    let html = run.report();
    let page = parse(&html);
    let configuration = page.descendants().find(|node| node.has_tag_name("pre")).unwrap();
    let text = english_of(configuration);
    assert!(
        text.contains("name = \"configuration\"") && text.contains("title = \"見出し & <Midashi>\""),
        "{text}"
    );
    assert!(!text.contains("epochs"), "what is a default is not in it: {text}");
}

#[test]
fn every_table_has_a_caption_and_every_chart_a_text_alternative_in_both_languages() {
    let run = Run::invented("captions");
    let html = run.report();
    let page = parse(&html);
    let tables: Vec<_> = with_class(&page, "table")
        .filter(|node| !node.descendants().any(|it| it.has_tag_name("pre")))
        .collect();
    assert!(tables.len() >= 8, "{} tables", tables.len());
    for table in tables {
        let caption = table.descendants().find(|node| node.has_tag_name("caption")).unwrap();
        assert!(!english_of(caption).is_empty());
    }
    for chart in with_class(&page, "chart") {
        for name in ["title", "desc"] {
            let said = chart
                .children()
                .filter(|node| node.has_tag_name((chart.tag_name().namespace().unwrap(), name)));
            let languages: Vec<_> = said.map(lang_of).collect();
            assert_eq!(languages, [Some("en"), Some("ja")], "{:?}", chart.attribute("id"));
        }
        let titles = chart.descendants().filter(|node| node.attribute("class") == Some("said"));
        assert!(titles.count() >= 2, "axes have titles: {:?}", chart.attribute("id"));
    }
}

#[test]
fn the_whole_report_speaks_the_chosen_language() {
    let Some((mut browser, report)) = page("sections-language") else { return };
    browser.open(&report, "", "explorer");
    let shown = "document.querySelector('main').innerText";
    let english = browser.text(shown);
    assert!(english.contains("Confusion matrix") && !english.contains("混同行列"));
    browser.click("[data-language=ja]");
    let japanese = browser.text(shown);
    for part in [
        "混同行列",
        "適合率",
        "再現率",
        "信頼度の較正",
        "確信度の高い誤分類",
        "ほぼ同じ見出し",
        "学習率（1 ステップ）",
    ] {
        assert!(japanese.contains(part), "{part} is missing");
    }
    for part in ["Confusion matrix", "precision", "Near-duplicates", "Learning rate", "test texts"] {
        assert!(!japanese.contains(part), "{part} is still English");
    }
    assert_eq!(browser.text("document.documentElement.lang"), "ja");
    let named = "document.getElementById('loss-chart').getAttribute('aria-labelledby')
        .split(' ').map((id) => document.getElementById(id).textContent).join(' ')";
    assert!(browser.text(named).starts_with("損失 最適化ステップごとの"), "screen readers hear it too");

    // A link in the page keeps the language and the view.
    browser.choose("view", "outcome", "wrong");
    browser.click("nav a[href='#errors']");
    browser.wait_until("location.hash === '#errors'");
    assert_eq!(browser.text("document.documentElement.lang"), "ja");
    assert_eq!(browser.text("document.getElementById('view').elements.namedItem('outcome').value"), "wrong");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_mistake_opens_in_the_explorer_in_the_chosen_language() {
    let Some((mut browser, report)) = page("sections-mistake") else { return };
    browser.open(&report, "", "explorer");
    browser.click("[data-language=ja]");
    browser.click("#mistakes a[href='#texts?text=text-18']");
    browser.wait_until("document.querySelector('#list [aria-selected=true]')?.id === 'text-18'");
    assert_eq!(browser.text("document.documentElement.lang"), "ja");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_table_is_copied_as_tab_separated_values_of_what_is_shown() {
    let Some((mut browser, report)) = page("sections-copy") else { return };
    browser.open(&report, "", "explorer");
    let tables = browser.evaluate("document.querySelectorAll('.table').length");
    assert_eq!(browser.evaluate("document.querySelectorAll('.table .copy').length"), tables);
    browser
        .evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'pasted'}))");
    let copied = |browser: &mut midashi_tests::browser::Browser, table: &str| {
        // Clear the status of the previous copy.
        browser.evaluate(&format!(
            "document.querySelector('.table:has({table}) [role=status]').textContent = ''"
        ));
        browser.click(&format!(".table:has({table}) .copy"));
        browser.wait_until(&format!(
            "document.querySelector('.table:has({table}) [role=status]').textContent !== ''"
        ));
        browser.evaluate(
            "document.getElementById('pasted').value = ''; document.getElementById('pasted').focus()",
        );
        let paste = json!({"type": "keyDown", "key": "v", "commands": ["paste"]});
        browser.call("Input.dispatchKeyEvent", &paste);
        browser.text("document.getElementById('pasted').value")
    };
    let matrix = copied(&mut browser, "#confusion-matrix");
    let lines: Vec<&str> = matrix.split('\n').collect();
    assert!(lines[0].starts_with("true ＼ predicted\tdokujo-tsushin\t"), "{matrix}");
    assert_eq!(lines[1], "dokujo-tsushin\t0\t3\t0\t0\t0\t0\t0\t0\t0");
    let scores = copied(&mut browser, "#scores");
    assert!(scores.starts_with("\t\tBERT\t\t\tarticle\ncategory\tsupport\tprecision\t"), "{scores}");
    assert!(copied(&mut browser, "pre").contains("name = \"sections-copy\"\n"));
    browser.click("[data-language=ja]");
    assert!(copied(&mut browser, "#confusion-matrix").starts_with("正解 ＼ 予測\t"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_phone_shows_the_report_without_scrolling_sideways() {
    let Some((mut browser, report)) = page("sections-phone") else { return };
    let phone = json!({"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &phone);
    browser.open(&report, "", "explorer");
    browser.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))");
    for language in ["en", "ja"] {
        browser.click(&format!("[data-language={language}]"));
        let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(width <= 390, "{width} pixels in {language}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

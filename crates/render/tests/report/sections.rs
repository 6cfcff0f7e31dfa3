//! Tests of the report's sections: their content, and in a browser their language, width and tables.

use midashi_artifacts::{Article, Corpus, Method, MethodFaithfulness, Metrics};
use serde_json::json;

use crate::explorer::{page, page_of};
use crate::{BIDI, Run, SCRIPT, english_of, lang_of, parse, with_class};

fn table(html: &str, id: &str) -> Vec<Vec<String>> {
    let page = parse(html);
    let table = page.descendants().find(|node| node.attribute("id") == Some(id)).unwrap();
    let rows = table.descendants().filter(|node| node.has_tag_name("tr"));
    rows.map(|row| row.children().filter(|cell| cell.is_element()).map(english_of).collect()).collect()
}

#[test]
fn the_scores_of_the_baseline_and_the_article_are_shown_per_category() {
    let run = Run::measured("beside");
    let path = run.folder.join("metrics.json");
    let mut metrics: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let average = json!({"precision": 0.1234, "recall": 0.2345, "f1": 0.3456});
    let mut classes = metrics["per_class"].clone();
    classes[2]["f1"] = json!(0.9876);
    for (key, value) in [("macro_average", &average), ("weighted_average", &average), ("per_class", &classes)]
    {
        metrics["baseline"][key] = value.clone();
    }
    metrics["baseline"]["macro_f1"] = json!(0.3456);
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
fn the_report_of_ten_thousand_categories_is_small_and_says_where_the_rest_is() {
    let run = Run::crowded("crowded", 10_000, 2_000);
    let html = run.report();
    assert!(html.len() < 10_000_000, "{} bytes", html.len());
    let card = std::fs::read_to_string(run.folder.join("README.md")).unwrap();
    assert!(card.len() < 20_000, "{} bytes", card.len());

    // Ten texts are in each of the first 100 categories. Every third text is wrong, four of ten in every third category.
    let pairs = table(&html, "confused-pairs");
    assert_eq!(pairs.len(), 1 + 50);
    assert_eq!(pairs[1], [SCRIPT, "大きな分類・小さな分類 00001", "4", "40.0%"]);
    assert_eq!(pairs[2][..2], ["大きな分類・小さな分類 00003", "大きな分類・小さな分類 00004"]);
    assert_eq!((&pairs[34][2], &pairs[35][2]), (&"4".to_owned(), &"3".to_owned()));
    assert_eq!(table(&html, "scores").len(), 2 + 50 + 3);
    assert_eq!(table(&html, "thresholds").len(), 1 + 50);
    let page = parse(&html);
    let section =
        |id: &str| english_of(page.descendants().find(|node| node.attribute("id") == Some(id)).unwrap());
    for (id, part) in [
        ("confusion", "Most confused categories"),
        ("confusion", "With 10,000 categories there is no matrix. 667 test texts"),
        ("confusion", "The 50 pairs with the most texts, of 433; metrics.json has all"),
        ("classification", "The table lists the 50 of 10,000 categories with the lowest F1"),
        ("errors", "The table lists the 50 of 10,000 categories with the most test texts"),
    ] {
        assert!(section(id).contains(part), "{id}: {part} is missing");
    }
    assert!(page.descendants().all(|node| node.attribute("id") != Some("confusion-matrix")));
    assert!(english_of(page.root_element()).contains("Most confused categories"));
}

/// A hundred texts of each number of categories, so that what grows is what categories take.
#[test]
fn memory_and_size_do_not_grow_with_the_square_of_the_categories() {
    let peak_and_size = |categories: usize| {
        let run = Run::crowded(&format!("crowded-{categories}"), categories, 100);
        let size = run.report().len() as f64;
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(run.folder.join("run.json")).unwrap()).unwrap();
        (record["stages"]["render"]["peak_memory_bytes"].as_f64().unwrap(), size)
    };
    let (few, many) = (peak_and_size(4_000), peak_and_size(32_000));
    let [memory, size] = [many.0 / few.0, many.1 / few.1];
    // Eight times the categories: 64 times a matrix, which alone would be 8 GB.
    assert!(memory < 8.0 && size < 8.0, "{memory:.1} times the memory, {size:.1} times the size");
}

#[test]
fn confident_mistakes_come_first_with_a_mark_where_the_label_is_in_doubt() {
    let run = Run::measured("mistakes");
    let html = run.report();
    let rows = table(&html, "mistakes");
    // Every third text is wrong with 59 %; its true category has 20 %. Text 18 is wrong with 92 %, which is more than
    // the mean probability of it-life-hack over that category's texts (76 %).
    assert_eq!(rows.len(), 1 + 7);
    let baseline = "dokujo-tsushin";
    assert_eq!(rows[1], [SCRIPT, "dokujo-tsushin", "it-life-hack", "92.0%", "1.0%", baseline, "⚑ in doubt"]);
    assert_eq!(rows[7][3..5], ["59.0%", "20.0%"]);
    assert_eq!(rows[7][6], "–");
    let page = parse(&html);
    let link = page.descendants().find(|node| node.has_tag_name("a") && english_of(*node) == SCRIPT).unwrap();
    assert_eq!(link.attribute("href"), Some("#texts?text=text-18"));
    let errors = page.descendants().find(|node| node.attribute("id") == Some("errors")).unwrap();
    let text = english_of(errors);
    assert!(text.contains("7 of 20 test texts are classified incorrectly"), "{text}");
    assert!(text.contains("Of these, 1 labels are in doubt (⚑)."), "{text}");
    assert!(text.contains("suggests the same other category for 0."), "{text}");
}

#[test]
fn words_are_listed_only_by_a_method_that_is_better_than_chance() {
    let run = Run::even("words");
    let section = |html: &str| {
        let page = parse(html);
        let words = page.descendants().find(|node| node.attribute("id") == Some("words")).unwrap();
        (english_of(words), words.descendants().filter(|node| node.has_tag_name("table")).count())
    };
    let html = run.report();
    let (text, tables) = section(&html);
    assert!(text.contains("Mean attribution of a word by gradient × input") && tables == 9, "{text}");
    // The comma is in the texts 0, 9 and 10, which are classified as it-life-hack.
    let words = table(&html, "words-2");
    assert!(words.contains(&["、", "3", "1.000 ±0.000"].map(str::to_owned).to_vec()), "{words:?}");

    let path = run.folder.join("metrics.json");
    let mut metrics = Metrics::read(&path).unwrap();
    let faithfulness = metrics.faithfulness.as_mut().unwrap();
    let chance = faithfulness.methods[0];
    faithfulness.methods[3] = MethodFaithfulness { method: Method::GradientXInput, ..chance };
    metrics.write(&path).unwrap();
    let (text, tables) = section(&run.report());
    assert_eq!(tables, 0);
    assert!(text.contains("gradient × input is no better than chance"), "{text}");
}

#[test]
fn the_completeness_error_of_integrated_gradients_is_told_if_it_was_measured() {
    let run = Run::measured("integration");
    let section = |html: &str| {
        let page = parse(html);
        english_of(page.descendants().find(|node| node.attribute("id") == Some("faithfulness")).unwrap())
    };
    let text = section(&run.report());
    assert!(text.contains("Computed at 13.5 points on average, they miss it by 3.6% of"), "{text}");
    assert!(text.contains("and by 5.0% at most"), "{text}");
    // Runs of earlier versions did not measure it.
    let path = run.folder.join("metrics.json");
    let mut metrics = Metrics::read(&path).unwrap();
    metrics.faithfulness.as_mut().unwrap().integration = None;
    metrics.write(&path).unwrap();
    assert!(!section(&run.report()).contains("points on average"));
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
        "確信度の較正",
        "誤分類をすべて",
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
fn japanese_sentences_follow_each_other_without_a_space() {
    let Some((mut browser, report)) = page_of("sections-spaces", Run::measured) else { return };
    browser.open(&report, "#texts?language=ja", "explorer");
    browser.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))");
    for source in ["integrated_gradients", "cls_attention", "layer_attention"] {
        browser.choose("view", "source", source);
        browser.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))");
        let text = browser.text("document.body.innerText");
        let at = text.find("。 ");
        assert_eq!(at.map(|at| text[at..].chars().take(20).collect::<String>()), None, "{source}");
        // Brackets beside Japanese are full-width; code and the texts of the corpus have their own.
        let half = browser.evaluate(
            "document.body.innerText.replace(/classification_report\\([^)]*\\)/g, '').match(/[ぁ-んァ-ン一-龠][ ]?[(].{0,20}/)",
        );
        assert_eq!(half, json!(null), "{source}");
        assert!(
            text.contains("実行情報")
                && text.contains("サブワード単位で表示")
                && text.contains("どれだけ寄与したか")
        );
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_contents_stay_in_sight_on_a_desktop_and_open_what_is_folded() {
    let Some((mut browser, report)) = page("sections-contents") else { return };
    browser.open(&report, "", "explorer");
    let place = "(() => { const {top, right} = document.querySelector('nav ul').getBoundingClientRect(); return [top, right]; })()";
    let current = "document.querySelector('nav a[aria-current]').hash";
    let left =
        browser.evaluate("document.querySelector('main').getBoundingClientRect().left").as_f64().unwrap();
    assert_eq!(browser.text(current), "#texts");
    for section in ["#calibration", "#run", "#errors"] {
        browser.evaluate(&format!("document.querySelector('{section}').scrollIntoView()"));
        browser.wait_until(&format!("{current} === '{section}'"));
        let found = browser.evaluate(place);
        let (top, right) = (found[0].as_f64().unwrap(), found[1].as_f64().unwrap());
        assert!((0.0..200.0).contains(&top) && right < left, "{section}: {top}, {right}, {left}");
    }
    let folded = "document.querySelector('#run > details').open";
    assert_eq!(browser.evaluate(folded), false);
    browser.click("nav a[href='#run']");
    browser.wait_until(&format!("{folded} && location.hash === '#run'"));
    browser.open(&report, "#run", "explorer");
    assert_eq!(browser.evaluate(folded), true, "also when the page is opened at it");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_lost_comparison_is_in_the_colour_of_errors() {
    let Some((mut browser, report)) = page_of("sections-verdict", Run::measured) else { return };
    browser.open(&report, "", "explorer");
    let style = "(() => { const {color, fontSize} = getComputedStyle(document.querySelector('#verdict .answer'));
        const ink = getComputedStyle(document.body); return [color, Number.parseFloat(fontSize) / Number.parseFloat(ink.fontSize), ink.color]; })()";
    let found = browser.evaluate(style);
    assert_eq!(found[0], "rgb(178, 70, 20)");
    assert!(found[1].as_f64().unwrap() > 1.1 && found[0] != found[2], "{found}");
    let order = "['verdict', 'explorer', 'errors', 'run'].map((id) => document.getElementById(id).getBoundingClientRect().top)";
    let tops: Vec<f64> =
        browser.evaluate(order).as_array().unwrap().iter().map(|top| top.as_f64().unwrap()).collect();
    assert!(tops.windows(2).all(|two| two[0] < two[1]), "{tops:?}");
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
fn a_confused_pair_lists_its_texts_and_a_text_its_most_probable_categories() {
    let Some((mut browser, report)) = page_of("sections-confused", |name| Run::crowded(name, 300, 200))
    else {
        return;
    };
    browser.open(&report, "", "explorer");
    let options = |browser: &mut midashi_tests::browser::Browser, name: &str| {
        browser
            .evaluate(&format!("document.getElementById('view').elements.namedItem('{name}').options.length"))
    };
    // 10 and 100 categories occur, and one option is for any.
    assert_eq!(options(&mut browser, "true"), 111);
    browser.click("#confused-pairs tbody tr:first-child button");
    let count = "document.getElementById('count').textContent";
    assert_eq!(browser.text(count), "4 of 200 test texts");
    let filters =
        "['true', 'predicted'].map((name) => document.getElementById('view').elements.namedItem(name).value)";
    assert_eq!(browser.evaluate(filters), json!([SCRIPT, "大きな分類・小さな分類 00001"]));
    let pressed = "[...document.querySelectorAll('#confused-pairs [aria-pressed=true]')].map((button) => button.textContent)";
    assert_eq!(browser.evaluate(pressed), json!(["4"]));
    browser.wait_until("location.hash.includes('predicted=')");
    let link = browser.text("location.hash");

    let probabilities =
        "[...document.querySelectorAll('#detail .probabilities tr')].map((row) => row.innerText.trim())";
    let rows = browser.evaluate(probabilities);
    let rows: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row.as_str().unwrap()).collect();
    assert_eq!(rows.len(), 11, "{rows:?}");
    // The other 298 have 0.27 / 300 each, and 290 of them are summed.
    assert!(rows[0].starts_with("大きな分類・小さな分類 00001") && rows[0].ends_with("53.2%"), "{rows:?}");
    assert!(
        rows[1].starts_with(SCRIPT) && rows[1].contains("true") && rows[1].ends_with("20.0%"),
        "{rows:?}"
    );
    assert!(rows[10].starts_with("290 other categories") && rows[10].ends_with("26.1%"), "{rows:?}");

    browser.open(&report, &link, "explorer");
    assert_eq!(browser.text(count), "4 of 200 test texts", "{link}");
    browser.click("[data-language=ja]");
    let shown = browser.text("document.getElementById('confusion').innerText");
    assert!(
        shown.contains("混同の多いカテゴリ") && shown.contains("正解カテゴリ") && !shown.contains("pairs"),
        "{shown}"
    );
    // Texts of the first ten are classified as 11 categories, and of the others two thirds as their own.
    assert_eq!(options(&mut browser, "predicted"), 1 + 11 + 67);
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &phone);
    browser.wait_until(
        "getComputedStyle(document.querySelector('#confused-pairs tbody tr')).display === 'block'",
    );
    let scrolls = "(() => { const box = document.querySelector('.table:has(#confused-pairs) .scroll'); return box.scrollWidth - box.clientWidth; })()";
    assert_eq!(browser.evaluate(scrolls), 0);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn on_a_phone_a_row_of_the_confusion_matrix_is_a_card_of_its_cells_with_texts() {
    let Some((mut browser, report)) = page_of("sections-phone-matrix", Run::measured) else { return };
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &phone);
    browser.open(&report, "", "explorer");
    browser.click("[data-language=en]");
    let scrolls = "(() => { const box = document.querySelector('.confusion .scroll'); return box.scrollWidth - box.clientWidth; })()";
    assert_eq!(browser.evaluate(scrolls), 0);
    // Texts 0, 9 and 18 are in the first category and classified as the second.
    let card = "[...document.querySelector('#confusion-matrix tbody tr').cells].filter((cell) => cell.checkVisibility())
        .map((cell) => [getComputedStyle(cell, '::before').content, cell.innerText.trim()])";
    assert_eq!(
        browser.evaluate(card),
        json!([
            ["none", "dokujo-tsushin"],
            ["\"dokujo-tsushin\"", "0, 0.0% of the row, right"],
            ["\"it-life-hack\"", "3, 100.0% of the row"]
        ])
    );
    browser.click("#confusion-matrix tbody tr:first-child button");
    assert_eq!(browser.text("document.getElementById('count').textContent"), "3 of 20 test texts");
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
    browser.evaluate("document.querySelector('#run > details').open = true");
    assert!(copied(&mut browser, "pre").contains("name = \"sections-copy\"\n"));
    browser.click("[data-language=ja]");
    assert!(copied(&mut browser, "#confusion-matrix").starts_with("正解 ＼ 予測\t"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_phone_shows_the_report_without_scrolling_sideways() {
    let Some((mut browser, report)) = page_of("sections-phone", Run::even) else { return };
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &phone);
    for language in ["en", "ja"] {
        browser.open(&report, "", "explorer");
        browser.click(&format!("[data-language={language}]"));
        // The explorer and its list are within two screens of the top.
        let offset =
            |id: &str| format!("document.getElementById('{id}').getBoundingClientRect().top + scrollY");
        let [explorer, list] = ["explorer", "list"].map(|id| browser.evaluate(&offset(id)).as_f64().unwrap());
        assert!(explorer < 844.0 && list < 2.0 * 844.0, "{language}: {explorer}, {list}");
        let open =
            browser.evaluate("[...document.querySelectorAll('.fold-on-phone')].map((part) => part.open)");
        assert_eq!(open, json!([false, false]), "filters and words");
        browser.evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))");
        let width = browser.evaluate("document.documentElement.scrollWidth").as_u64().unwrap();
        assert!(width <= 390, "{width} pixels in {language}");
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn on_a_phone_a_row_of_a_table_is_a_card_with_its_columns_headings() {
    let Some((mut browser, report)) = page_of("sections-cards", Run::even) else { return };
    browser.open(&report, "", "explorer");
    let layout = "getComputedStyle(document.querySelector('#mistakes tbody tr')).display";
    assert_eq!(browser.text(layout), "table-row", "on a desktop");
    let open = browser.evaluate("[...document.querySelectorAll('.fold-on-phone')].map((part) => part.open)");
    assert_eq!(open, json!([true, true]));
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &phone);
    browser.wait_until(&format!("{layout} === 'block'"));
    browser.wait_until("!document.getElementById('filters').open");
    // The visible headings of the cells in a table's first row.
    let headings = |browser: &mut midashi_tests::browser::Browser, table: &str| {
        browser.evaluate(&format!(
            "[...document.querySelector('#{table} tbody tr').cells].filter((cell) => cell.checkVisibility())
                .map((cell) => getComputedStyle(cell, '::before').content)"
        ))
    };
    let mistakes = json!([
        "none",
        "\"true category\"",
        "\"the model prefers\"",
        "\"its probability\"",
        "\"of the true category\"",
        "\"linear baseline\"",
        "\"label\""
    ]);
    assert_eq!(headings(&mut browser, "mistakes"), mistakes);
    let scores = headings(&mut browser, "scores");
    assert_eq!(scores[2], "\"BERT · precision\"", "a heading above several columns is part of theirs");
    assert_eq!(scores[7], "\"linear baseline · F1\"");
    browser.click("[data-language=ja]");
    assert_eq!(headings(&mut browser, "mistakes")[1], "\"正解カテゴリ\"");
    // A screen reader still finds a table.
    let roles = "[...document.querySelectorAll('#mistakes, #mistakes tbody tr:first-child, #mistakes tbody tr:first-child td')]
        .map((part) => part.getAttribute('role'))";
    assert_eq!(
        browser.evaluate(roles),
        json!(["table", "row", "cell", "cell", "cell", "cell", "cell", "cell", "cell"])
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

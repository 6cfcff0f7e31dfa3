//! The page in a browser: it answers as one types, words are switched off, two texts stand side by side.

use std::time::Duration;

use midashi_tests::browser::{Browser, axe, installed, tell};
use midashi_tests::{Corpus, Run, STAGES, folder};
use serde_json::{Value, json};

use crate::server::Server;

const TITLE: &str = "新しい料理の本";
const OTHER: &str = "逆転勝利の日本代表、監督が語る涙の理由";
const HOSTILE: &str =
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&右\u{202E}左\u{2069}👨\u{200D}👩制御";

/// A server, and a browser that has its page open; `None` and a message without a browser.
fn page(name: &str, options: &[&str]) -> Option<(Server, Browser)> {
    let Some(program) = installed() else {
        tell(&format!(
            "SKIPPED {name}: no Chromium in PATH (Debian: apt-get install chromium), none in CHROMIUM"
        ));
        return None;
    };
    let server = Server::start(options);
    let mut browser = Browser::start(&program, (1280, 900));
    browser.open_served(&format!("http://127.0.0.1:{}/", server.port), "page");
    Some((server, browser))
}

/// Types into a panel and waits for the answer.
fn write(browser: &mut Browser, panel: &str, text: &str) {
    browser.evaluate(&format!(
        "document.querySelector('#{panel} textarea').focus(); document.querySelector('#{panel} textarea').select()"
    ));
    browser.write(text);
    settled(browser, panel);
}

/// Waits until a panel shows an answer to its text.
fn settled(browser: &mut Browser, panel: &str) {
    browser.wait_until(&format!(
        "!document.getElementById('{panel}').classList.contains('stale') &&
         document.querySelector('#{panel} .words').textContent.length > 0 &&
         document.querySelector('#{panel} .words').textContent === document.querySelector('#{panel} textarea').value"
    ));
}

/// The predicted category and all categories' shown probabilities.
fn bars(browser: &mut Browser, panel: &str) -> (String, Vec<(String, String)>) {
    let best = browser.text(&format!("document.querySelector('#{panel} .best bdi').textContent"));
    let rows = browser.evaluate(&format!(
        "[...document.querySelectorAll('#{panel} .probabilities tbody tr')].map((row) =>
           [row.querySelector('bdi').textContent, row.cells[2].textContent])"
    ));
    (best, serde_json::from_value(rows).unwrap())
}

/// Asserts that a panel shows what the server answers to a question.
fn shows(browser: &mut Browser, panel: &str, server: &Server, question: &Value) {
    let answer = server.answered("/explain", question);
    let (best, rows) = bars(browser, panel);
    assert_eq!(best, answer["label"].as_str().unwrap());
    assert_eq!(rows.len(), 9);
    for (label, shown) in rows {
        let scores = answer["predictions"].as_array().unwrap();
        let score =
            scores.iter().find(|item| item["label"] == label.as_str()).unwrap()["score"].as_f64().unwrap();
        let shown: f64 = shown.trim_end_matches('%').parse().unwrap();
        assert!((shown - 100.0 * score).abs() < 0.06, "{label}: {shown} {score}");
    }
    let strengths: Vec<i64> = answer["words"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word["strength"].as_f64().map_or(-1, |strength| (10.0 * strength.abs()).round() as i64))
        .collect();
    let levels = browser.evaluate(&format!(
        "[...document.querySelectorAll('#{panel} .words .piece')].map((piece) => {{
           const level = [...piece.classList].find((name) => /^l\\d+$/.test(name));
           return level === undefined ? -1 : Number(level.slice(1)); }})"
    ));
    let levels: Vec<i64> = serde_json::from_value(levels).unwrap();
    assert!(
        levels.iter().zip(&strengths).all(|(level, strength)| (level - strength).abs() <= 1),
        "{levels:?} {strengths:?}"
    );
    assert_eq!(levels.len(), strengths.len());
}

#[test]
fn bars_and_colours_change_as_one_types() {
    let Some((server, mut browser)) = page("page-types", &[]) else { return };
    assert_eq!(browser.text("document.querySelector('#first .status').textContent"), "No text yet.");
    for text in [TITLE, OTHER] {
        write(&mut browser, "first", text);
        shows(&mut browser, "first", &server, &json!({"inputs": text}));
    }
    for method in ["rollout", "gradient_x_input", "integrated_gradients"] {
        browser.choose("controls", "method", method);
        browser.wait_until("document.querySelector('#first').classList.contains('stale') === false");
        shows(&mut browser, "first", &server, &json!({"inputs": OTHER, "method": method}));
        let legend = "[...document.querySelectorAll('.legend')].map((legend) => legend.checkVisibility())";
        assert_eq!(browser.evaluate(legend), json!([method == "rollout", method != "rollout"]));
    }
    browser.choose("controls", "method", "attention");
    browser.choose("controls", "head", "1");
    browser.wait_until("document.querySelector('#first').classList.contains('stale') === false");
    shows(&mut browser, "first", &server, &json!({"inputs": OTHER, "head": 1}));
    browser.evaluate("document.querySelector('#first textarea').select()");
    browser.evaluate("document.execCommand('delete')");
    browser.wait_until("document.querySelector('#first .words').textContent === ''");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn of_many_categories_the_most_probable_ones_are_listed() {
    let Some(program) = installed() else { return tell("SKIPPED page-many: no Chromium") };
    let artifacts = folder();
    let mut corpus = Corpus::new();
    for category in 0..30 {
        for text in ["を語る", "の見どころ", "が始まる", "を選ぶ"] {
            corpus = corpus.article(&format!("棚{category:02}"), &format!("{category}番{text}"), "本文");
        }
    }
    let run =
        Run::sample(&artifacts, "many").small_model().reads(&corpus.write(artifacts.path().join("corpus")));
    run.stages(&STAGES[..4]);
    let model = run.artifact("model").display().to_string();
    let server = Server::start(&["--model", &model]);
    let mut browser = Browser::start(&program, (1280, 900));
    browser.open_served(&format!("http://127.0.0.1:{}/", server.port), "page");
    write(&mut browser, "first", TITLE);
    let listed = |browser: &mut Browser, question: &Value| {
        let answer = server.answered("/explain", question);
        let most = answer["predictions"].as_array().unwrap().iter().take(20);
        let most: Vec<String> = most.map(|score| score["label"].as_str().unwrap().to_owned()).collect();
        let (best, rows) = bars(browser, "first");
        assert_eq!(best, most[0]);
        assert_eq!(rows.into_iter().map(|(label, _)| label).collect::<Vec<_>>(), most);
    };
    listed(&mut browser, &json!({"inputs": TITLE}));
    let caption = "document.querySelector('#first caption').textContent";
    assert_eq!(browser.text(caption), "Probability of each category (the 20 most probable of 30)");
    browser.click("#first .words [data-place='1']");
    browser.wait_until("document.querySelector('#first .words [data-place=\"1\"]').ariaPressed === 'true'");
    listed(&mut browser, &json!({"inputs": TITLE, "off": [1]}));
    assert_eq!(browser.evaluate("document.querySelector('#first table').textContent.includes('NaN')"), false);
    assert!(server.get("/").body.len() < 20_000 && !server.get("/").body.contains("棚"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn typing_on_cancels_what_is_no_longer_wanted() {
    let Some((server, mut browser)) = page("page-cancels", &[]) else { return };
    browser.evaluate("document.querySelector('#first textarea').focus()");
    for letter in OTHER.chars() {
        browser.write(&letter.to_string());
    }
    settled(&mut browser, "first");
    shows(&mut browser, "first", &server, &json!({"inputs": OTHER}));
    let metrics = server.get("/metrics").body;
    let line = "midashi_requests_total{path=\"/explain\",status=\"200\"} ";
    let asked: usize = metrics.lines().find_map(|found| found.strip_prefix(line)).unwrap().parse().unwrap();
    assert!(asked < 12, "{asked} questions for {} letters", OTHER.chars().count());
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_word_is_switched_off_and_on_with_mouse_and_keyboard() {
    let Some((server, mut browser)) = page("page-switch", &[]) else { return };
    write(&mut browser, "first", TITLE);
    let words = "[...document.querySelectorAll('#first .words .piece')].map((piece) => piece.ariaPressed)";
    assert_eq!(browser.evaluate(words), json!(["false", "false", "false", "false"]));
    browser.click("#first .words [data-place='1']");
    browser.wait_until("document.querySelector('#first .words [data-place=\"1\"]').ariaPressed === 'true'");
    shows(&mut browser, "first", &server, &json!({"inputs": TITLE, "off": [1]}));
    // The change of each category is told, and they cancel out.
    let changes = browser.evaluate(
        "[...document.querySelectorAll('#first .probabilities tbody tr')].map((row) =>
           Number(row.cells[3].textContent.replace('−', '-')))",
    );
    let changes: Vec<f64> = serde_json::from_value(changes).unwrap();
    assert!(changes.iter().any(|change| change.abs() > 0.5), "{changes:?}");
    assert!(changes.iter().sum::<f64>().abs() < 0.5, "{changes:?}");
    assert!(browser.text("document.querySelector('#first .status').textContent").ends_with("words off: 1"));

    browser.evaluate("document.querySelector('#first .words [data-place=\"0\"]').focus()");
    browser.press("Enter");
    browser.wait_until("document.querySelector('#first .words [data-place=\"0\"]').ariaPressed === 'true'");
    shows(&mut browser, "first", &server, &json!({"inputs": TITLE, "off": [0, 1]}));
    assert_eq!(browser.evaluate("document.activeElement.dataset.place"), "0", "the focus stays");
    browser.choose("controls", "switch", "delete");
    browser.wait_until("document.querySelector('#first').classList.contains('stale') === false");
    shows(&mut browser, "first", &server, &json!({"inputs": TITLE, "off": [0, 1], "switch": "delete"}));
    browser.click("#first .reset");
    browser.wait_until("document.querySelector('#first .reset').disabled");
    settled(&mut browser, "first");
    shows(&mut browser, "first", &server, &json!({"inputs": TITLE}));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn two_texts_stand_side_by_side_in_two_languages() {
    let Some((server, mut browser)) = page("page-compare", &[]) else { return };
    assert_eq!(browser.evaluate("document.getElementById('second').checkVisibility()"), false);
    browser.click("[name=compare]");
    write(&mut browser, "first", TITLE);
    write(&mut browser, "second", OTHER);
    shows(&mut browser, "first", &server, &json!({"inputs": TITLE}));
    shows(&mut browser, "second", &server, &json!({"inputs": OTHER}));
    let tops = browser
        .evaluate("['first', 'second'].map((id) => document.getElementById(id).getBoundingClientRect().top)");
    assert_eq!(tops[0], tops[1], "side by side");
    browser.click("[data-language=ja]");
    assert_eq!(browser.text("document.documentElement.lang"), "ja");
    let caption = browser.text("document.querySelector('#second caption').textContent");
    assert_eq!(caption, "各カテゴリの確率");
    let english = "[...document.querySelectorAll('.said[lang=en]')].some((said) => said.checkVisibility())";
    assert_eq!(browser.evaluate(english), false);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_hostile_text_stays_text() {
    let Some((_server, mut browser)) = page("page-hostile", &[]) else { return };
    browser.evaluate("document.querySelector('#first textarea').focus()");
    browser.write(HOSTILE);
    browser.wait_until("document.querySelectorAll('#first .words .piece').length > 10");
    browser.evaluate("document.querySelector('#first .weights').open = true");
    let shown = browser.text("document.querySelector('#first .words').textContent");
    assert!(shown.starts_with("<script>alert(1)</script><img src=x onerror=alert(2)>\"'&右"), "{shown}");
    assert_eq!(browser.evaluate("document.querySelectorAll('#first .words script, #first img').length"), 0);
    assert_eq!(browser.complaints(), [""; 0], "nothing ran, nothing was loaded");
}

#[test]
fn a_server_that_has_gone_is_told() {
    let Some((server, mut browser)) = page("page-gone", &[]) else { return };
    write(&mut browser, "first", TITLE);
    drop(server);
    browser.evaluate("document.querySelector('#first textarea').focus()");
    browser.write("と春");
    let status = "document.querySelector('#first .status').textContent";
    browser.wait_until(&format!("{status} === 'The server does not answer.'"));
}

#[test]
fn the_page_is_accessible_in_both_styles_and_languages_and_on_a_phone() {
    let Some((_server, mut browser)) = page("page-accessible", &[]) else { return };
    let Some(axe) = axe() else { return };
    browser.evaluate(&axe);
    assert_eq!(browser.inaccessible(), [""; 0], "without a text");
    browser.click("[name=compare]");
    write(&mut browser, "first", TITLE);
    write(&mut browser, "second", OTHER);
    browser.click("#first .words [data-place='1']");
    browser.wait_until("document.querySelector('#first .words [data-place=\"1\"]').ariaPressed === 'true'");
    for (scheme, language, method) in [
        ("light", "en", "attention"),
        ("dark", "ja", "attention"),
        ("light", "ja", "gradient_x_input"),
        ("dark", "en", "integrated_gradients"),
    ] {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.call("Emulation.setEmulatedMedia", &feature);
        browser.click(&format!("[data-language={language}]"));
        browser.choose("controls", "method", method);
        settled(&mut browser, "first");
        settled(&mut browser, "second");
        browser
            .evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })");
        // Bars move.
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(browser.inaccessible(), [""; 0], "{scheme}, {language}, {method}");
    }
    let phone = json!({"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", &phone);
    assert_eq!(browser.inaccessible(), [""; 0], "on a phone");
    let fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.evaluate(fits), true, "nothing is wider than the page");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_loads_only_its_own_files_under_a_strict_policy() {
    let server = Server::start(&[]);
    for path in ["/", "/page.css", "/page.js"] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(!answer.body.contains("https://") && !answer.body.contains("@import"), "{path}");
    }
    let page = server.get("/").body;
    assert!(!page.contains(" style=\"") && !page.contains(" onclick"), "{page}");
}

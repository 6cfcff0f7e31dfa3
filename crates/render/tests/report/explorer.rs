//! The explorer as its reader meets it: in a browser, with a mouse and a keyboard.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use roxmltree::Document;
use serde_json::json;

use crate::browser::{Browser, installed};
use crate::{BIDI, CATEGORIES, Run, SCRIPT, TITLES, attention, tokenized};

const DESKTOP: (u32, u32) = (1280, 800);

/// A browser and the report of the invented run `name`, or `None` after saying that it is skipped.
fn page(name: &str) -> Option<(Browser, PathBuf)> {
    let Some(program) = installed() else {
        // Written past the test harness, which hides what passing tests print.
        let line = format!(
            "SKIPPED {name}: no Chromium in PATH (Debian: apt-get install chromium), none in CHROMIUM\n"
        );
        let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        return None;
    };
    let run = Run::invented(name);
    run.report();
    Some((Browser::start(&program, name, DESKTOP), run.folder.join("report.html")))
}

const COUNT: &str = "document.getElementById('count').textContent";
const OPEN: &str = "document.querySelector('#list [aria-selected=true] .tokens').textContent";

/// How the texts are told to stand: their number, and the first of them.
fn listed(browser: &mut Browser) -> (String, String) {
    (browser.text(COUNT), browser.text("document.querySelector('#list .row .tokens')?.textContent ?? ''"))
}

/// A title as the page shows it.
fn shown(title: &str) -> String {
    title.replace('|', "").replace('\u{1B}', "␛")
}

#[test]
fn the_explorer_lists_every_test_text_and_complains_of_nothing() {
    let Some((mut browser, report)) = page("explorer-open") else { return };
    browser.open(&report, "");
    assert_eq!(listed(&mut browser), ("20 of 20 test texts".into(), shown(TITLES[0])));
    assert_eq!(
        browser.evaluate("document.querySelector('noscript').children.length"),
        0,
        "the gallery is no part of it"
    );

    let rows = browser.evaluate("document.querySelectorAll('#list .row').length").as_u64().unwrap();
    assert!((5..20).contains(&rows), "{rows} rows are there; the others are when they are scrolled to");
    browser.evaluate("document.getElementById('list').scrollTop = 1e6");
    browser.wait_until("document.querySelector('#list [aria-posinset=\"20\"]') !== null");
    let last = browser.text("document.querySelector('#list [aria-posinset=\"20\"] .tokens').textContent");
    assert_eq!(last, shown(BIDI).replace('\u{202E}', "U+202E"));

    browser.call("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    browser.evaluate("dispatchEvent(new Event('beforeprint'))");
    let printed = "document.querySelectorAll('#list .row').length";
    assert_eq!(browser.evaluate(printed), 20, "paper does not scroll");
    browser.call("Emulation.setEmulatedMedia", &json!({"media": ""}));
    browser.evaluate("dispatchEvent(new Event('afterprint'))");
    browser.wait_until(&format!("{printed} < 20"));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn texts_are_filtered_ordered_and_found() {
    let Some((mut browser, report)) = page("explorer-filter") else { return };
    browser.open(&report, "");
    browser.choose("outcome", "wrong");
    assert_eq!(browser.text(COUNT), "7 of 20 test texts", "every third is wrong");
    browser.choose("true", CATEGORIES[3]);
    assert_eq!(listed(&mut browser), ("2 of 20 test texts".into(), shown(TITLES[3])));
    browser.click("#clear");
    assert_eq!(browser.text(COUNT), "20 of 20 test texts");

    // Right answers have 79 %, wrong ones 59 %.
    browser.choose("low", "60");
    assert_eq!(browser.text(COUNT), "13 of 20 test texts");
    browser.choose("high", "70");
    assert_eq!(listed(&mut browser), ("0 of 20 test texts".into(), String::new()));
    assert!(browser.text("document.getElementById('detail').textContent").contains("No text fits"));
    browser.click("#clear");

    browser.choose("order", "loss");
    assert!(browser.text("document.querySelector('#list .row').className").contains("wrong"));
    browser.choose("order", "corpus");
    browser.choose("search", "ＡＮＤＲＯＩＤ");
    assert_eq!(
        listed(&mut browser),
        ("1 of 20 test texts".into(), shown(TITLES[9])),
        "however it is written"
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_cell_of_the_confusion_matrix_shows_its_texts() {
    let Some((mut browser, report)) = page("explorer-confusion") else { return };
    browser.open(&report, "");
    let cell = format!("#confusion button[data-true={}][data-predicted={}]", CATEGORIES[0], CATEGORIES[1]);
    browser.click(&cell);
    // Texts 0, 9 and 18 are of the first category, and every third text is taken for the next one's.
    assert_eq!(listed(&mut browser), ("3 of 20 test texts".into(), shown(TITLES[0])));
    let state =
        browser.text(&format!("document.querySelector({}).getAttribute('aria-pressed')", json!(cell)));
    assert_eq!(state, "true");
    let filters = browser.evaluate(
        "['true', 'predicted'].map((name) => document.getElementById('view').elements.namedItem(name).value)",
    );
    assert_eq!(filters, json!([CATEGORIES[0], CATEGORIES[1]]));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn colours_are_the_attention_of_all_heads_or_of_one_in_words_or_in_pieces() {
    let Some((mut browser, report)) = page("explorer-heads") else { return };
    browser.open(&report, "");
    let tokens = tokenized((0, &TITLES[0]));
    let attention = attention(&tokens).attention;
    // The second word, スマートフォン, is the tokens 2 and 3.
    let all: f32 = attention.iter().map(|head| head[2] + head[3]).sum();
    let titles = "[...document.querySelectorAll('#detail .piece')].map((piece) => piece.title)";
    let title = |browser: &mut Browser, at: usize| {
        browser.evaluate(titles)[at].as_str().unwrap().replace(['\u{2068}', '\u{2069}'], "")
    };
    let share = 100.0 * all / 12.0;
    assert_eq!(title(&mut browser, 1), format!("スマート + ##フォン · {all:.4} · {share:.1}%"));
    browser.choose("head", "5");
    let one = attention[5][2] + attention[5][3];
    assert_eq!(title(&mut browser, 1), format!("スマート + ##フォン · {one:.4} · {:.1}%", 100.0 * one));
    browser.click("input[name=pieces]");
    let piece = attention[5][3];
    assert_eq!(title(&mut browser, 2), format!("##フォン · {piece:.4} · {:.1}%", 100.0 * piece));

    let strongest = browser.evaluate("document.querySelectorAll('#detail .piece.l10').length");
    assert!(strongest.as_u64() > Some(0));
    let special = browser.text("document.querySelector('#detail .apart').textContent");
    assert!(special.starts_with(&format!("[CLS] {:.1}% [SEP] ", 100.0 * attention[5][0])), "{special}");
    let table = browser.text("document.querySelector('#detail .weights tbody').textContent");
    assert!(table.contains(&format!("##フォン{piece:.4}")), "for screen readers: {table}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_interface_speaks_japanese_too() {
    let Some((mut browser, report)) = page("explorer-language") else { return };
    browser.open(&report, "");
    assert_eq!(browser.text("document.getElementById('explorer').lang"), "en");
    browser.click("[data-language=ja]");
    assert_eq!(browser.text(COUNT), "テスト文 20 件中 20 件");
    assert_eq!(browser.text("document.getElementById('explorer').lang"), "ja");
    assert!(browser.text("document.getElementById('explorer').innerText").contains("正解カテゴリ"));
    browser.wait_until("location.hash.includes('language=ja')");
    browser.click("[data-language=en]");
    assert_eq!(browser.text(COUNT), "20 of 20 test texts");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_link_restores_the_view() {
    let Some((mut browser, report)) = page("explorer-link") else { return };
    browser.open(&report, "");
    browser.choose("outcome", "wrong");
    browser.choose("order", "loss");
    browser.choose("search", "の");
    browser.choose("head", "3");
    browser.click("input[name=pieces]");
    browser.evaluate("document.activeElement.blur()");
    browser.press("j");
    let everything = "[document.getElementById('count').textContent, document.getElementById('list').textContent,
        document.getElementById('detail').innerHTML, ...new FormData(document.getElementById('view'))].join()";
    let seen = browser.text(everything);
    browser.wait_until("location.hash.includes('text=')");
    let link = browser.text("location.hash");
    browser.open(&report, &link);
    assert_eq!(browser.text(everything), seen, "{link}");

    browser.open(&report, "#texts?true=nonsense&head=99&order=loss");
    let count = browser.text(COUNT);
    assert_eq!(
        count,
        "20 of 20 test texts The link asks for what this report does not have: true=nonsense, head=99."
    );
    browser.open(&report, "#confusion");
    assert_eq!(browser.text("location.hash"), "#confusion", "sections are linked to as before");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_keyboard_is_enough() {
    let Some((mut browser, report)) = page("explorer-keyboard") else { return };
    browser.open(&report, "");
    browser.press("j");
    browser.press("j");
    assert_eq!(browser.text(OPEN), shown(TITLES[2]));
    browser.press("k");
    assert_eq!(browser.text(OPEN), shown(TITLES[1]));
    assert_eq!(
        browser.text("document.getElementById('list').getAttribute('aria-activedescendant')"),
        "text-1"
    );
    browser.press("/");
    assert_eq!(browser.text("document.activeElement.name"), "search");
    browser.write("j?");
    assert_eq!(browser.text(COUNT), "0 of 20 test texts", "in a field they are letters");
    browser.choose("search", "");
    browser.press("Escape");
    assert_eq!(browser.text("document.activeElement.tagName"), "BODY");
    browser.press("?");
    assert_eq!(browser.evaluate("document.getElementById('help').open"), true);
    browser.press("j");
    browser.click("#close-help");
    assert_eq!(browser.evaluate("document.getElementById('help').open"), false);
    browser.evaluate("document.getElementById('list').focus()");
    browser.press("End");
    assert_eq!(browser.text("document.querySelector('#list [aria-selected=true]').id"), "text-19");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn what_looks_like_markup_is_text_and_directions_stay_inside() {
    let Some((mut browser, report)) = page("explorer-escaped") else { return };
    browser.open(&report, "");
    let scripts = browser.evaluate("document.scripts.length");
    browser.choose("search", "alert(1)");
    assert_eq!(listed(&mut browser), ("1 of 20 test texts".into(), SCRIPT.into()));
    assert_eq!(browser.evaluate("document.scripts.length"), scripts);
    browser.choose("search", "左へ");
    let detail = browser.text("document.querySelector('#detail .tokens').textContent");
    assert_eq!(detail, shown(BIDI).replace('\u{202E}', "U+202E"));
    let isolated = "[...document.querySelectorAll('#detail .piece')].every((piece) => getComputedStyle(piece).unicodeBidi === 'isolate')";
    assert_eq!(browser.evaluate(isolated), true);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn pictures_and_tables_can_be_saved() {
    let Some((mut browser, report)) = page("explorer-save") else { return };
    browser.open(&report, "");
    let folder = report.with_file_name("saved");
    std::fs::create_dir_all(&folder).unwrap();
    browser.call("Page.setDownloadBehavior", &json!({"behavior": "allow", "downloadPath": folder}));
    let saved = |browser: &mut Browser, button: &str, name: &str| {
        browser.click(button);
        let (path, deadline) = (folder.join(name), Instant::now() + Duration::from_secs(60));
        while !path.exists() {
            assert!(Instant::now() < deadline, "{name} is not saved");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::fs::read(path).unwrap()
    };
    browser.choose("search", "alert(1)");
    let svg = String::from_utf8(saved(&mut browser, "#save-svg", "text-18.svg")).unwrap();
    let svg = Document::parse(&svg).unwrap();
    let texts: Vec<&str> =
        svg.descendants().filter(|node| node.has_tag_name("text")).filter_map(|node| node.text()).collect();
    assert!(texts.contains(&SCRIPT), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("12 heads summed")), "{texts:?}");
    let png = saved(&mut browser, "#save-png", "text-18.png");
    assert_eq!(
        (&png[..8], &png[16..20]),
        (&b"\x89PNG\r\n\x1a\n"[..], &1600_u32.to_be_bytes()[..]),
        "twice 800 pixels wide"
    );

    let csv = String::from_utf8(saved(&mut browser, "#save-csv", "explorer-save.csv")).unwrap();
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("\u{FEFF}id,true,predicted,correct,confidence,loss,p(dokujo-tsushin),"));
    assert!(lines[1].starts_with("text-18,dokujo-tsushin,it-life-hack,false,0.5"), "{}", lines[1]);
    assert!(lines[1].ends_with(&format!(",\"{}\"", SCRIPT.replace('"', "\"\""))), "{}", lines[1]);
    assert_eq!(lines.len(), 3, "a head, a row, and the end of the last line");
    assert_eq!(browser.complaints(), [""; 0]);
}

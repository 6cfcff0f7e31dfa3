//! One picture, in the light page's colours: each text with its answer, its words coloured, and a bar for each.
//!
//! Fonts are the reader's own, so nothing is measured: a column is half as wide as the letters are high, and every
//! stretch of text is told its length, which viewers keep whatever font they take.

use anyhow::Result;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::explained::{Explained, percent};
use super::layout::{self, shortened};
use super::method::Method;
use crate::page;
use crate::printable::visible;

/// The name's ending switches escaping on.
const NAME: &str = "text.xml";
const TEMPLATE: &str = include_str!("../../templates/text.svg");

/// Grounds as `report.css` has them on a light page, from no strength to the full.
const FOR: [&str; 11] = [
    "#eff3f9", "#dde8f5", "#cadbf0", "#b6cdea", "#a1c0e3", "#8db2dd", "#749ac9", "#4b74a9", "#3d659a",
    "#28538b", "#123f7a",
];
/// The same for what speaks against a category.
const AGAINST: [&str; 11] = [
    "#eff3f9", "#f7e4cf", "#f3d4b4", "#eec398", "#eab27d", "#e5a061", "#da8235", "#b4590e", "#a34a0b", "#8b3a03",
    "#712900",
];
/// From this level on ink is white.
const DARK: usize = 7;
const INK: &str = "#1b2330";
const MUTED: &str = "#5b6472";
const WHITE: &str = "#ffffff";
const BARS: [&str; 2] = ["#1f4e8c", "#b24614"];

/// All in pixels.
const WIDTH: usize = 800;
const MARGIN: usize = 28;
const LARGE: usize = 22;
const SMALL: usize = 14;
const LINE: usize = 38;
const ROW: usize = 22;
/// Where a row's numbers end and its bar begins.
const NUMBERS: usize = 330;
const BAR: usize = 350;
/// Columns for a word in a row.
const LONGEST_WORD: usize = 28;
/// A text alternative names so many words.
const NAMED: usize = 5;

#[derive(Serialize)]
struct Picture {
    height: usize,
    description: String,
    boxes: Vec<Rect>,
    labels: Vec<Label>,
}

#[derive(Serialize)]
struct Rect {
    x: f64,
    y: usize,
    width: f64,
    height: usize,
    fill: &'static str,
}

#[derive(Serialize)]
struct Label {
    x: usize,
    y: usize,
    size: usize,
    /// None where a font's own is taken.
    length: Option<usize>,
    anchor: &'static str,
    fill: &'static str,
    text: String,
}

/// All texts, one below the other.
///
/// # Errors
/// When the template fails.
pub fn svg(texts: &[Explained], method: Method) -> Result<String> {
    let description = texts.iter().map(|text| describe(text, method)).collect::<Vec<_>>().join("\n");
    let mut picture = Picture { height: MARGIN, description, boxes: Vec::new(), labels: Vec::new() };
    texts.iter().for_each(|text| picture.add(text, method));
    let mut environment = page::environment()?;
    environment.add_template(NAME, TEMPLATE).map_err(page::template_error)?;
    let template = environment.get_template(NAME).map_err(page::template_error)?;
    let title = format!("Midashi: {}", texts.iter().map(answer).collect::<Vec<_>>().join("; "));
    template
        .render(context! { title, width => WIDTH, picture => Serde(picture) })
        .map_err(page::template_error)
}

/// What a reader who does not see the picture is told.
fn describe(text: &Explained, method: Method) -> String {
    let mut strongest: Vec<_> = text.coloured().collect();
    strongest.sort_by(|one, other| other.weight.abs().total_cmp(&one.weight.abs()));
    let named = strongest.iter().take(NAMED).map(|word| format!("{} {}", word.shown, percent(word.share)));
    let named = named.collect::<Vec<_>>().join(", ");
    let notes = text.notes(method).join("; ");
    format!("“{}”: {}. Strongest: {named}. {notes}.", visible(&text.text.original), answer(text))
}

fn answer(text: &Explained) -> String {
    let best = text.best.iter();
    let best =
        best.map(|best| format!("{} {}", visible(&best.category), percent(f64::from(best.probability))));
    best.collect::<Vec<_>>().join(" · ")
}

impl Picture {
    fn add(&mut self, text: &Explained, method: Method) {
        self.small(MARGIN, "start", INK, answer(text));
        self.height += LINE;
        for line in layout::lines(text, (WIDTH - 2 * MARGIN) / (LARGE / 2)) {
            for run in line {
                let (x, width) = (MARGIN + run.column * LARGE / 2, run.width * LARGE / 2);
                let level = run.strength.map(level);
                if let Some((scale, level)) = level {
                    let (y, height) = (self.height - LARGE, LARGE * 7 / 5);
                    self.boxes.push(Rect { x: x as f64, y, width: width as f64, height, fill: scale[level] });
                }
                let fill = if level.is_some_and(|(_, level)| level >= DARK) { WHITE } else { INK };
                let (size, length, anchor) = (LARGE, Some(width), "start");
                self.labels.push(Label { x, y: self.height, size, length, anchor, fill, text: run.text });
            }
            self.height += LINE;
        }
        for note in text.notes(method) {
            self.small(MARGIN, "start", MUTED, note);
            self.height += ROW;
        }
        self.height += ROW / 2;
        for word in text.coloured() {
            self.small(MARGIN, "start", INK, shortened(&word.shown, LONGEST_WORD));
            self.small(NUMBERS, "end", INK, percent(word.share));
            let room = (WIDTH - MARGIN - BAR) as f64;
            // Weights with a sign have their bars on both sides of the middle.
            let (zero, side) = if method.is_signed() { (room / 2.0, room / 2.0) } else { (0.0, room) };
            let width = word.strength.abs() * side;
            let left = BAR as f64 + zero - if word.strength < 0.0 { width } else { 0.0 };
            let fill = BARS[usize::from(word.strength < 0.0)];
            self.boxes.push(Rect { x: left, y: self.height - SMALL + 3, width, height: SMALL - 2, fill });
            self.height += ROW;
        }
        self.height += MARGIN;
    }

    /// A small text on the line that `height` has come to.
    fn small(&mut self, x: usize, anchor: &'static str, fill: &'static str, text: String) {
        self.labels.push(Label { x, y: self.height, size: SMALL, length: None, anchor, fill, text });
    }
}

/// The scale and the place in it for a strength in [-1, 1].
fn level(strength: f64) -> (&'static [&'static str; 11], usize) {
    let scale = if strength < 0.0 { &AGAINST } else { &FOR };
    let strongest = scale.len() - 1;
    (scale, ((strength.abs() * strongest as f64).round() as usize).min(strongest))
}

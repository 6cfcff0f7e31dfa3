//! SVG output in the colours of a light page: each text with its prediction, its coloured words, and a bar for each word.
//!
//! The font is the viewer's, so text cannot be measured. A column is half as wide as the font size, and every run of text
//! states its length, which viewers keep in any font.

use anyhow::Result;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

use super::layout::{self, shortened};
use crate::explained::{Explained, percent};
use crate::method::Method;
use midashi_page::{environment, template_error};
use midashi_text::shaped;

/// The ending of the name switches escaping on.
const NAME: &str = "text.xml";
const TEMPLATE: &str = include_str!("../../templates/picture.svg");

/// Backgrounds for positive weights as in the style sheet of a light page, from none to the full strength.
const FOR: [&str; 11] = [
    "#eff3f9", "#dde8f5", "#cadbf0", "#b6cdea", "#a1c0e3", "#8db2dd", "#749ac9", "#4b74a9", "#3d659a",
    "#28538b", "#123f7a",
];
/// Backgrounds for negative weights.
const AGAINST: [&str; 11] = [
    "#eff3f9", "#f7e4cf", "#f3d4b4", "#eec398", "#eab27d", "#e5a061", "#da8235", "#b4590e", "#a34a0b",
    "#8b3a03", "#712900",
];
/// From this level on the text is white.
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
/// The end of a row's numbers and the start of its bar.
const NUMBERS: usize = 330;
const BAR: usize = 350;
/// Columns for a word in a row.
const LONGEST_WORD: usize = 28;
/// Number of words in the text alternative.
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
    /// None for the font's own width.
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
    let mut environment = environment()?;
    environment.add_template(NAME, TEMPLATE).map_err(template_error)?;
    let template = environment.get_template(NAME).map_err(template_error)?;
    let title = format!("Midashi: {}", texts.iter().map(answer).collect::<Vec<_>>().join("; "));
    template.render(context! { title, width => WIDTH, picture => Serde(picture) }).map_err(template_error)
}

/// The text alternative of a text's part of the picture.
fn describe(text: &Explained, method: Method) -> String {
    let mut strongest: Vec<_> = text.coloured().collect();
    strongest.sort_by(|one, other| other.weight.abs().total_cmp(&one.weight.abs()));
    let named = strongest.iter().take(NAMED).map(|word| format!("{} {}", word.shown, percent(word.share)));
    let named = named.collect::<Vec<_>>().join(", ");
    let notes = text.notes(method).join("; ");
    format!("“{}”: {}. Strongest: {named}. {notes}.", shaped(&text.text.original), answer(text))
}

fn answer(text: &Explained) -> String {
    let best = text.best.iter();
    let best =
        best.map(|best| format!("{} {}", shaped(&best.category), percent(f64::from(best.probability))));
    let best: Vec<String> = best.collect();
    if best.is_empty() { "no category".to_owned() } else { best.join(" · ") }
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
            // Signed weights have bars on both sides of the middle.
            let (zero, side) = if method.is_signed() { (room / 2.0, room / 2.0) } else { (0.0, room) };
            let width = word.strength.abs() * side;
            let left = BAR as f64 + zero - if word.strength < 0.0 { width } else { 0.0 };
            let fill = BARS[usize::from(word.strength < 0.0)];
            self.boxes.push(Rect { x: left, y: self.height - SMALL + 3, width, height: SMALL - 2, fill });
            self.height += ROW;
        }
        self.height += MARGIN;
    }

    /// Adds a small text at the current height.
    fn small(&mut self, x: usize, anchor: &'static str, fill: &'static str, text: String) {
        self.labels.push(Label { x, y: self.height, size: SMALL, length: None, anchor, fill, text });
    }
}

/// The scale and the index in it for a strength in [-1, 1].
fn level(strength: f64) -> (&'static [&'static str; 11], usize) {
    let scale = if strength < 0.0 { &AGAINST } else { &FOR };
    let strongest = scale.len() - 1;
    (scale, ((strength.abs() * strongest as f64).round() as usize).min(strongest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;
    use crate::sample::{ATTENTION, hostile, signed, words};

    fn elements<'a>(document: &'a Document<'_>, name: &str) -> Vec<Node<'a, 'a>> {
        document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name)))
            .collect()
    }

    #[test]
    fn a_picture_has_a_title_and_says_what_it_shows() {
        let picture = svg(&[words()], ATTENTION).unwrap();
        let document = Document::parse(&picture).unwrap();
        let said = |name: &str| elements(&document, name)[0].text().unwrap();
        assert_eq!(said("title"), "Midashi: <b> 75.0% · a 12.5% · c<U+202E> 12.5%");
        assert_eq!(
            said("desc"),
            "“モデル 夏”: <b> 75.0% · a 12.5% · c<U+202E> 12.5%. Strongest: 夏 54.5%, モデル 27.3%. attention of \
             [CLS], last layer (1), 4 heads summed; special tokens: [CLS] 18.2%, [SEP] 0.0%."
        );
        assert_eq!(document.root_element().attribute("role"), Some("img"));
    }

    #[test]
    fn grounds_are_as_wide_as_their_words_and_bars_as_long_as_strong() {
        let picture = svg(&[words()], ATTENTION).unwrap();
        let document = Document::parse(&picture).unwrap();
        let of = |node: &Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse::<f64>().unwrap();
        let rects: Vec<_> = elements(&document, "rect")[1..]
            .iter()
            .map(|rect| (rect.attribute("fill").unwrap(), of(rect, "x"), of(rect, "width")))
            .collect();
        assert_eq!(rects[..2], [(FOR[5], 28.0, 66.0), (FOR[10], 105.0, 22.0)], "a space is 11 wide");
        assert_eq!(rects[2..], [(BARS[0], 350.0, 211.0), (BARS[0], 350.0, 422.0)]);
        let text =
            elements(&document, "text").into_iter().find(|text| text.text() == Some("モデル")).unwrap();
        assert_eq!((text.attribute("textLength"), text.attribute("x")), (Some("66"), Some("28")));
    }

    #[test]
    fn what_speaks_against_a_category_is_orange_and_left_of_the_middle() {
        let picture = svg(&[signed()], Method::GradientXInput).unwrap();
        let document = Document::parse(&picture).unwrap();
        let rects = elements(&document, "rect");
        let fills: Vec<_> = rects.iter().map(|rect| rect.attribute("fill").unwrap()).collect();
        assert_eq!(fills[1..], [FOR[10], AGAINST[5], BARS[0], BARS[1]]);
        // The bars' room begins at 350 and is 422 wide.
        let against = rects.last().unwrap();
        assert_eq!((against.attribute("x"), against.attribute("width")), (Some("455.5"), Some("105.5")));
    }

    #[test]
    fn a_text_is_text_whatever_it_holds() {
        let picture = svg(&[hostile(), words()], ATTENTION).unwrap();
        assert!(!picture.chars().any(|c| c != '\n' && midashi_text::is_shapeless(c)));
        let document = Document::parse(&picture).unwrap();
        assert!(elements(&document, "script").is_empty());
        let height: usize = document.root_element().attribute("height").unwrap().parse().unwrap();
        let lowest = elements(&document, "text")
            .iter()
            .map(|text| text.attribute("y").unwrap().parse().unwrap())
            .max();
        assert!(lowest < Some(height), "{lowest:?} of {height}");
    }
}

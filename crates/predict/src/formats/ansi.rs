//! Terminal output: the prediction, the coloured text, and a bar for each word.

use std::fmt::Write;

use super::layout::{self, shortened};
use crate::explained::{Coloured, Explained, percent};
use crate::method::Method;
use midashi_text::shaped;

/// The output device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Width of a line.
    pub columns: usize,
    /// Whether to write colour escape sequences.
    pub colours: bool,
}

impl Terminal {
    /// Width of the output when it is not a terminal.
    pub const DEFAULT_COLUMNS: usize = 80;

    fn paint(self, text: &str, style: &str) -> String {
        if self.colours { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Backgrounds for positive weights, from none to the full strength, in the palette of 256 colours. The first is white:
/// it lies under the whole text, so that the scale is the same on light and dark terminals.
const FOR: [u8; 7] = [231, 195, 153, 117, 75, 32, 25];
/// Backgrounds for negative weights.
const AGAINST: [u8; 7] = [231, 230, 223, 216, 208, 166, 130];
const BLACK: u8 = 16;
const WHITE: u8 = 231;

const INDENT: &str = "  ";
/// In the place of the categories of a text without words.
const NO_CATEGORY: &str = "–";
/// Columns for a word, in a line of the default width.
const LONGEST_WORD: usize = 24;
/// Columns of weight and share with the space before them.
const NUMBERS: usize = 20;
const LONGEST_BAR: usize = 40;
const SHORTEST_BAR: usize = 8;

/// One text after the other, with an empty line between them.
pub fn ansi(texts: &[Explained], method: Method, terminal: Terminal) -> String {
    let texts: Vec<String> = texts.iter().map(|text| one(text, method, terminal)).collect();
    texts.join("\n")
}

fn one(text: &Explained, method: Method, terminal: Terminal) -> String {
    let mut out = String::new();
    let best = text.best.iter().enumerate().map(|(place, best)| {
        let best = format!("{} {}", shaped(&best.category), percent(f64::from(best.probability)));
        if place == 0 { terminal.paint(&best, "1") } else { best }
    });
    let best: Vec<String> = best.collect();
    let best = if best.is_empty() { NO_CATEGORY.to_owned() } else { best.join(" · ") };
    line(&mut out, &best);
    for runs in layout::lines(text, terminal.columns.saturating_sub(INDENT.len()).max(1)) {
        let runs = runs.iter().map(|run| terminal.paint(&run.text, &ground(run.strength)));
        line(&mut out, &format!("{INDENT}{}", runs.collect::<String>()));
    }
    for note in text.notes(method) {
        line(&mut out, &note);
    }
    let widest = text.coloured().map(|word| layout::width(&label(word))).max().unwrap_or(0);
    let words = widest.min(LONGEST_WORD).min(terminal.columns / 3);
    let bar = terminal.columns.saturating_sub(INDENT.len() + words + NUMBERS);
    let bar = bar.clamp(SHORTEST_BAR, LONGEST_BAR);
    for word in text.coloured() {
        let name = shortened(&label(word), words);
        let space = " ".repeat(words - layout::width(&name));
        let weight =
            if method.is_signed() { format!("{:+.3}", word.weight) } else { format!("{:.3}", word.weight) };
        let bar = if method.is_signed() {
            both_sides(word.strength, bar)
        } else {
            to_the_right(word.strength, bar)
        };
        let bar = terminal.paint(&bar, if word.strength < 0.0 { "38;5;166" } else { "38;5;32" });
        line(&mut out, &format!("{INDENT}{name}{space}{weight:>9}{:>9}  {bar}", percent(word.share)));
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{}", text.trim_end_matches(' '));
}

/// The word as the label of a row; white space is shown by its code points.
fn label(word: &Coloured) -> String {
    if word.shown.chars().all(char::is_whitespace) {
        return word.shown.chars().map(|c| format!("<U+{:04X}>", c as u32)).collect();
    }
    word.shown.clone()
}

/// Background and text colour for a strength in [-1, 1].
fn ground(strength: Option<f64>) -> String {
    let strength = strength.unwrap_or(0.0);
    let scale = if strength < 0.0 { AGAINST } else { FOR };
    let strongest = scale.len() - 1;
    let level = (strength.abs() * strongest as f64).round().min(strongest as f64) as usize;
    let ink = if level == strongest { WHITE } else { BLACK };
    format!("48;5;{};38;5;{ink}", scale[level])
}

/// A bar of at most `columns`, in eighths of a column.
fn to_the_right(strength: f64, columns: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (strength.clamp(0.0, 1.0) * 8.0 * columns as f64).round() as usize;
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

/// A bar from the middle of `columns`, to the left if the strength is negative. There it is drawn in halves, because
/// Unicode has no finer blocks that fill a column from its right.
fn both_sides(strength: f64, columns: usize) -> String {
    let side = columns.saturating_sub(1) / 2;
    let halves = (strength.clamp(-1.0, 0.0).abs() * 2.0 * side as f64).round() as usize;
    let left = "▐".repeat(halves % 2) + &"█".repeat(halves / 2);
    let space = " ".repeat(side - halves.div_ceil(2));
    format!("{space}{left}│{}", to_the_right(strength, side))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{ATTENTION, explained, hostile, signed, words};

    const PLAIN: Terminal = Terminal { columns: 40, colours: false };
    const COLOURED: Terminal = Terminal { columns: 40, colours: true };

    #[test]
    fn bars_begin_in_one_column_and_are_as_long_as_strong() {
        let shown = ansi(&[words()], ATTENTION, PLAIN);
        let expected = "<b> 75.0% · a 12.5% · c<U+202E> 12.5%
  モデル 夏
attention of [CLS], last layer (1), 4 heads summed
special tokens: [CLS] 18.2%, [SEP] 0.0%
  モデル    0.375    27.3%  ██████
  夏        0.750    54.5%  ████████████
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_speaks_against_a_category_goes_to_the_left() {
        let shown = ansi(&[signed()], Method::GradientXInput, PLAIN);
        let bars: Vec<&str> = shown.lines().skip(4).collect();
        assert_eq!(bars, ["  夏   +1.000    57.1%         │███████", "  秋   -0.500   -28.6%     ▐███│"]);
    }

    #[test]
    fn bars_have_eighths_and_to_the_left_halves() {
        assert_eq!(to_the_right(0.5, 1), "▌");
        assert_eq!(to_the_right(1.0 / 16.0, 2), "▏");
        assert_eq!(to_the_right(15.0 / 16.0, 2), "█▉");
        assert_eq!(to_the_right(-1.0, 2), "");
        assert_eq!(both_sides(-0.25, 5), " ▐│");
        assert_eq!(both_sides(0.25, 5), "  │▌");
    }

    #[test]
    fn colours_are_by_strength_and_sign_on_paper() {
        let shown = ansi(&[signed()], Method::GradientXInput, COLOURED);
        let text = shown.lines().nth(1).unwrap_or_default();
        assert_eq!(text, "  \u{1b}[48;5;25;38;5;231m夏\u{1b}[0m\u{1b}[48;5;216;38;5;16m秋\u{1b}[0m");
        assert_eq!(ground(None), "48;5;231;38;5;16");
    }

    #[test]
    fn nothing_in_a_text_reaches_the_terminal_as_a_command() {
        let shown = ansi(&[hostile()], ATTENTION, PLAIN);
        let raw = |c: &char| *c != '\n' && midashi_text::is_shapeless(*c);
        assert_eq!(shown.chars().find(raw), None, "{shown}");
        for part in ["<script>alert(1)</script>", "<U+202E>", "<U+200D>", "␛[31m", "c<U+202E> 12.5%"] {
            let joined: String = shown.lines().map(str::trim_start).collect();
            assert!(joined.contains(part), "{part} is not in\n{shown}");
        }
        let coloured = ansi(&[hostile()], ATTENTION, COLOURED);
        let escapes = coloured.split('\u{1b}').skip(1);
        assert!(escapes.clone().count() > 50);
        for escape in escapes {
            let (style, _) = escape.split_once('m').unwrap_or_default();
            let is_style =
                style.strip_prefix('[').is_some_and(|s| s.chars().all(|c| c.is_ascii_digit() || c == ';'));
            assert!(is_style, "{escape:?}");
        }
    }

    #[test]
    fn white_space_and_long_words_have_names_in_their_rows() {
        let long = "長".repeat(30);
        let text = explained(&format!("\u{3000}{long}"), &[("▁", 0, 0, 1, 0.5), ("長", 1, 1, 31, 0.5)]);
        let shown = ansi(&[text], ATTENTION, PLAIN);
        assert!(shown.contains("\n  <U+3000>         0.500"), "{shown}");
        assert!(shown.contains("\n  長長長長長長…    0.500"), "{shown}");
    }
}

//! A text cut into lines of a fixed width, in terminal columns: two for East Asian wide characters, one for most
//! others, none for combining marks.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::explained::{Explained, Stretch};
use midashi_text::shaped;

/// Adjacent characters of one line in one colour.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The characters; invisible ones are replaced.
    pub text: String,
    /// First column.
    pub column: usize,
    /// Number of columns.
    pub width: usize,
    /// The strength of its token; none for characters without a token.
    pub strength: Option<f64>,
}

/// Lines of at most `columns` columns. Only words longer than a line are broken.
pub fn lines(explained: &Explained, columns: usize) -> Vec<Vec<Run>> {
    let mut lines = Lines { columns, lines: vec![Vec::new()] };
    for stretch in &explained.stretches {
        match stretch {
            Stretch::Uncoloured(text) => {
                for (number, line) in text.split('\n').enumerate() {
                    if number > 0 {
                        lines.lines.push(Vec::new());
                    }
                    lines.add_characters(&shaped(line), None);
                }
            }
            Stretch::Coloured(word) if word.shown.width() <= columns => {
                lines.add(&word.shown, word.shown.width(), Some(word.strength), false);
            }
            Stretch::Coloured(word) => lines.add_characters(&word.shown, Some(word.strength)),
            Stretch::Unread(rest) => {
                lines.add_characters(&format!("… {rest} more characters, not read"), None);
            }
        }
    }
    lines.lines
}

/// Number of columns of a text.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, truncated with an ellipsis if it is wider than `columns`.
pub fn shortened(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let room = left.checked_sub(width_of(*c));
        left = room.unwrap_or(0);
        room.is_some()
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

struct Lines {
    columns: usize,
    /// At least one.
    lines: Vec<Vec<Run>>,
}

impl Lines {
    fn add_characters(&mut self, text: &str, strength: Option<f64>) {
        let mut buffer = [0; 4];
        for (number, c) in text.chars().enumerate() {
            self.add(c.encode_utf8(&mut buffer), width_of(c), strength, number > 0);
        }
    }

    /// Adds `text` to this line, or to the next if there is no room. If it `continues` the previous run, the two are
    /// joined.
    fn add(&mut self, text: &str, width: usize, strength: Option<f64>, continues: bool) {
        let end = |line: &Vec<Run>| line.last().map_or(0, |run| run.column + run.width);
        let column = self.lines.last().map_or(0, end);
        let fits = column + width <= self.columns || column == 0;
        if !fits {
            self.lines.push(Vec::new());
        }
        let Some(line) = self.lines.last_mut() else { return };
        match line.last_mut() {
            Some(run) if continues => {
                run.text.push_str(text);
                run.width += width;
            }
            _ => line.push(Run { text: text.to_owned(), column: end(line), width, strength }),
        }
    }
}

fn width_of(c: char) -> usize {
    c.width().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::explained;

    /// Lines with a bar between runs.
    fn cut(original: &str, tokens: &[(&str, i32, u32, u32, f64)], columns: usize) -> Vec<String> {
        let lines = lines(&explained(original, tokens), columns);
        for line in &lines {
            let mut column = 0;
            for run in line {
                assert_eq!((run.column, run.width), (column, run.text.width()), "{}", run.text);
                column += run.width;
            }
            assert!(column <= columns, "{line:?}");
        }
        let text = |line: &Vec<Run>| line.iter().map(|run| run.text.as_str()).collect::<Vec<_>>().join("|");
        lines.iter().map(text).collect()
    }

    #[test]
    fn a_wide_character_takes_two_columns() {
        let tokens = [("見", 0, 0, 1, 0.5), ("ab", 1, 1, 3, 0.5), ("出", 2, 3, 4, 0.5)];
        assert_eq!(cut("見ab出し", &tokens, 8), ["見|ab|出|し"]);
        assert_eq!(cut("見ab出し", &tokens, 7), ["見|ab|出", "し"]);
        assert_eq!(cut("見ab出し", &tokens, 5), ["見|ab", "出|し"]);
    }

    #[test]
    fn a_word_is_broken_only_where_it_is_longer_than_a_line() {
        let tokens = [("a", 0, 0, 1, 0.5), ("word", 1, 1, 5, 0.5), ("longer", 2, 5, 11, 0.5)];
        assert_eq!(cut("awordlonger", &tokens, 4), ["a", "word", "long", "er"]);
    }

    #[test]
    fn lines_of_the_text_stay_lines() {
        assert_eq!(cut("見\n\n出", &[("見", 0, 0, 1, 0.5), ("出", 1, 3, 4, 0.5)], 9), ["見", "", "出"]);
    }

    #[test]
    fn a_mark_stands_on_the_character_before() {
        assert_eq!(cut("か\u{3099}く", &[], 2), ["か\u{3099}", "く"]);
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        assert_eq!(shortened("見出し", 6), "見出し");
        assert_eq!(shortened("見出し", 5), "見出…");
        assert_eq!(shortened("見出し", 4), "見…");
    }
}

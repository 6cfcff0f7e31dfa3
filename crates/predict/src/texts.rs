//! Reading the texts to classify.

use std::io;

use anyhow::{Context, Result, ensure};

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The texts of the command line, with those of standard input in place of "-" or of no argument at all.
///
/// # Errors
/// When a text is empty or standard input is empty or not UTF-8.
pub fn read(arguments: &[String]) -> Result<Vec<String>> {
    if arguments.is_empty() {
        return from_standard_input();
    }
    let mut texts = Vec::new();
    for text in arguments {
        if text == STANDARD_INPUT {
            texts.extend(from_standard_input()?);
        } else {
            ensure!(!text.is_empty(), "the text is empty; expected a text with words");
            texts.push(text.clone());
        }
    }
    Ok(texts)
}

fn from_standard_input() -> Result<Vec<String>> {
    let read = io::read_to_string(io::stdin()).context("cannot read standard input as UTF-8")?;
    ensure!(!read.is_empty(), "standard input is empty; expected texts, one per line");
    for (number, line) in (1..).zip(read.lines()) {
        ensure!(!line.is_empty(), "standard input: line {number} is empty; expected a text");
    }
    Ok(read.lines().map(str::to_owned).collect())
}

//! `--text`: texts of one's own through the fine-tuned model, with what mattered in them, without a browser.

mod ansi;
mod answers;
mod explained;
mod html;
mod json;
mod layout;
mod method;
mod model;
mod svg;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::iter::zip;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use midashi_config::Config;
use midashi_stage::{StageArguments, atomic};

use self::ansi::Terminal;
use self::explained::Explained;
use self::method::Method;
use self::model::Model;

/// What `--text` takes.
#[derive(clap::Args)]
pub struct TextArguments {
    /// Classifies this text and shows what mattered in it, instead of writing report.html; "-" reads texts from
    /// standard input, one a line. Where the model reads title and body, the first line is the title
    #[arg(long = "text", value_name = "TEXT")]
    texts: Vec<String>,
    #[command(flatten)]
    method: method::Arguments,
    /// How it is written; "ansi", for terminals, is the default, but without colours where there is no terminal
    #[arg(long, requires = "texts")]
    format: Option<Format>,
    /// Writes to this file instead of standard output
    #[arg(long, value_name = "FILE", requires = "texts")]
    output: Option<PathBuf>,
}

/// What is written of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal: colours, and a bar for each word
    Ansi,
    /// One page
    Html,
    /// One picture
    Svg,
    /// One object a line for each text
    Json,
}

/// The argument that stands for standard input.
const STANDARD_INPUT: &str = "-";

impl TextArguments {
    /// Whether there are any texts.
    pub fn is_given(&self) -> bool {
        !self.texts.is_empty()
    }

    /// Classifies and explains the texts and writes that.
    ///
    /// # Errors
    /// When there is no model, it does not have what is asked for, or a text has no words.
    pub fn run(&self, stage: &StageArguments) -> Result<()> {
        let config = Config::load(&stage.config, &stage.set)?;
        let texts = self.texts()?;
        let model = Model::open(&config)?;
        let method = Method::new(self.method, &model.bert)?;
        let tokenizer = model.tokenizer(&config)?;
        let read = model.read(&texts, &tokenizer, &config)?;
        let explanations = answers::explain(&model, &read, method, &tokenizer, &config)?;
        let explained = zip(read, explanations)
            .map(|(text, explanation)| Explained::new(text, explanation, &model.categories))
            .collect::<Result<Vec<_>>>()?;
        let written = match self.format {
            None | Some(Format::Ansi) => ansi::ansi(&explained, method, self.terminal()),
            Some(Format::Html) => html::html(&explained, method)?,
            Some(Format::Svg) => svg::svg(&explained, method)?,
            Some(Format::Json) => json::json(&explained, method)?,
        };
        self.write(&written)
    }

    /// The texts, those of standard input in its place.
    fn texts(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for text in &self.texts {
            if text == STANDARD_INPUT {
                let read = io::read_to_string(io::stdin()).context("cannot read standard input as UTF-8")?;
                ensure!(!read.is_empty(), "standard input is empty; expected texts, one a line");
                for (number, line) in read.lines().enumerate() {
                    let place = number + 1;
                    ensure!(!line.is_empty(), "standard input: line {place} is empty; expected a text");
                    texts.push(line.to_owned());
                }
            } else {
                ensure!(!text.is_empty(), "--text is empty; expected a text");
                texts.push(text.clone());
            }
        }
        Ok(texts)
    }

    /// What the texts are written for. Colours are for terminals and for whoever asks for them by `--format ansi`,
    /// but `NO_COLOR` (<https://no-color.org>) leaves them out in both cases.
    fn terminal(&self) -> Terminal {
        let is_terminal = self.output.is_none() && io::stdout().is_terminal();
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let size = terminal_size::terminal_size().filter(|_| is_terminal);
        Terminal {
            columns: size.map_or(Terminal::USUAL_COLUMNS, |(width, _)| usize::from(width.0)),
            colours: !unwanted && (is_terminal || self.format.is_some()),
        }
    }

    /// To the file, or to standard output, whose reader may have seen enough (`| head`).
    fn write(&self, written: &str) -> Result<()> {
        if let Some(path) = &self.output {
            return Ok(atomic::write_bytes(path, written.as_bytes())?);
        }
        let mut output = io::stdout().lock();
        match output.write_all(written.as_bytes()).and_then(|()| output.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
            _ => Ok(()),
        }
    }
}

/// Texts with weights made by hand, for the formats' tests.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod sample {
    use midashi_artifacts::{CategoryId, Split, TokenizedText};

    use super::answers::Explanation;
    use super::explained::Explained;
    use super::method::Method;
    use super::model::ReadText;

    pub const ATTENTION: Method = Method::Attention { layer: 1, is_last: true, head: None, heads: 4 };
    /// Markup, directions, a joiner, commands of terminals, and what two of them are in one byte.
    pub const HOSTILE: &str =
        "<script>alert(1)</script>\"'&\u{202E}左\u{2069}👨\u{200D}👩\u{1B}[31m\u{9B}2J\u{7}";

    /// `original` as `[CLS]` of weight 0.25, tokens with their word, start, end and weight, and `[SEP]` of weight 0; of
    /// three categories, of which the second is the answer.
    pub fn explained(original: &str, tokens: &[(&str, i32, u32, u32, f64)]) -> Explained {
        let inner =
            tokens.iter().map(|&(token, word, start, end, weight)| (token, Some(word), (start, end), weight));
        let all: Vec<_> = [("[CLS]", None, (0, 0), 0.25)]
            .into_iter()
            .chain(inner)
            .chain([("[SEP]", None, (0, 0), 0.0)])
            .collect();
        let tokenized = TokenizedText {
            id: String::new(),
            label: CategoryId(0),
            split: Split::Test,
            original: original.to_owned(),
            text: original.to_owned(),
            input_ids: vec![0; all.len()],
            token_type_ids: vec![0; all.len()],
            tokens: all.iter().map(|(token, ..)| (*token).to_owned()).collect(),
            word_ids: all.iter().map(|&(_, word, ..)| word).collect(),
            offsets: all.iter().map(|&(.., range, _)| range).collect(),
            original_offsets: all.iter().map(|&(.., range, _)| range).collect(),
        };
        let explanation = Explanation {
            probabilities: vec![0.125, 0.75, 0.125],
            weights: all.iter().map(|&(.., weight)| weight).collect(),
        };
        let categories = ["a", "<b>", "c\u{202E}"].map(str::to_owned);
        Explained::new(ReadText { tokenized, truncated: false }, explanation, &categories).unwrap()
    }

    /// Two words with a space between them.
    pub fn words() -> Explained {
        explained("モデル 夏", &[("モ", 0, 0, 1, 0.25), ("##デル", 0, 1, 3, 0.125), ("夏", 1, 4, 5, 0.75)])
    }

    /// One that speaks for the category, one half as strongly against it.
    pub fn signed() -> Explained {
        explained("夏秋", &[("夏", 0, 0, 1, 1.0), ("秋", 1, 1, 2, -0.5)])
    }

    /// Every character of [`HOSTILE`] a word.
    pub fn hostile() -> Explained {
        let characters = HOSTILE.chars().enumerate();
        let tokens: Vec<_> =
            characters.map(|(at, _)| ("[UNK]", at as i32, at as u32, at as u32 + 1, 0.125)).collect();
        explained(HOSTILE, &tokens)
    }
}

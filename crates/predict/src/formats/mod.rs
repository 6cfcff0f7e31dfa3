//! Output formats, a file each.

mod ansi;
mod html;
mod json;
mod layout;
mod svg;

use std::io::{self, IsTerminal};

use anyhow::Result;

use crate::explained::Explained;
use crate::method::Method;
pub use ansi::Terminal;

/// How texts with coloured words are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// For a terminal.
    Ansi,
    /// One page.
    Html,
    /// One picture.
    Svg,
    /// A JSON object per line and text.
    Json,
}

impl View {
    /// Whether texts can be shown one after the other. A page or a picture holds all of them.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Ansi | Self::Json)
    }

    /// Shows texts.
    ///
    /// # Errors
    /// When a template fails.
    pub fn render(self, texts: &[Explained], method: Method, terminal: Terminal) -> Result<String> {
        match self {
            Self::Ansi => Ok(ansi::ansi(texts, method, terminal)),
            Self::Html => html::html(texts, method),
            Self::Svg => svg::svg(texts, method),
            Self::Json => json::json(texts, method),
        }
    }

    /// What stands between two parts of a stream.
    pub fn separator(self) -> &'static str {
        if self == Self::Ansi { "\n" } else { "" }
    }
}

/// Width and colours of the output. Colours are for terminals and for views that were `chosen`; `NO_COLOR`
/// (<https://no-color.org>) switches them off in both cases.
pub fn terminal(is_chosen: bool, to_file: bool) -> Terminal {
    let is_terminal = !to_file && io::stdout().is_terminal();
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let size = terminal_size::terminal_size().filter(|_| is_terminal);
    Terminal {
        columns: size.map_or(Terminal::DEFAULT_COLUMNS, |(width, _)| usize::from(width.0)),
        colours: !no_color && (is_terminal || is_chosen),
    }
}

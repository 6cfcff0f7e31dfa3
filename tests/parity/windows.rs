//! Prints the windows of a run's texts.
//!
//! ```text
//! windows artifacts/RUN/tokens.arrow > windows.txt
//! ```
//!
//! A line is a text: the ids of each window, with a tab between windows. `window_parity.py` compares them with
//! transformers'.

#![allow(clippy::print_stdout, reason = "nobody closes the output of an example early")]

use std::io::{BufWriter, Write};
use std::path::Path;

use midashi_artifacts::TokenizedCorpus;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: windows artifacts/RUN/tokens.arrow")?;
    let corpus = TokenizedCorpus::read(Path::new(&path))?;
    let rows = corpus.rows();
    let mut output = BufWriter::new(std::io::stdout().lock());
    for (text, row) in corpus.texts.iter().enumerate() {
        let windows = rows.windows(text).iter().map(|window| window.select(&row.encoding.input_ids));
        let ids = windows.map(|ids| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(" "));
        writeln!(output, "{}", ids.collect::<Vec<_>>().join("\t"))?;
    }
    Ok(output.flush()?)
}

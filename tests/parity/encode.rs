//! Encodes the lines of standard input: a line of ids for each, not truncated.
//!
//! ```text
//! encode CHECKPOINT [CACHE] < texts.txt > ids.txt
//! ```
//!
//! `tokenize_reference.py` compares the ids with transformers'. `CACHE`, by default `cache`, is the folder that
//! `make setup` fills.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "nobody closes the output of an example early")]

use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::time::Instant;

use midashi_tokenizer::{Dictionaries, Tokenizer};
use rayon::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let checkpoint = arguments.next().ok_or("usage: encode CHECKPOINT [CACHE]")?;
    let cache = arguments.next().unwrap_or_else(|| "cache".into());

    let start = Instant::now();
    let tokenizer = Tokenizer::load(Path::new(&checkpoint), &Dictionaries::below(cache.as_ref()), None)?;
    eprintln!("{}, loaded in {:.0?}", tokenizer.describe(), start.elapsed());

    // Only a line feed ends a line: the texts may contain any other white space.
    let mut texts = String::new();
    std::io::stdin().read_to_string(&mut texts)?;
    let lines: Vec<&str> = texts.strip_suffix('\n').unwrap_or(&texts).split('\n').collect();

    let start = Instant::now();
    let encodings = lines
        .par_iter()
        .map_init(|| tokenizer.encoder(), |encoder, line| encoder.encode(line, usize::MAX))
        .collect::<Result<Vec<_>, _>>()?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{} texts in {seconds:.3} s, {:.0} a second", lines.len(), lines.len() as f64 / seconds);

    let mut output = BufWriter::new(std::io::stdout().lock());
    for encoding in encodings {
        let ids: Vec<String> = encoding.encoding.input_ids.iter().map(i32::to_string).collect();
        writeln!(output, "{}", ids.join(" "))?;
    }
    Ok(output.flush()?)
}

//! Encodes pairs of texts: ids and token types.
//!
//! ```text
//! encode_pairs CHECKPOINT [CACHE] < pairs.jsonl > ids.txt
//! ```
//!
//! A line is a JSON list of two texts and the most tokens that they may have together. A line of the result is their
//! ids, a tab and their token types. `tokenize_reference.py` compares them with transformers'.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "nobody closes the output of an example early")]

use std::io::{BufRead, BufWriter, Write};
use std::path::Path;

use midashi_tokenizer::{Dictionaries, Tokenizer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let checkpoint = arguments.next().ok_or("usage: encode_pairs CHECKPOINT [CACHE]")?;
    let cache = arguments.next().unwrap_or_else(|| "cache".into());
    let tokenizer = Tokenizer::load(Path::new(&checkpoint), &Dictionaries::below(cache.as_ref()), None)?;
    eprintln!("{}", tokenizer.describe());

    let mut encoder = tokenizer.encoder();
    let mut output = BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let (first, second, max_length): (String, String, usize) = serde_json::from_str(&line?)?;
        let encoding = encoder.encode_pair(&first, &second, max_length)?;
        let [ids, types] = [encoding.encoding.input_ids, encoding.encoding.token_type_ids]
            .map(|numbers| numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(" "));
        writeln!(output, "{ids}\t{types}")?;
    }
    Ok(output.flush()?)
}

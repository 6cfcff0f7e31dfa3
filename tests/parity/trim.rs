//! Trims a tokenizer to the lines of standard input, and to Japanese, ASCII and punctuation.
//!
//! ```text
//! trim CHECKPOINT TARGET [CACHE] < texts.txt
//! ```
//!
//! `trim_reference.py` compares what it writes into the folder `TARGET` with the whole tokenizer. `CACHE`, by default
//! `cache`, is the folder that `make setup` fills.

use std::io::Read;
use std::path::Path;

use midashi_tokenizer::{Dictionaries, Requirements, Tokenizer, Wanted};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(checkpoint), Some(target)) = (arguments.next(), arguments.next()) else {
        return Err("usage: trim CHECKPOINT TARGET [CACHE]".into());
    };
    let cache = arguments.next().unwrap_or_else(|| "cache".into());
    let (dictionaries, target) = (Dictionaries::below(cache.as_ref()), Path::new(&target));
    let requirements = Requirements::of(Path::new(&checkpoint), None)?;
    requirements.copy_files(target, &dictionaries)?;
    let tokenizer = Tokenizer::load(target, &dictionaries, None)?;

    let mut texts = String::new();
    std::io::stdin().read_to_string(&mut texts)?;
    let (mut wanted, mut encoder) = (Wanted::default(), tokenizer.encoder());
    for line in texts.lines() {
        let ids = encoder.encode(line, usize::MAX)?.encoding.input_ids;
        wanted.ids.extend(ids.into_iter().map(i32::cast_unsigned));
    }
    tokenizer.trim(target, &wanted)?;
    Ok(())
}
